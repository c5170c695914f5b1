"""Statistics of the columns of a data set, which tell whether all columns share one unit."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from narrows.data.fill import is_fill
from narrows.numerics.batches import batch_size
from narrows.numerics.randomness import Stream, rng
from narrows.numerics.rounding import ROUNDING

__all__ = ["Columns"]

_MOST_VALUES = 2**24  # larger data are sampled at random
_BATCH = 4096
_ONE_SCALE = 10.0  # columns share a scale if their deviations are within this factor of the median
_ONE_SCALE_OF_COUNTS = 100.0  # for counts, whose rates differ more: the largest deviation over the median
_SAME_LOW, _SAME_HIGH = 0.9, 0.5  # shares of columns that reach the lowest and the highest value, if these are bounds
_COUNT_VARIANCE = 0.8  # smallest variance of counts over their mean; for a Poisson distribution it is 1
_COUNT_SHARE = 0.9  # share of columns that must reach it


@dataclass(frozen=True, eq=False)
class Columns:
    """Statistics of each value of a record over a data set, all of shape (d,), float64.

    Columns whose values are all missing are left out.

    Attributes
    ----------
    low, high, mean, deviation : ndarray
        Smallest and largest value, mean and standard deviation, which is 0 if values vary only by rounding.
    whole : ndarray of bool
        Whether all values are whole numbers, and not so large that all floats are.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    whole: NDArray[np.bool_]

    @classmethod
    def of(cls, values: NDArray[Any], seed: int = 0, *, fill_value: float | None = None) -> Self:
        """Measure records (n, *shape), of any real dtype, without values that are equal to the fill value."""
        d = math.prod(values.shape[1:])
        rows = np.arange(len(values))
        if values.size > _MOST_VALUES:
            most = min(max(_MOST_VALUES // d, 2), len(rows))
            rows = np.sort(rng(seed, Stream.COLUMNS_ROWS).choice(rows, most, replace=False))
        low, high = np.full(d, np.inf), np.full(d, -np.inf)
        total, whole, squares = np.zeros(d), np.ones(d, dtype=bool), np.zeros(d)
        n = np.zeros(d, dtype=np.int64)
        batches = np.array_split(rows, -(-len(rows) // batch_size(values.shape[1:], _BATCH)))
        with np.errstate(over="ignore", invalid="ignore"):  # sums and squares of huge values overflow
            for some in batches:
                x, known = _floats(values[some].reshape(len(some), d), fill_value)
                low = np.minimum(low, x.min(0, where=known, initial=np.inf))
                high = np.maximum(high, x.max(0, where=known, initial=-np.inf))
                total += x.sum(0, where=known)
                whole &= (x == np.rint(x)).all(0, where=known)
                n += len(some) if known is True else known.sum(0)
            mean = np.where(low == high, low, total / np.maximum(n, 1))
            # Squares of small values vanish. A power of two changes no digit.
            exponents = np.frexp(np.maximum(np.abs(low), np.abs(high)))[1]
            for some in batches:
                x, known = _floats(values[some].reshape(len(some), d), fill_value)
                squares += np.square(np.ldexp(x - mean, -exponents)).sum(0, where=known)
            deviation = np.ldexp(np.sqrt(squares / np.maximum(n, 1)), exponents)
        is_constant = np.isfinite(mean) & (deviation <= ROUNDING * np.abs(mean))
        whole &= high < _all_are_whole(values.dtype)
        found = cls(low, high, mean, np.where(is_constant, 0.0, deviation), whole)
        return found if n.all() else found._only(n > 0)

    def _only(self, chosen: NDArray[np.bool_]) -> Self:
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def are_bounded(self) -> bool:
        """Whether the values of all columns have the same bounds and reach them, as pixels do."""
        low, high = self.low.min(), self.high.max()
        reach_low, reach_high = (self.low == low).mean() >= _SAME_LOW, (self.high == high).mean() >= _SAME_HIGH
        return bool(reach_low and reach_high and high > low)

    @property
    def are_counts(self) -> bool:
        """Whether all values are counts: whole numbers from 0 on that vary at least as a Poisson distribution does."""
        if not self.whole.all() or self.low.min() < 0 or np.median(self.low) > 0:
            return False
        return bool(np.mean(np.square(self.deviation) >= _COUNT_VARIANCE * self.mean) >= _COUNT_SHARE)

    @property
    def are_of_one_kind(self) -> bool:
        """Whether one scale suits all values: they share their bounds, are counts, or vary about equally."""
        varying = self.deviation[self.deviation > 0]
        if self.are_bounded or varying.size == 0:
            return True
        middle = np.median(varying)
        with np.errstate(over="ignore", invalid="ignore"):
            if self.are_counts:
                return bool(varying.max() <= _ONE_SCALE_OF_COUNTS * middle)
            return bool(varying.max() <= _ONE_SCALE * middle and middle <= _ONE_SCALE * varying.min())


def _floats(x: NDArray[Any], fill_value: float | None) -> tuple[NDArray[np.float64], NDArray[np.bool_] | Literal[True]]:
    """Return values as floats, and where they are not missing; True: everywhere."""
    return x.astype(np.float64), True if fill_value is None else ~is_fill(x, fill_value)


def _all_are_whole(dtype: np.dtype[Any]) -> float:
    """Return the magnitude from which all numbers of a dtype are whole: no sign of counts."""
    return 2.0 / float(np.finfo(dtype).eps) if dtype.kind == "f" else math.inf
