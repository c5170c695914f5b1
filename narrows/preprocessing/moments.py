"""Minimum, maximum, mean and deviation of data in one pass, batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from narrows.numerics.rounding import ROUNDING
from narrows.preprocessing.contract import Batches

__all__ = ["Moments"]

_SMALLEST = 2.0**-1022  # the scale of no values
_FAR = 2.0**10  # deviations: a mean further from zero is rounded to the dtype of the data


@dataclass(frozen=True)
class Moments:
    """Statistics of a set of records, in float64, for values of any magnitude.

    Attributes
    ----------
    n : int, or Tensor of shape ``shape`` or ()
        Number of values that went into each entry. It is a Tensor if values are missing.
    low, high, mean : Tensor of shape ``shape`` or ()
        For each value of a record, or one for all values together.
    scale : Tensor
        A power of two near the largest magnitude, so that squares neither overflow nor vanish. Dividing by it changes
        no digit.
    relative_variance : Tensor
        Variance of the population, divided by the square of ``scale``.
    dtype : torch.dtype
        Dtype of the data.
    """

    n: int | Tensor
    low: Tensor
    high: Tensor
    mean: Tensor
    scale: Tensor
    relative_variance: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, batches: Batches, *, per_value: bool) -> Self:
        """Return the statistics of one pass; batches are merged exactly (Chan, Golub and LeVeque 1983).

        Missing values are NaN in the batches. The statistics of an entry without any value are 0.
        """
        merged: Self | None = None
        for batch in batches():
            one = cls._of_batch(batch if per_value else batch.reshape(-1))
            merged = one if merged is None else merged._with(one)
        assert merged is not None, "training data have at least one record"
        if isinstance(merged.n, Tensor):
            merged = replace(merged, low=merged.low.where(merged.n > 0, 0.0), high=merged.high.where(merged.n > 0, 0.0))
        # The sum of equal values may be rounded.
        is_equal = merged.low == merged.high
        return replace(
            merged,
            mean=merged.low.where(is_equal, merged.mean),
            relative_variance=merged.relative_variance.where(~is_equal, 0.0),
        )

    @classmethod
    def _of_batch(cls, batch: Tensor) -> Self:
        x = batch.double()
        missing = x.isnan()
        if bool(missing.any()):
            return cls._of_some(x, ~missing, batch.dtype)
        low, high = x.amin(0), x.amax(0)
        scale = _power_of_two(low.abs().maximum(high.abs()))
        x = x / scale
        return cls(len(x), low, high, x.mean(0) * scale, scale, x.var(0, correction=0), batch.dtype)

    @classmethod
    def _of_some(cls, x: Tensor, there: Tensor, dtype: torch.dtype) -> Self:
        """Return the statistics of the values of a batch that are there."""
        n = there.sum(0).double()
        low, high = x.where(there, math.inf).amin(0), x.where(there, -math.inf).amax(0)
        scale = _power_of_two(low.abs().maximum(high.abs())).where(n > 0, _SMALLEST)
        x = (x / scale).where(there, 0.0)
        mean = x.sum(0) / n.clamp_min(1.0)
        variance = (x - mean).where(there, 0.0).square().sum(0) / n.clamp_min(1.0)
        return cls(n, low, high, mean * scale, scale, variance, dtype)

    def _with(self, other: Self) -> Self:
        n = self.n + other.n
        n_or_1 = n.clamp_min(1.0) if isinstance(n, Tensor) else n
        scale = self.scale.maximum(other.scale)
        mean, variance = self._in(scale)
        other_mean, other_variance = other._in(scale)
        apart = other_mean - mean
        within = (self.n * variance + other.n * other_variance) / n_or_1
        return type(self)(
            n,
            self.low.minimum(other.low),
            self.high.maximum(other.high),
            (mean + apart * (other.n / n_or_1)) * scale,
            scale,
            within + apart.square() * (self.n / n_or_1) * (other.n / n_or_1),
            self.dtype,
        )

    def _in(self, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance divided by another scale."""
        return self.mean / scale, self.relative_variance * (self.scale / scale).square()

    @property
    def deviation(self) -> Tensor:
        """Standard deviation of the population; 0 for equal values."""
        return self.relative_variance.sqrt() * self.scale

    @property
    def variance(self) -> Tensor:
        """Variance of the population; it may overflow or vanish where the deviation does not."""
        return self.deviation.square()

    @property
    def is_constant(self) -> Tensor:
        """Whether values are equal, or vary only by rounding."""
        return self.deviation <= ROUNDING * self.mean.abs()

    @property
    def centre(self) -> Tensor:
        """The mean, such that x − centre is exact in the dtype of the data where the mean is far from zero.

        A mean of a million has a rounding error of 0.03 in float32. Where that matters for the deviation, the mean is
        rounded to the dtype once, so that subtracting and adding it cancel.
        """
        is_far = self.mean.abs() > _FAR * self.deviation
        return self.mean.to(self.dtype).double().where(is_far, self.mean)


def _power_of_two(magnitudes: Tensor) -> Tensor:
    """Return the largest power of two that is at most each magnitude, and 1 for 0."""
    mantissas = torch.frexp(magnitudes).mantissa
    return (magnitudes / (2 * mantissas)).where(magnitudes > 0, 1.0)
