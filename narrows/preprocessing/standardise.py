"""Standardisation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from narrows.parts.options import Boolean, option
from narrows.preprocessing.contract import Batches, Preprocessing, Step
from narrows.preprocessing.moments import Moments
from narrows.preprocessing.scaling import divided

__all__ = ["Standardise"]


class Standardise(Preprocessing, name="standardise"):
    """Scale values to mean 0 and variance 1 over the training data.

    Values that are constant, or vary only by rounding, become 0, and the inverse returns the constant.

    Examples
    --------
    >>> Standardise(per_value=False)
    Standardise(per_value=False)
    """

    per_value: bool = option(Boolean(), "statistics for each value of a record, not one pair for all", default=True)

    def build(self, shape: tuple[int, ...], dtype: np.dtype) -> Step:
        return _StandardiseStep(shape if self.per_value else ())


class _StandardiseStep(Step):
    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.per_value = bool(shape)
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("deviation", torch.ones(shape, dtype=torch.float64))

    def fit(self, batches: Batches) -> None:
        moments = Moments.of(batches, per_value=self.per_value)
        self.mean = moments.centre
        self.deviation = moments.deviation.where(~moments.is_constant, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        return divided(x - self.mean.to(x.dtype), self.deviation)

    def inverse(self, x: Tensor) -> Tensor:
        return x * self.deviation.to(x.dtype) + self.mean.to(x.dtype)

    @property
    def unit(self) -> Tensor:
        return self.deviation
