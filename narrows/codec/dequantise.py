"""Conversion of the integer decoder's outputs to records, in IEEE binary64 arithmetic, the same on every machine."""

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
"""The dtypes that records can have, by their names in files."""


@dataclass(frozen=True, eq=False)
class Dequantise:
    """y = x · scale + offset, each operation rounded once, then converted to the records' dtype.

    Integers are rounded half to even and clipped to the range of the dtype, booleans are y ≥ ½, floats are rounded to
    the nearest value of the dtype.

    Attributes
    ----------
    shape : tuple of int
        Shape of one record.
    dtype : numpy.dtype
        The records' dtype.
    scale, offset : ndarray of float64, of shape () or ``shape``
        The size of one decoder step, and the value of decoder output 0, both in the records' units.
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
        """Return the records (n, *shape) of the decoder outputs x, which have as many values per record."""
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
        """Return the conversion of `to_tensors`."""
        return cls(shape, dtype, tensors["scale"], tensors["offset"])

    @property
    def n_values(self) -> int:
        """The number of values of a record."""
        return math.prod(self.shape)


def to_dtype(y: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert real values to a dtype: integers rounded half to even and clipped to its range, booleans y ≥ ½.

    Overwrites ``y``.
    """
    if dtype == np.bool_:
        return y >= 0.5
    if dtype.kind == "f":
        limit = float(np.finfo(dtype).max)
        return np.clip(y, -limit, limit, out=y).astype(dtype)
    limits = np.iinfo(dtype)
    np.rint(y, out=y)
    # The largest float that fits the dtype: float(2^63 - 1) is 2^63, which does not fit an int64.
    np.clip(y, float(limits.min), np.nextafter(float(limits.max) + 1, 0), out=y)
    return y.astype(dtype)
