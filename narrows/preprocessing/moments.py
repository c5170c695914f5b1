"""Minimum, maximum, mean and variance of data in one pass, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from narrows.preprocessing.contract import Batches

__all__ = ["Moments"]


@dataclass(frozen=True)
class Moments:
    """Statistics of a set of records, in float64.

    Attributes
    ----------
    n : int
        Number of values that went into each entry.
    low, high, mean, variance : Tensor of shape ``shape`` or ()
        For each value of a record, or one for all values together; the variance is the population's.
    """

    n: int
    low: Tensor
    high: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, batches: Batches, *, per_value: bool) -> Self:
        """Return the statistics of one pass; batches are merged exactly (Chan, Golub and LeVeque 1983)."""
        merged: Self | None = None
        for batch in batches():
            x = batch.double()
            x = x if per_value else x.reshape(-1)
            one = cls(len(x), x.amin(0), x.amax(0), x.mean(0), x.var(0, correction=0))
            merged = one if merged is None else merged._with(one)
        assert merged is not None, "training data have at least one record"
        return merged

    def _with(self, other: Self) -> Self:
        n = self.n + other.n
        apart = other.mean - self.mean
        within = (self.n * self.variance + other.n * other.variance) / n
        return type(self)(
            n,
            self.low.minimum(other.low),
            self.high.maximum(other.high),
            self.mean + apart * (other.n / n),
            within + apart.square() * (self.n / n) * (other.n / n),
        )
