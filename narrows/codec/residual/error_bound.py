"""What whole numbers stand for values: exactly, or so that none is further off than allowed."""

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

_FURTHEST = 1 << 50  # units; what would be further off is kept as it is
_SMALLEST_UNIT = 2.0**-1000  # where binary64 has all its digits
_SLACK = 1 - 2.0**-20  # steps are this much smaller than the bound allows: roundings of binary64 don't matter then


@dataclass(frozen=True)
class ErrorBound:
    """The whole numbers, or units, that stand for values of a dtype, in steps that keep a bound.

    ========================  =====================================================  ====================
    values                    units                                                  step
    ========================  =====================================================  ====================
    whole numbers, booleans   themselves; unsigned 64-bit ones less 2^63             2 ⌊E⌋ + 1
    floats, lossless          their bits as a whole number, in the order of floats   1
    floats, within E          multiples of 2 E (1 - 2^-20) / 16                      16
    ========================  =====================================================  ====================

    Floats in order: where the sign bit is set, the other bits are inverted, so that larger floats are larger whole
    numbers; NaNs and infinities are numbers like others.

    Parameters
    ----------
    dtype : dtype
        Of the values.
    max_error : float
        E, at least 0; 0 is lossless, bit for bit.

    Raises
    ------
    InvalidParameterError
        The bound is negative, or not finite.
    """

    dtype: np.dtype[Any]
    max_error: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_error) and self.max_error >= 0):
            raise InvalidParameterError(f"The 'max_error' must be a finite number of at least 0. Got {self.max_error}.")

    @property
    def is_lossless(self) -> bool:
        """Whether everything comes back bit for bit."""
        return self.step == 1

    @property
    def step(self) -> int:
        """How many units a step has."""
        if self.dtype.kind in "iub":
            return 2 * min(math.floor(self.max_error), 1 << 48) + 1
        return SIXTEENTHS if self._unit > 0 else 1

    @property
    def lowest(self) -> int:
        """The lowest unit that a value can be."""
        return self._ends[0]

    @property
    def highest(self) -> int:
        """The highest one."""
        return self._ends[1]

    @property
    def _unit(self) -> float:
        """What a unit is worth where floats need not be exact; 0 where they must."""
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
        """Return the units of values, to the nearest where they are told in multiples; 0 for what has none."""
        if self.dtype.kind == "f" and not self.is_lossless:
            with np.errstate(invalid="ignore", over="ignore"):
                told = np.rint(values.astype(np.float64) / self._unit)
            return np.where(np.abs(told) <= _FURTHEST, told, 0).astype(np.int64)
        if self.dtype.kind == "f":
            bits = np.ascontiguousarray(values).view(f"i{self.dtype.itemsize}").astype(np.int64)
            return np.where(bits < 0, bits ^ self.highest, bits)
        if self.dtype == np.uint64:
            return (np.ascontiguousarray(values) ^ np.uint64(1 << 63)).view(np.int64)
        return values.astype(np.int64)

    def values(self, units: NDArray[np.int64]) -> NDArray[Any]:
        """Return the values that units stand for."""
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
        """Return for each value the nearest number of steps q from its anchor, and which values are exceptions.

        ``anchors + step · q``, moved into the range, stands for a value within the bound, except for exceptions.
        """
        if self.dtype.kind == "f" and not self.is_lossless:
            return self._float_steps(values, anchors)
        # In 64 bits this may wrap around; whoever adds the same wraps back.
        distance = self.units(values) - anchors
        half = self.step // 2
        low = distance // self.step
        q = low + (distance - low * self.step > half)
        return q, np.zeros(values.shape, np.bool_)

    def is_within(self, restored: NDArray[Any], values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which restored floats are within E of the values; those that rounding leaves open are not."""
        most, wide = self.max_error, "longdouble"
        if self.dtype.itemsize < 8:  # their differences in binary64 are right but for the last digit
            most, wide = math.nextafter(most, 0), "float64"
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(np.abs(restored.astype(wide) - values.astype(wide)) <= most)

    def _float_steps(
        self, values: NDArray[Any], anchors: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        with np.errstate(invalid="ignore", over="ignore"):
            told = np.rint((values.astype(np.float64) / self._unit - anchors) / SIXTEENTHS)
            is_near = np.abs(told) <= _FURTHEST // SIXTEENTHS
            q = np.where(is_near, told, 0).astype(np.int64)
            restored = self.values(anchors + SIXTEENTHS * q)
        is_exception = ~(is_near & self.is_within(restored, values))
        return np.where(is_exception, 0, q), is_exception
