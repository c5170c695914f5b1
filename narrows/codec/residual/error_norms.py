"""Norms of the errors of restored records."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.numerics.squares import SquaredSum

__all__ = ["Errors"]


@dataclass(frozen=True)
class Errors:
    """Norms of the errors of finite values.

    Attributes
    ----------
    largest : float
        The largest absolute error, in the records' units, rounded up to a float.
    squared : SquaredSum
        The sum of squared errors.
    """

    largest: float = 0.0
    squared: SquaredSum = field(default_factory=SquaredSum)

    @classmethod
    def of(cls, records: NDArray[Any], restored: NDArray[Any]) -> Errors:
        """Return the errors of restored records (n, *shape)."""
        if records.dtype.kind == "f":
            finite = np.isfinite(records)
            with np.errstate(over="ignore"):
                distance = np.abs(records[finite].astype(np.longdouble) - restored[finite].astype(np.longdouble))
        else:
            high, low = np.maximum(records, restored), np.minimum(records, restored)
            distance = high.astype(f"u{records.itemsize}") - low.astype(f"u{records.itemsize}")
        exact = distance.max(initial=0)
        largest = float(exact)
        if largest < exact:
            largest = float(np.nextafter(largest, np.inf))
        with np.errstate(over="ignore"):
            squared = SquaredSum.of(distance.astype(np.float64))
        return cls(min(largest, sys.float_info.max), squared)

    def scaled(self, factor: float) -> Errors:
        """Return the errors of values in other units."""
        return Errors(self.largest * factor, self.squared / factor**-2)

    def __add__(self, other: Errors) -> Errors:
        return Errors(max(self.largest, other.largest), self.squared + other.squared)
