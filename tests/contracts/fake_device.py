"""A CUDA device that there is not: it computes on the CPU, and refuses what a real one would refuse.

`fake_cuda` makes PyTorch see a device ``cuda:0``. Its tensors are `DeviceTensor`: they report that device, and their
values cannot be had without ``.cpu()``. Three layers stand in for the device:

- Python's calls (`_Calls`, a TorchFunctionMode): ``device="cuda"`` is replaced by `_STAND_IN`, and the device of a
  generator is compared with that of the numbers to be drawn. PyTorch without CUDA refuses the word before anything of
  ours is asked.
- Operations (`_Operations`, a TorchDispatchMode, and ``DeviceTensor.__torch_dispatch__``): below autograd, so that
  gradients are checked too. Every operation is refused whose tensors are on two devices, and computed on the CPU
  otherwise.
- Names: ``torch.Generator`` and ``torch.cuda.is_available``.

What PyTorch allows is allowed: CPU tensors without axes in elementwise operations, CPU indices of device tensors, and
copies from one device to another. What is not imitated: what only CUDA's own kernels refuse (an operation that is not
there for some dtype), and that its results differ in the last bits.

For PyTorch's C++ the stand-in is the "meta" device number 1. It must not be "cuda", of which autograd would ask
streams. Code that uses the ordinary "meta" device, which has no number, is left alone.
"""

from __future__ import annotations

import importlib
import pkgutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import narrows

__all__ = ["DeviceTensor", "FakeDevice", "fake_cuda"]

_CUDA, _CPU = torch.device("cuda", 0), torch.device("cpu")
_STAND_IN = torch.device("meta", 1)
_RealGenerator = torch.Generator
_aten = torch.ops.aten

# Indices may be on the CPU; they are the second argument.
_INDEXED = {
    _aten.index.Tensor,
    _aten._unsafe_index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
}
# Besides elementwise operations, these take a value that may be a CPU tensor without axes.
_FILLING = {
    *(_aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default),
    *(_aten.fill.Tensor, _aten.fill_.Tensor),
    *(_aten.masked_fill.Tensor, _aten.masked_fill_.Tensor),
    *(_aten.index_fill.int_Tensor, _aten.index_fill_.int_Tensor),
}
_COPYING = {_aten.copy_.default, _aten._copy_from.default}
_INDEXING = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}
_MADE_OF_DATA = {torch.tensor, torch.as_tensor, torch.asarray}
_CALLED_OTHERWISE = {torch.device, torch.Tensor.cuda, torch.Tensor.new_tensor, torch.Tensor.to, *_INDEXING}


@dataclass
class FakeDevice:
    """What has been going on at the device.

    Attributes
    ----------
    uploads, downloads : list of int
        The bytes of each copy to the device and from it, without single numbers that were asked for.
    n_numbers_read : int
        How often a single number was asked for, which waits for the device.
    bytes_held, peak_bytes : int
        What all tensors there take now, and the most that they have taken.
    """

    uploads: list[int] = field(default_factory=list)
    downloads: list[int] = field(default_factory=list)
    n_numbers_read: int = 0
    bytes_held: int = 0
    peak_bytes: int = 0
    _allocations: Any = field(default_factory=weakref.WeakValueDictionary)

    def allocation_of(self, values: torch.Tensor) -> _Allocation:
        """Return the memory of some values, which views share."""
        storage = values.untyped_storage()
        found = self._allocations.get(storage.data_ptr()) if storage.nbytes() else None
        if found is None:
            found = _Allocation(self, storage.nbytes())
            self._allocations[storage.data_ptr()] = found
        return found

    def forget_peak(self) -> None:
        """Begin to measure the peak, and to list copies, anew."""
        self.peak_bytes, self.n_numbers_read = self.bytes_held, 0
        self.uploads.clear()
        self.downloads.clear()


class _Allocation:
    """Memory that the device counts for as long as this lives."""

    def __init__(self, device: FakeDevice, n_bytes: int) -> None:
        self._device, self._n_bytes = device, n_bytes
        device.bytes_held += n_bytes
        device.peak_bytes = max(device.peak_bytes, device.bytes_held)

    def __del__(self) -> None:
        self._device.bytes_held -= self._n_bytes


_present: list[FakeDevice] = []


