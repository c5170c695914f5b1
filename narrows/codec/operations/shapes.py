"""Operations that only rearrange or repeat values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from narrows.codec.arithmetic import Arithmetic, Step
from narrows.codec.operations.contract import MOST_VALUES, Operation, Shape, check_size
from narrows.codec.operations.reading import Reader
from narrows.errors import ModelFileError

__all__ = ["Reshape", "Transpose", "Upsample", "least_upsampling"]


@dataclass(frozen=True)
class Reshape(Operation, name="reshape"):
    """The same values in C order, in another shape.

    Attributes
    ----------
    shape : tuple of int
        The new shape.
    """

    shape: Shape

    def out_shape(self, in_shape: Shape) -> Shape:
        if math.prod(in_shape) != math.prod(self.shape):
            raise ModelFileError(f"Records of shape {in_shape} cannot be reshaped to {self.shape}.")
        return check_size("A reshape operation", self.shape)

    def prepare(self, arithmetic: Arithmetic, in_shape: Shape) -> Step:
        return lambda x: x.reshape(len(x), *self.shape)

    def settings(self) -> dict[str, Any]:
        return {"shape": list(self.shape)}

    @classmethod
    def read(cls, reader: Reader) -> Reshape:
        return cls(reader.wholes("shape", 1, MOST_VALUES))


@dataclass(frozen=True)
class Transpose(Operation, name="transpose"):
    """The axes of a record in another order.

    Attributes
    ----------
    axes : tuple of int
        The input axis of each output axis, counted from 0, without the axis of records.
    """

    axes: tuple[int, ...]

    def out_shape(self, in_shape: Shape) -> Shape:
        if sorted(self.axes) != list(range(len(in_shape))):
            raise ModelFileError(
                f"The axes of a transpose operation must be a permutation of those of its records, of shape "
                f"{in_shape}. Got {self.axes}."
            )
        return tuple(in_shape[axis] for axis in self.axes)

    def prepare(self, arithmetic: Arithmetic, in_shape: Shape) -> Step:
        axes = (0, *(axis + 1 for axis in self.axes))
        return lambda x: arithmetic.transpose(x, axes)

    def settings(self) -> dict[str, Any]:
        return {"axes": list(self.axes)}

    @classmethod
    def read(cls, reader: Reader) -> Transpose:
        return cls(reader.wholes("axes", 0, 7))


@dataclass(frozen=True)
class Upsample(Operation, name="upsample"):
    """Nearest-neighbour upsampling of maps (h, w, c) to (H, W, c): row i copies row floor(i h / H), columns the same.

    Attributes
    ----------
    size : (int, int)
        H and W.
    """

    size: tuple[int, int]

    def out_shape(self, in_shape: Shape) -> Shape:
        if len(in_shape) != 3:
            raise ModelFileError(
                f"An upsample operation needs maps of three dimensions. Got records of shape {in_shape}."
            )
        return check_size("An upsample operation", (*self.size, in_shape[2]))

    def prepare(self, arithmetic: Arithmetic, in_shape: Shape) -> Step:
        rows, columns = (
            np.arange(size, dtype=np.int64) * n // size for n, size in zip(in_shape[:2], self.size, strict=True)
        )
        first, then = object(), object()
        return lambda x: arithmetic.select(arithmetic.select(x, rows, 1, first), columns, 2, then)

    def settings(self) -> dict[str, Any]:
        return {"size": list(self.size)}

    @classmethod
    def read(cls, reader: Reader) -> Upsample:
        return cls(reader.pair("size", 1, MOST_VALUES))


def least_upsampling(n: int, to: int, stride: int) -> int:
    """Return the least T ≥ ``to`` with floor(r n / T) = floor(r / stride) for all r below ``to``: n stride, or less.

    Examples
    --------
    >>> least_upsampling(4, 8, 2), least_upsampling(4, 7, 2)
    (8, 7)
    """
    rows = np.arange(to, dtype=np.int64)
    return next(t for t in range(to, n * stride + 1) if (rows * n // t == rows // stride).all())
