"""Removal of the mean record."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from narrows.preprocessing.contract import Batches, Preprocessing, Step
from narrows.preprocessing.moments import Moments

__all__ = ["MeanRemoval"]


class MeanRemoval(Preprocessing, name="mean-removal"):
    """Subtract the training data's mean record, such as the mean image."""

    def build(self, shape: tuple[int, ...], dtype: np.dtype) -> Step:
        return _MeanRemovalStep(shape)


class _MeanRemovalStep(Step):
    mean: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))

    def fit(self, batches: Batches) -> None:
        self.mean = Moments.of(batches, per_value=True).mean

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean.to(x.dtype)

    def inverse(self, x: Tensor) -> Tensor:
        return x + self.mean.to(x.dtype)
