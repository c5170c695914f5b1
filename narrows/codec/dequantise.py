"""From the integer decoder's numbers to records, in IEEE binary64 arithmetic that is the same everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.errors import ModelFileError

__all__ = ["DTYPES", "Dequantise", "to_dtype"]

DTYPES = (
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64"),
)
"""The types that records can have, by their names in files."""


@dataclass(frozen=True, eq=False)
class Dequantise:
    """y = x · scale + offset, each operation rounded once, then brought to the records' dtype.

    Whole numbers are rounded half to even and kept within their type's range, booleans are y ≥ ½, floats are the
    nearest that their type has.

    Attributes
    ----------
    shape : tuple of int
        Shape of one record.
    dtype : numpy.dtype
        The records' dtype.
    scale, offset : ndarray of float64, of shape () or ``shape``
        What a step of the decoder is worth in the records' units, and what 0 means.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            values = getattr(self, name)
            if values.dtype != np.float64 or values.shape not in {(), self.shape} or not np.isfinite(values).all():
                raise ModelFileError(
                    f"The '{name}' of the output must be finite float64 of shape () or {self.shape}. "
                    f"Got {values.dtype} of shape {values.shape}."
                )

    def of(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the records (n, *shape) that the decoder's numbers, of as many values, stand for."""
        y = x.reshape(len(x), *self.shape).astype(np.float64)
        with np.errstate(over="ignore"):
            y *= self.scale
            y += self.offset
        return to_dtype(y, self.dtype)

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the tensors by name."""
        return {"scale": self.scale, "offset": self.offset}

    @classmethod
    def from_tensors(cls, shape: tuple[int, ...], dtype: np.dtype[Any], tensors: dict[str, NDArray[Any]]) -> Self:
        """Return the output with these tensors."""
        return cls(shape, dtype, tensors["scale"], tensors["offset"])

    @property
    def n_values(self) -> int:
        """Values of a record."""
        return math.prod(self.shape)


def to_dtype(y: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return real values in a dtype: rounded half to even and within its range if whole, y ≥ ½ if boolean.

    The array that is handed in is overwritten.
    """
    if dtype == np.bool_:
        return y >= 0.5
    if dtype.kind == "f":
        limit = float(np.finfo(dtype).max)
        return np.clip(y, -limit, limit, out=y).astype(dtype)
    limits = np.iinfo(dtype)
    np.rint(y, out=y)
    # The largest float that still fits: 2^63 does not fit an int64, though float(2^63 - 1) is just that.
    np.clip(y, float(limits.min), np.nextafter(float(limits.max) + 1, 0), out=y)
    return y.astype(dtype)
