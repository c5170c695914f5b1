"""Backends for the integer arithmetic of a frozen decoder; all of them compute the same integers.

A float64 holds every integer below 2^53 exactly, and multiplying by a power of two changes only its exponent. So
sums of products of 16-bit numbers are exact in any order and with any library, as long as no sum can reach 2^53.
`Program` proves this bound before it runs. BLAS can therefore compute the sums, and the result is the same for any
batch, any number of threads and any device. ``int64`` is the slow reference.

The floating-point backends store sums that will be shifted right by q bits in units of 2^-q, so that the shift is only
a floor.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from narrows.errors import InvalidParameterError

__all__ = ["HIGHEST", "LOWEST", "Arithmetic", "Step", "Values", "arithmetic"]

LOWEST, HIGHEST = -(2**15), 2**15 - 1

Values = Any  # an array of a backend: numpy.ndarray or torch.Tensor, records first
Step = Callable[[Values], Values]


class Arithmetic(ABC):
    """Integer arithmetic on the values of one backend.

    Methods that work "in place" may overwrite their first argument, and return the result. A ``buffer`` is any hashable
    object that identifies a piece of memory: an earlier result for the same buffer, in the same thread, is overwritten.
    Allocating memory for each result would take longer than the sums.
    """

    name: str

    @abstractmethod
    def values(self, x: NDArray[Any]) -> Values:
        """Return a copy of integers as values."""

    @abstractmethod
    def integers(self, values: Values) -> NDArray[np.int16]:
        """Return values, all of which fit 16 bits, as integers."""

    @abstractmethod
    def constant(self, integers: NDArray[Any], shift: int = 0) -> Values:
        """Return integers in units of 2^-shift, in C order."""

    @abstractmethod
    def product(self, a: Values, b: Values, buffer: object) -> Values:
        """Return the matrix product of two matrices."""

    @abstractmethod
    def requantise(self, sums: Values, shift: int, low: int, high: int) -> Values:
        """Return floor(sums / 2^shift), clipped to low … high, for sums in units of 2^-shift; in place."""

    @abstractmethod
    def indices(self, values: Values, shift: int, buffer: object) -> Values:
        """Return floor(values / 2^shift) as indices; values are not negative."""

    @abstractmethod
    def take(self, values: Values, indices: Values, buffer: object) -> Values:
        """Return the elements of one-dimensional values at indices of any shape."""

    @abstractmethod
    def select(self, values: Values, indices: NDArray[np.int64], axis: int, buffer: object) -> Values:
        """Return the values at indices along an axis."""

    @abstractmethod
    def argmax(self, values: Values) -> Values:
        """Return the position of the largest value along the last axis, the first of several."""

    @abstractmethod
    def empty(self, shape: tuple[int, ...], buffer: object) -> Values:
        """Return uninitialised values."""

    @abstractmethod
    def transpose(self, values: Values, axes: tuple[int, ...]) -> Values:
        """Return values with their axes in another order."""

    @abstractmethod
    def windows(self, maps: Values, grid: tuple[int, int], window: tuple[int, int], buffer: object) -> Values:
        """Return the windows of maps (n, H, W, c), one for each position of a grid, as the rows of a matrix.

        Row (record, y, x) holds the values of the window whose top left corner is at (y, x), in the order row, column,
        channel.
        """

    def release(self) -> None:  # noqa: B027 - nothing to do where the library manages the memory
        """Free the memory of this thread's buffers."""


class _NumPy(Arithmetic):
    dtype: type[np.generic]

    def __init__(self) -> None:
        self._buffers = threading.local()

    def release(self) -> None:
        self._buffers.__dict__.clear()

    def values(self, x: NDArray[Any]) -> Values:
        return np.array(x, dtype=self.dtype, order="C")

    def integers(self, values: Values) -> NDArray[np.int16]:
        return values.astype(np.int16)  # type: ignore[no-any-return]

    def product(self, a: Values, b: Values, buffer: object) -> Values:
        return np.matmul(a, b, out=self.empty((a.shape[0], b.shape[1]), buffer))

    def take(self, values: Values, indices: Values, buffer: object) -> Values:
        # The mode "raise" would copy through a temporary array; no index is out of range.
        return np.take(values, indices, out=self.empty(indices.shape, buffer), mode="clip")

    def select(self, values: Values, indices: NDArray[np.int64], axis: int, buffer: object) -> Values:
        shape = (*values.shape[:axis], len(indices), *values.shape[axis + 1 :])
        return np.take(values, indices, axis=axis, out=self.empty(shape, buffer), mode="clip")

    def argmax(self, values: Values) -> Values:
        return np.argmax(values, axis=-1)

    def empty(self, shape: tuple[int, ...], buffer: object) -> Values:
        return self._buffer(shape, buffer, self.dtype)

    def transpose(self, values: Values, axes: tuple[int, ...]) -> Values:
        return np.transpose(values, axes)

    def windows(self, maps: Values, grid: tuple[int, int], window: tuple[int, int], buffer: object) -> Values:
        n, channels = maps.shape[0], maps.shape[3]
        record, row, column, channel = maps.strides
        # The values of a window's row are contiguous in memory, and are copied together.
        shape = (n, *grid, window[0], window[1] * channels)
        laid_out = self.empty(shape, buffer)
        laid_out[...] = as_strided(maps, shape, (record, row, column, row, channel), writeable=False)
        return laid_out.reshape(-1, window[0] * window[1] * channels)

    def _buffer(self, shape: tuple[int, ...], buffer: object, dtype: type[np.generic]) -> NDArray[Any]:
        size = math.prod(shape)
        buffers: dict[Any, NDArray[Any]] = self._buffers.__dict__
        memory = buffers.get(buffer)
        if memory is None or memory.size < size:
            memory = buffers[buffer] = np.empty(size, dtype)
        return memory[:size].reshape(shape)


