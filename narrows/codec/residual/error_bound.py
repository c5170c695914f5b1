"""Representation of values by integers, losslessly or within an error bound."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.dequantise import to_dtype
from narrows.codec.residual.mixture import SIXTEENTHS
from narrows.errors import InvalidParameterError

__all__ = ["ErrorBound"]

_FURTHEST = 1 << 50  # units; larger values are exceptions
_SMALLEST_UNIT = 2.0**-1000  # binary64 still has its full precision here
_SLACK = 1 - 2.0**-20  # steps are smaller than the bound allows by this factor, to leave room for rounding errors


@dataclass(frozen=True)
class ErrorBound:
    """The integers, or units, that represent values of a dtype, and the step between them that a bound allows.

    ========================  =====================================================  ====================
    values                    units                                                  step
    ========================  =====================================================  ====================
    integers, booleans        the values; minus 2^63 for unsigned 64-bit integers    2 ⌊E⌋ + 1
    floats, lossless          their bits as an integer, in the order of floats       1
    floats, within E          multiples of 2 E (1 - 2^-20) / 16                      16
    ========================  =====================================================  ====================

    For the order of floats, the other bits are inverted if the sign bit is set, so that larger floats are larger
    integers; this includes infinities and NaNs.

    Parameters
    ----------
    dtype : dtype
        Dtype of the values.
    max_error : float
        E, the largest error, at least 0; 0 is lossless, bit for bit.
    fill_value : float, optional
        A value that the encoder keeps exactly, as an exception. The decoder does not need it.

    Raises
    ------
    InvalidParameterError
        If the bound is negative or not finite.
    """

    dtype: np.dtype[Any]
    max_error: float
    fill_value: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_error) and self.max_error >= 0):
            raise InvalidParameterError(f"The 'max_error' must be a finite number of at least 0. Got {self.max_error}.")

    @property
    def is_lossless(self) -> bool:
        """Whether every value is restored bit for bit."""
        return self.step == 1

    @property
    def step(self) -> int:
        """The size of a step in units."""
        if self.dtype.kind in "iub":
            return 2 * min(math.floor(self.max_error), 1 << 48) + 1
        return SIXTEENTHS if self._unit > 0 else 1

    @property
    def lowest(self) -> int:
        """The lowest unit of the dtype."""
        return self._ends[0]

    @property
    def highest(self) -> int:
        """The highest unit of the dtype."""
        return self._ends[1]

    @property
    def _unit(self) -> float:
        """The size of a unit for floats within a bound; 0 if floats are lossless."""
        unit = min(self.max_error, sys.float_info.max / 4) * (2 * _SLACK / SIXTEENTHS)
        return unit if unit >= _SMALLEST_UNIT else 0.0

    @property
    def _ends(self) -> tuple[int, int]:
        if self.dtype.kind == "f" and not self.is_lossless:
            return -_FURTHEST * 2, _FURTHEST * 2
        if self.dtype.kind == "b":
            return 0, 1
        bits = 8 * self.dtype.itemsize
        if self.dtype.kind == "u" and bits < 64:
            return 0, (1 << bits) - 1
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def units(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return the units of values; for floats within a bound the nearest, or 0 if a value is too large or NaN."""
        if self.dtype.kind == "f" and not self.is_lossless:
            with np.errstate(invalid="ignore", over="ignore"):
                units = np.rint(values.astype(np.float64) / self._unit)
            return np.where(np.abs(units) <= _FURTHEST, units, 0).astype(np.int64)
        if self.dtype.kind == "f":
            bits = np.ascontiguousarray(values).view(f"i{self.dtype.itemsize}").astype(np.int64)
            return np.where(bits < 0, bits ^ self.highest, bits)
        if self.dtype == np.uint64:
            return (np.ascontiguousarray(values) ^ np.uint64(1 << 63)).view(np.int64)
        return values.astype(np.int64)

    def values(self, units: NDArray[np.int64]) -> NDArray[Any]:
        """Return the values of units."""
        if self.dtype.kind == "f" and not self.is_lossless:
            with np.errstate(over="ignore"):
                return to_dtype(units.astype(np.float64) * self._unit, self.dtype)
        if self.dtype.kind == "f":
            bits = np.where(units < 0, units ^ self.highest, units).astype(f"i{self.dtype.itemsize}")
            return bits.view(self.dtype)
        if self.dtype == np.uint64:
            return units.view(np.uint64) ^ np.uint64(1 << 63)
        return units.astype(self.dtype)

    def steps(self, values: NDArray[Any], anchors: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the nearest number of steps q of each value from its anchor, and which values are exceptions.

        ``anchors + step · q``, clipped to the range, represents a value within the bound, except for exceptions.
        """
        is_fill = np.zeros(values.shape, np.bool_) if self.fill_value is None else values == self.fill_value
        if self.dtype.kind == "f" and not self.is_lossless:
            q, is_exception = self._float_steps(values, anchors)
            return np.where(is_fill, 0, q), is_exception | is_fill
        # This may overflow 64 bits; adding the anchor again wraps back.
        distance = self.units(values) - anchors
        half = self.step // 2
        low = distance // self.step
        q = low + (distance - low * self.step > half)
        return np.where(is_fill, 0, q), is_fill

    def targets(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return values in units, for encoders, and which values are exceptions whatever the units are.

        For floats within a bound these are floats that are not rounded; exceptions are then not finite, far away, or
        the fill value.
        """
        is_fill = np.zeros(values.shape, np.bool_) if self.fill_value is None else values == self.fill_value
        if self.dtype.kind != "f" or self.is_lossless:
            return self.units(values), is_fill
        with np.errstate(invalid="ignore", over="ignore"):
            units = values.astype(np.float64) / self._unit
            is_far = ~(np.abs(units) <= _FURTHEST)
        units[is_far] = 0
        return units, is_fill | is_far

    def is_within(self, restored: NDArray[Any], values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which restored floats are within E of the values; false where rounding leaves it undecided."""
        most, wide = self.max_error, "longdouble"
        if self.dtype.itemsize < 8:  # binary64 differences may be wrong in the last digit
            most, wide = math.nextafter(most, 0), "float64"
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(np.abs(restored.astype(wide) - values.astype(wide)) <= most)

    def _float_steps(
        self, values: NDArray[Any], anchors: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        with np.errstate(invalid="ignore", over="ignore"):
            steps = np.rint((values.astype(np.float64) / self._unit - anchors) / SIXTEENTHS)
            is_near = np.abs(steps) <= _FURTHEST // SIXTEENTHS
            q = np.where(is_near, steps, 0).astype(np.int64)
            restored = self.values(anchors + SIXTEENTHS * q)
        is_exception = ~(is_near & self.is_within(restored, values))
        return np.where(is_exception, 0, q), is_exception