class DeviceTensor(torch.Tensor):
    """A tensor on the device; its values are those of a CPU tensor, which only operations see."""

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> DeviceTensor:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=_STAND_IN,
        )

    def __init__(self, values: torch.Tensor) -> None:
        assert type(values) is torch.Tensor
        assert not values.is_meta
        self._values = values
        self._allocation = _present[-1].allocation_of(values) if _present else None

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    device = property(lambda self: _CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)
    is_meta = property(lambda self: False)

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. "
            "Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, **kwargs: Any) -> str:
        return f"{type(self).__name__}({self._values!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> DeviceTensor:
        if id(self) not in memo:
            memo[id(self)] = _rebuilt(self._values.clone(), self.requires_grad, getattr(self, "_is_param", False))
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuilt, (self._values, self.requires_grad, getattr(self, "_is_param", False))

    # With these two, a module that goes to the device keeps its parameters, as it does with CUDA.
    def __tensor_flatten__(self) -> Any:
        return ["_values"], None

    @staticmethod
    def __tensor_unflatten__(inner: Any, meta: Any, size: Any, stride: Any) -> DeviceTensor:
        return DeviceTensor(inner["_values"])


def _rebuilt(values: torch.Tensor, requires_grad: bool, is_parameter: bool) -> DeviceTensor:
    tensor = DeviceTensor(values).requires_grad_(requires_grad)
    if is_parameter:
        tensor._is_param = True
    return tensor


class FakeGenerator(_RealGenerator):
    """A generator that may belong to the device."""

    def __new__(cls, device: Any = "cpu") -> FakeGenerator:
        generator = super().__new__(cls)
        generator._device = _CUDA if torch.device(device).type == "cuda" else _CPU
        return generator

    device = property(lambda self: self._device)


_GENERATORS = {_RealGenerator, FakeGenerator}  # to ask for the type is quicker than isinstance
_SAYS_WHERE = {torch.device, *_GENERATORS}
_SEQUENCES = (list, tuple)


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute an operation on the CPU, where its result belongs to the device as well, or refuse it."""
    on_device: dict[int, DeviceTensor] = {}  # by their values
    others: list[torch.Tensor] = []
    given = [_values_of(value, on_device, others) for value in args]
    named = {name: _values_of(value, on_device, others) for name, value in kwargs.items()} if kwargs else {}
    device = kwargs.get("device")
    goes_there = device == _STAND_IN or (device is None and bool(on_device))
    if not on_device and not goes_there:
        return func(*args, **kwargs)
    if on_device and others and func not in _COPYING:
        _check_devices(func, args, kwargs)
    _count(func, args, len(on_device), goes_there=goes_there)
    if device == _STAND_IN:
        named["device"] = _CPU
    result = func(*given, **named)
    for tensor in on_device.values():
        if tensor.shape != tensor._values.shape:
            raise NotImplementedError(f"the fake device cannot imitate {func}, which changes shapes in place")
    if func in _COPYING:
        return args[0]
    return _moved(result, on_device) if goes_there else result


def _values_of(argument: Any, on_device: dict[int, DeviceTensor], others: list[torch.Tensor]) -> Any:
    """Return an argument with CPU tensors for those of the device; both kinds are noted."""
    if isinstance(argument, DeviceTensor):
        on_device[id(argument._values)] = argument
        return argument._values
    if isinstance(argument, _SEQUENCES):
        return type(argument)([_values_of(one, on_device, others) for one in argument])
    if isinstance(argument, torch.Tensor):
        others.append(argument)
    return argument


def _moved(result: Any, on_device: dict[int, DeviceTensor]) -> Any:
    """Return what was computed as tensors of the device: where it was in place, the same that were given."""
    if isinstance(result, _SEQUENCES):
        return type(result)([_moved(one, on_device) for one in result])
    if not isinstance(result, torch.Tensor):
        return result
    return on_device[id(result)] if id(result) in on_device else DeviceTensor(result)


def _check_devices(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse an operation of tensors on two devices, but for what PyTorch allows."""
    described = func._schema.arguments
    given = [*zip(described, args, strict=False), *((one, kwargs[one.name]) for one in described if one.name in kwargs)]
    for position, (argument, value) in enumerate(given):
        for tensor in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(tensor, torch.Tensor) or isinstance(tensor, DeviceTensor):
                continue
            is_written = argument.alias_info is not None and argument.alias_info.is_write
            is_number = tensor.dim() == 0 and not is_written
            is_index = func in _INDEXED and position == 1 and isinstance(args[0], DeviceTensor)
            if is_index or (is_number and (torch.Tag.pointwise in func.tags or func in _FILLING)):
                continue
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and "
                f"{tensor.device}! ({func}, argument '{argument.name}')"
            )


