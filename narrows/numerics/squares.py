"""Sums of squares of values whose squares float64 cannot represent."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.numerics.psnr import psnr_db

__all__ = ["SquaredSum", "exponent_of"]

_SAFE = 200  # magnitudes from 2^-200 to 2^200 are squared as they are, in sums of up to 2^600 values


def exponent_of(magnitude: float) -> int:
    """Return e such that values of a magnitude are divided by 2^e before they are squared; 0 for ordinary ones.

    Examples
    --------
    >>> exponent_of(255.0), exponent_of(2.0**-700)
    (0, -699)
    """
    exponent = math.frexp(magnitude)[1] if math.isfinite(magnitude) else 0
    return exponent if abs(exponent) > _SAFE else 0


@dataclass(frozen=True)
class SquaredSum:
    """A sum of squares, ``scaled`` · 4^``exponent``. It is 0 only if all values are.

    Examples
    --------
    >>> tiny = SquaredSum.of(np.array([3e-200, 4e-200]))
    >>> round(tiny.psnr_db(2, peak=1e-199), 2)
    9.03
    """

    scaled: float = 0.0
    exponent: int = 0

    @classmethod
    def of(cls, values: NDArray[np.floating[Any]]) -> SquaredSum:
        """Return the sum of the squares of float64 values; infinite if one of them is not finite."""
        largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
        if not math.isfinite(largest):
            return cls(math.inf)
        exponent = exponent_of(largest)
        return cls(float(np.square(np.ldexp(values, -exponent) if exponent else values).sum()), exponent)

    def __add__(self, other: SquaredSum) -> SquaredSum:
        if not (self and other):
            return self if self else other
        exponent = max(self.exponent, other.exponent)
        return SquaredSum(self._in(exponent) + other._in(exponent), exponent)

    def __bool__(self) -> bool:
        return self.scaled > 0

    def __lt__(self, other: SquaredSum) -> bool:
        if not (self and other):
            return bool(other) and not self
        exponent = max(self.exponent, other.exponent)
        return self._in(exponent) < other._in(exponent)

    def __truediv__(self, n: float) -> SquaredSum:
        """Return the mean over n values."""
        return SquaredSum(self.scaled / n, self.exponent)

    def __float__(self) -> float:
        """Return the nearest positive float64 if the sum is not 0."""
        if not self:
            return 0.0
        fraction, exponent = math.frexp(min(self.scaled, sys.float_info.max))
        exponent += 2 * self.exponent
        if exponent > sys.float_info.max_exp:
            return sys.float_info.max
        return max(math.ldexp(fraction, exponent), math.ulp(0.0))

    def psnr_db(self, n: float, peak: float) -> float:
        """Return the peak signal-to-noise ratio in dB of n values with this sum of squared errors."""
        return psnr_db(self.scaled / n, peak) - 20 * math.log10(2) * self.exponent

    def _in(self, exponent: int) -> float:
        return math.ldexp(self.scaled, 2 * (self.exponent - exponent))
