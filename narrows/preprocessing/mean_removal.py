"""Removal of the mean record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from narrows.preprocessing.contract import Batches, Preprocessing, Step
from narrows.preprocessing.moments import Moments

__all__ = ["MeanRemoval"]


class MeanRemoval(Preprocessing, name="mean-removal"):
    """Subtract the training data's mean record, such as the mean image.

    The inverse returns exactly the values that were constant in the training data, or varied only by rounding.
    """

    def build(self, shape: tuple[int, ...], dtype: np.dtype) -> Step:
        return _MeanRemovalStep(shape)


class _MeanRemovalStep(Step):
    absent: ClassVar[Mapping[str, float]] = {"varies": 1.0}
    mean: Tensor
    varies: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("varies", torch.ones(shape, dtype=torch.float64))  # 0 for constant values

    def fit(self, batches: Batches) -> None:
        moments = Moments.of(batches, per_value=True)
        self.mean, self.varies = moments.centre, (~moments.is_constant).double()

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean.to(x.dtype)

    def inverse(self, x: Tensor) -> Tensor:
        return x * self.varies.to(x.dtype) + self.mean.to(x.dtype)

    @property
    def unit(self) -> Tensor:
        return self.varies
