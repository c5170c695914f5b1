"""What carries the integers of a frozen decoder: the same whole numbers whatever does the sums.

A float64 holds every whole number below 2^53, and multiplying by a power of two changes its exponent only. So products
of 16-bit numbers, summed in any order and by any library, are exact as long as no sum can reach 2^53. `Program` proves
this bound before it runs. So BLAS can compute the sums, and the result is the same for any batch, any number of
threads and any device. ``int64`` is the referee: slow, and beyond doubt.

Sums that are to be shifted down by q bits are carried in units of 2^-q where numbers have an exponent: then the shift
costs nothing, and what is left of it is a floor.
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
    """Whole numbers and what is done with them.

    Methods that work "in place" may overwrite their first argument, and return the result. A ``buffer`` is any object
    that names a piece of memory: what was returned before for the same buffer, in the same thread, is overwritten.
    Fresh memory for each result would take longer than the sums.
    """

    name: str

    @abstractmethod
    def values(self, x: NDArray[Any]) -> Values:
        """Return a copy of integers as values."""

    @abstractmethod
    def integers(self, values: Values) -> NDArray[np.int16]:
        """Return values, all of them 16-bit, as integers."""

    @abstractmethod
    def constant(self, integers: NDArray[Any], shift: int = 0) -> Values:
        """Return integers in units of 2^-shift, laid out in C order."""

    @abstractmethod
    def product(self, a: Values, b: Values, buffer: object) -> Values:
        """Return the matrix product of two matrices."""

    @abstractmethod
    def requantise(self, sums: Values, shift: int, low: int, high: int) -> Values:
        """Return floor(sums / 2^shift), between low and high, of sums in units of 2^-shift; in place."""

    @abstractmethod
    def indices(self, values: Values, shift: int, buffer: object) -> Values:
        """Return floor(values / 2^shift), of values that are not negative, as indices."""

    @abstractmethod
    def take(self, values: Values, indices: Values, buffer: object) -> Values:
        """Return the values, of one dimension, at indices of any shape."""

    @abstractmethod
    def select(self, values: Values, indices: NDArray[np.int64], axis: int, buffer: object) -> Values:
        """Return what stands at indices along an axis."""

    @abstractmethod
    def empty(self, shape: tuple[int, ...], buffer: object) -> Values:
        """Return values that are anything yet."""

    @abstractmethod
    def transpose(self, values: Values, axes: tuple[int, ...]) -> Values:
        """Return values with their axes in another order."""

    @abstractmethod
    def windows(self, maps: Values, grid: tuple[int, int], window: tuple[int, int], buffer: object) -> Values:
        """Return the windows of maps (n, H, W, c), one at each place of a grid, as the rows of a matrix.

        Row (record, y, x) holds the values of the window whose first corner is at (y, x), in the order row, column,
        channel.
        """

    def release(self) -> None:  # noqa: B027 - nothing to do where memory is somebody else's
        """Give back the memory of this thread's places."""


class _NumPy(Arithmetic):
    dtype: type[np.generic]

    def __init__(self) -> None:
        self._rooms = threading.local()

    def release(self) -> None:
        self._rooms.__dict__.clear()

    def values(self, x: NDArray[Any]) -> Values:
        return np.array(x, dtype=self.dtype, order="C")

    def integers(self, values: Values) -> NDArray[np.int16]:
        return values.astype(np.int16)  # type: ignore[no-any-return]

    def product(self, a: Values, b: Values, buffer: object) -> Values:
        return np.matmul(a, b, out=self.empty((a.shape[0], b.shape[1]), buffer))

    def take(self, values: Values, indices: Values, buffer: object) -> Values:
        # With any other mode than "raise" the result goes straight to where it belongs; no index is out of range.
        return np.take(values, indices, out=self.empty(indices.shape, buffer), mode="clip")

    def select(self, values: Values, indices: NDArray[np.int64], axis: int, buffer: object) -> Values:
        shape = (*values.shape[:axis], len(indices), *values.shape[axis + 1 :])
        return np.take(values, indices, axis=axis, out=self.empty(shape, buffer), mode="clip")

    def empty(self, shape: tuple[int, ...], buffer: object) -> Values:
        return self._room(shape, buffer, self.dtype)

    def transpose(self, values: Values, axes: tuple[int, ...]) -> Values:
        return np.transpose(values, axes)

    def windows(self, maps: Values, grid: tuple[int, int], window: tuple[int, int], buffer: object) -> Values:
        n, channels = maps.shape[0], maps.shape[3]
        record, row, column, channel = maps.strides
        # The values of a window's row lie side by side in memory, and are copied together.
        shape = (n, *grid, window[0], window[1] * channels)
        laid_out = self.empty(shape, buffer)
        laid_out[...] = as_strided(maps, shape, (record, row, column, row, channel), writeable=False)
        return laid_out.reshape(-1, window[0] * window[1] * channels)

    def _room(self, shape: tuple[int, ...], buffer: object, dtype: type[np.generic]) -> NDArray[Any]:
        size = math.prod(shape)
        rooms: dict[Any, NDArray[Any]] = self._rooms.__dict__
        room = rooms.get(buffer)
        if room is None or room.size < size:
            room = rooms[buffer] = np.empty(size, dtype)
        return room[:size].reshape(shape)


class _Float64(_NumPy):
    name, dtype = "float64", np.float64

    def constant(self, integers: NDArray[Any], shift: int = 0) -> Values:
        return np.ldexp(np.array(integers, dtype=np.float64, order="C"), -shift)

    def requantise(self, sums: Values, shift: int, low: int, high: int) -> Values:
        np.floor(sums, out=sums)
        return np.clip(sums, low, high, out=sums)

    def indices(self, values: Values, shift: int, buffer: object) -> Values:
        scaled = np.multiply(values, 2.0**-shift, out=self.empty(values.shape, (buffer, "scaled")))
        found = self._room(values.shape, buffer, np.intp)
        np.copyto(found, scaled, casting="unsafe")
        return found


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

    def empty(self, shape: tuple[int, ...], buffer: object) -> Values:
        return self.torch.empty(shape, dtype=self.torch.float64, device=self.device)

    def transpose(self, values: Values, axes: tuple[int, ...]) -> Values:
        return values.permute(axes)

    def windows(self, maps: Values, grid: tuple[int, int], window: tuple[int, int], buffer: object) -> Values:
        n, channels = maps.shape[0], maps.shape[3]
        record, row, column, channel = maps.stride()
        seen = maps.as_strided(
            (n, *grid, *window, channels), (record, row, column, row, column, channel), maps.storage_offset()
        )
        return seen.reshape(-1, window[0] * window[1] * channels)


def arithmetic(backend: str) -> Arithmetic:
    """Return the arithmetic of a backend.

    Parameters
    ----------
    backend : str
        ``"float64"`` (NumPy and BLAS), ``"int64"`` (the referee), or ``"torch"`` for PyTorch's float64 on the CPU,
        ``"torch:cuda"`` on another device.

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
