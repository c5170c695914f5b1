"""Robust scaling of the columns of a table."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from narrows.parts.options import Boolean, SequenceOf, option, optional
from narrows.preprocessing.contract import Batches, Preprocessing, Step

__all__ = ["RobustScale"]

_SAMPLE = 1 << 16  # records that quantiles are measured on
# The distance of two quantiles of a normal distribution, in standard deviations; the first that is not 0 is the scale.
_DISTANCES = ((0.25, 0.75, 1.349), (0.05, 0.95, 3.290), (0.01, 0.99, 4.653), (0.0, 1.0, 8.0))


class RobustScale(Preprocessing, name="robust-scale"):
    """Subtract the median and divide by a scale that few far values do not change: IQR / 1.349, for each value.

    Where half of the values are equal, a wider distance of quantiles is the scale. Missing values do not count.

    Examples
    --------
    >>> RobustScale(scaled=(True, False)).scaled
    (True, False)
    """

    scaled: tuple[bool, ...] | None = option(
        optional(SequenceOf(Boolean())),
        "which values of a record are scaled; others stay as they are. None: all are",
        default=None,
    )

    def build(self, shape: tuple[int, ...], dtype: np.dtype) -> Step:
        every = np.ones(shape, bool) if self.scaled is None else np.resize(np.array(self.scaled, bool), shape)
        return _RobustScaleStep(torch.from_numpy(every))


class _RobustScaleStep(Step):
    centre: Tensor
    scale: Tensor

    def __init__(self, scaled: Tensor) -> None:
        super().__init__()
        self.scaled = scaled
        self.register_buffer("centre", torch.zeros(scaled.shape, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(scaled.shape, dtype=torch.float64))

    def fit(self, batches: Batches) -> None:
        sample = _sample(batches)
        centre, scale = self.centre.clone().flatten(), self.scale.clone().flatten()
        values = sample.reshape(len(sample), -1).double().cpu()
        for column in torch.nonzero(self.scaled.flatten().cpu()).flatten().tolist():
            known = values[:, column][~values[:, column].isnan()].numpy()
            if len(known):
                centre[column], scale[column] = _centre_and_scale(known)
        self.centre, self.scale = centre.reshape(self.centre.shape), scale.reshape(self.scale.shape)
        self.to(sample.device)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.centre.to(x.dtype)) / self.scale.to(x.dtype)

    def inverse(self, x: Tensor) -> Tensor:
        return x * self.scale.to(x.dtype) + self.centre.to(x.dtype)

    @property
    def unit(self) -> Tensor:
        return self.scale


def _sample(batches: Batches) -> Tensor:
    """Return records that are spread evenly over all batches."""
    every = -(-sum(len(batch) for batch in batches()) // _SAMPLE)
    kept, at = [], 0
    for batch in batches():
        kept.append(batch[-at % every :: every])
        at += len(batch)
    return torch.cat(kept)


def _centre_and_scale(known: np.ndarray) -> tuple[float, float]:
    """Return the median of numbers, and their scale."""
    centre = float(np.median(known))
    for low, high, of_normal in _DISTANCES:
        distance = float(np.quantile(known, high) - np.quantile(known, low))
        if distance > 0:
            return centre, distance / of_normal
    return centre, 1.0