class _Float64(_NumPy):
    name, dtype = "float64", np.float64

    def constant(self, integers: NDArray[Any], shift: int = 0) -> Values:
        return np.ldexp(np.array(integers, dtype=np.float64, order="C"), -shift)

    def requantise(self, sums: Values, shift: int, low: int, high: int) -> Values:
        np.floor(sums, out=sums)
        return np.clip(sums, low, high, out=sums)

    def indices(self, values: Values, shift: int, buffer: object) -> Values:
        scaled = np.multiply(values, 2.0**-shift, out=self.empty(values.shape, (buffer, "scaled")))
        indices = self._buffer(values.shape, buffer, np.intp)
        np.copyto(indices, scaled, casting="unsafe")
        return indices


class _Int64(_NumPy):
    name, dtype = "int64", np.int64

    def constant(self, integers: NDArray[Any], shift: int = 0) -> Values:
        return np.array(integers, dtype=np.int64, order="C")

    def requantise(self, sums: Values, shift: int, low: int, high: int) -> Values:
        np.right_shift(sums, shift, out=sums)
        return np.clip(sums, low, high, out=sums)

    def indices(self, values: Values, shift: int, buffer: object) -> Values:
        return values >> shift


class _Torch(Arithmetic):
    """PyTorch's float64 on a device."""

    def __init__(self, device: str) -> None:
        import torch

        self.torch, self.device = torch, torch.device(device)
        self.name = f"torch:{device}"

    def values(self, x: NDArray[Any]) -> Values:
        return self.torch.tensor(np.ascontiguousarray(x, dtype=np.float64), device=self.device)

    def integers(self, values: Values) -> NDArray[np.int16]:
        return values.to(self.torch.int16).cpu().numpy()  # type: ignore[no-any-return]

    def constant(self, integers: NDArray[Any], shift: int = 0) -> Values:
        return self.values(np.ldexp(np.asarray(integers, dtype=np.float64), -shift))

    def product(self, a: Values, b: Values, buffer: object) -> Values:
        return a @ b

    def requantise(self, sums: Values, shift: int, low: int, high: int) -> Values:
        return sums.floor_().clamp_(low, high)

    def indices(self, values: Values, shift: int, buffer: object) -> Values:
        return (values * 2.0**-shift).to(self.torch.int64)

    def take(self, values: Values, indices: Values, buffer: object) -> Values:
        return values[indices]

    def select(self, values: Values, indices: NDArray[np.int64], axis: int, buffer: object) -> Values:
        return values.index_select(axis, self.torch.as_tensor(indices, device=self.device))

    def argmax(self, values: Values) -> Values:
        return values.argmax(dim=-1)

    def empty(self, shape: tuple[int, ...], buffer: object) -> Values:
        return self.torch.empty(shape, dtype=self.torch.float64, device=self.device)

    def transpose(self, values: Values, axes: tuple[int, ...]) -> Values:
        return values.permute(axes)

    def windows(self, maps: Values, grid: tuple[int, int], window: tuple[int, int], buffer: object) -> Values:
        n, channels = maps.shape[0], maps.shape[3]
        record, row, column, channel = maps.stride()
        view = maps.as_strided(
            (n, *grid, *window, channels), (record, row, column, row, column, channel), maps.storage_offset()
        )
        return view.reshape(-1, window[0] * window[1] * channels)


def arithmetic(backend: str) -> Arithmetic:
    """Return the arithmetic of a backend.

    Parameters
    ----------
    backend : str
        ``"float64"`` (NumPy and BLAS), ``"int64"`` (the slow reference), ``"torch"`` (PyTorch's float64 on the CPU), or
        ``"torch:<device>"``, for example ``"torch:cuda"``.

    Raises
    ------
    InvalidParameterError
        If there is no such backend.
    """
    if backend in _NAMED:
        return _NAMED[backend]()
    kind, _, device = backend.partition(":")
    if kind == "torch":
        return _Torch(device or "cpu")
    raise InvalidParameterError(
        f"The backend must be 'float64', 'int64', 'torch' or 'torch:<device>'. Got {backend!r}."
    )


_NAMED: dict[str, type[Arithmetic]] = {"float64": _Float64, "int64": _Int64}
