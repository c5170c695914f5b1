"""The Laplace likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Generator, Tensor

from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.scale import SCALES, Scale
from narrows.parts.options import option

__all__ = ["Laplace"]


class Laplace(Likelihood, name="laplace"):
    """Absolute error: log p = −Σ |x − μ| / b − d log 2b, over the d values of a record.

    Up to a constant the loss is the summed absolute error (L1) for ``scale=1`` and the mean absolute error for
    ``scale="mean"`` (b = d). The reconstruction is the median, on which outliers have less influence than with
    `Normal`.

    Examples
    --------
    >>> Laplace()
    Laplace()
    """

    scale: float | str = option(SCALES, "scale b, 'learned', or 'mean' for the mean absolute error", default=1.0)

    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        return _LaplaceModule(Scale(self.scale, of_mean=float(math.prod(shape))))


class _LaplaceModule(LikelihoodModule):
    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.scale = scale

    def fit_scale(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        self.scale.fit((x - parameters).abs() for parameters, x in batches)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        n_values = math.prod(x.shape[1:])
        absolute = (x - parameters).abs().flatten(1).sum(1)
        return -absolute / self.scale.value - n_values * (self.scale.log + math.log(2))

    def log_prob_of_values(self, parameters: Tensor, x: Tensor) -> Tensor:
        return -(x - parameters).abs() / self.scale.value - (self.scale.log + math.log(2))

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters

    def parameters_of(self, mean: Tensor) -> Tensor:
        return mean

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        uniform = torch.rand(parameters.shape, generator=generator, dtype=parameters.dtype, device=parameters.device)
        centred = uniform - 0.5
        tail = (1 - 2 * centred.abs()).clamp_min(torch.finfo(parameters.dtype).tiny)
        return parameters - self.scale.value * centred.sign() * tail.log()