def _count(func: Any, args: tuple[Any, ...], n_on_device: int, *, goes_there: bool) -> None:
    if not _present:
        return
    device = _present[-1]
    if func is _aten._local_scalar_dense.default:
        device.n_numbers_read += 1
    elif func is _aten._to_copy.default and bool(n_on_device) != goes_there:
        (device.uploads if goes_there else device.downloads).append(args[0].nbytes)
    elif func in _COPYING and n_on_device == 1:
        (device.uploads if isinstance(args[0], DeviceTensor) else device.downloads).append(args[1].nbytes)


class _Operations(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls):
        return False  # nothing is compiled here, and what PyTorch wraps around each call else takes long

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs) if kwargs else {}
        if func not in _CALLED_OTHERWISE and _says_nothing_of_devices(args, kwargs):
            return func(*args, **kwargs)  # nearly all
        if func is torch.device:
            return func(*args, **kwargs)
        if func is torch.Tensor.cuda:
            return args[0].to(_STAND_IN)
        if func is torch.Tensor.new_tensor:
            func, kwargs = torch.tensor, {"dtype": args[0].dtype, "device": args[0].device} | kwargs
            args = args[1:]
        if func in _INDEXING:
            args = (args[0], _indices(args[1]), *args[2:])
        args = tuple(map(_replaced, args))
        if func is torch.Tensor.to and len(args) > 1 and isinstance(args[1], str):
            args = (args[0], _replaced(torch.device(args[1])), *args[2:])
        if kwargs.get("device") is not None:
            kwargs["device"] = _replaced(torch.device(kwargs["device"]))
        _check_generator(args, kwargs)
        if func in _MADE_OF_DATA and kwargs.get("device") == _STAND_IN:
            del kwargs["device"]
            return func(*args, **kwargs).to(_STAND_IN)
        return func(*args, **kwargs)


def _says_nothing_of_devices(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether no argument is a device or a generator, and none is named ``device``."""
    if not _SAYS_WHERE.isdisjoint(map(type, args)):
        return False
    return not kwargs or (kwargs.get("device") is None and _SAYS_WHERE.isdisjoint(map(type, kwargs.values())))


def _replaced(value: Any) -> Any:
    return _STAND_IN if isinstance(value, torch.device) and value.type == "cuda" else value


def _indices(index: Any) -> Any:
    """Return an index with lists as tensors: PyTorch would make them on the device, and its stand-in has no values."""
    if isinstance(index, tuple):
        return tuple(map(_indices, index))
    return torch.as_tensor(index) if isinstance(index, list | np.ndarray) else index


def _check_generator(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse to draw numbers of one device from a generator of the other."""
    generators = [value for value in (*args, *kwargs.values()) if type(value) in _GENERATORS]
    if not generators:
        return
    drawn = next((value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)), None)
    if kwargs.get("device") is not None:
        wanted = "cuda" if kwargs["device"] == _STAND_IN else kwargs["device"].type
    else:
        wanted = "cpu" if drawn is None else drawn.device.type
    for generator in generators:
        if wanted not in ("meta", generator.device.type):
            raise RuntimeError(f"Expected a '{wanted}' device type for generator but found '{generator.device.type}'")


@cache
def _with_generators() -> list[Any]:
    """Return all modules of narrows that know the generator by its name, none of which is imported later."""
    names = [module.name for module in pkgutil.walk_packages(narrows.__path__, "narrows.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    return [module for module in modules if vars(module).get("Generator") is _RealGenerator]


@contextmanager
def fake_cuda() -> Iterator[FakeDevice]:
    """Let there be a CUDA device, for this thread."""
    modules, device = _with_generators(), FakeDevice()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch, "Generator", FakeGenerator)
        for module in modules:
            patch.setattr(module, "Generator", FakeGenerator)
        _present.append(device)
        try:
            with _Calls(), _Operations():
                yield device
        finally:
            _present.remove(device)
