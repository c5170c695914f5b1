"""The normal likelihood."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.scale import SCALES, Scale
from narrows.options import option

__all__ = ["Normal"]


class Normal(Likelihood, name="normal"):
    """Squared error: log p = −Σ (x − μ)² / 2σ² − d log(σ √2π), over the d values of a record.

    Up to a constant the loss is half the summed squared error for ``scale=1`` (TensorFlow's ``l2_loss``), the summed
    one for ``scale=√½``, and the mean squared error for ``scale="mean"`` (σ² = d / 2). ``"learned"`` finds the σ that
    fits, so that the loss is in true nats (Rybkin et al. 2021).

    Examples
    --------
    >>> Normal(scale="learned")
    Normal(scale='learned')
    """

    scale: float | str = option(
        SCALES, "standard deviation σ, 'learned', or 'mean' for the mean squared error", default=1.0
    )

    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        return _NormalModule(Scale(self.scale, of_mean=math.sqrt(math.prod(shape) / 2)))


class _NormalModule(LikelihoodModule):
    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.scale = scale

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        sigma = self.scale.value
        n_values = math.prod(x.shape[1:])
        squared = (x - parameters).square().flatten(1).sum(1)
        return -squared / (2 * sigma.square()) - n_values * (self.scale.log + 0.5 * math.log(2 * math.pi))

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters

    def parameters_of(self, mean: Tensor) -> Tensor:
        return mean

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        noise = torch.randn(parameters.shape, generator=generator, dtype=parameters.dtype, device=parameters.device)
        return parameters + self.scale.value * noise
