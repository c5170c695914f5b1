"""The normal likelihood."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable

import torch
from torch import Generator, Tensor

from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.scale import SCALES, Scale
from narrows.parts.options import option

__all__ = ["Normal", "NormalModule"]


class Normal(Likelihood, name="normal"):
    """Squared error: log p = −Σ (x − μ)² / 2σ² − d log(σ √2π), over the d values of a record.

    Up to a constant the loss is half the summed squared error for ``scale=1`` (TensorFlow's ``l2_loss``), the summed
    one for ``scale=√½``, and the mean squared error for ``scale="mean"`` (σ² = d / 2). ``"learned"`` fits σ to
    the data, so that the loss is a true likelihood in nats (Rybkin et al. 2021).

    Examples
    --------
    >>> Normal(scale="learned")
    Normal(scale='learned')
    """

    scale: float | str = option(
        SCALES, "standard deviation σ, 'learned', or 'mean' for the mean squared error", default=1.0
    )

    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        return _ScaledNormalModule(Scale(self.scale, of_mean=math.sqrt(math.prod(shape) / 2)))


class NormalModule(LikelihoodModule):
    """The normal distribution around the decoder's output, at the scale of a subclass."""

    @property
    @abstractmethod
    def log_scale(self) -> Tensor:
        """The logarithm of σ, a tensor without dimensions."""

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        n_values = math.prod(x.shape[1:])
        squared = (x - parameters).square().flatten(1).sum(1)
        variance = self.log_scale.exp().square()
        return -squared / (2 * variance) - n_values * (self.log_scale + 0.5 * math.log(2 * math.pi))

    def log_prob_of_values(self, parameters: Tensor, x: Tensor) -> Tensor:
        variance = self.log_scale.exp().square()
        return -(x - parameters).square() / (2 * variance) - (self.log_scale + 0.5 * math.log(2 * math.pi))

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters

    def parameters_of(self, mean: Tensor) -> Tensor:
        return mean

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        noise = torch.randn(parameters.shape, generator=generator, dtype=parameters.dtype, device=parameters.device)
        return parameters + self.log_scale.exp() * noise


class _ScaledNormalModule(NormalModule):
    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.scale = scale

    def fit_scale(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        self.scale.fit(((x - parameters).square() for parameters, x in batches), torch.sqrt)

    @property
    def log_scale(self) -> Tensor:
        return self.scale.log

    @property
    def has_gradient(self) -> bool:
        return not self.scale.is_learned

    def loss_and_gradient(self, parameters: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        n, n_values = x.shape
        log_scale = float(self.log_scale)
        variance = math.exp(2 * log_scale)
        errors = parameters.sub_(x)
        squared = torch.dot(errors.view(-1), errors.view(-1))
        loss = squared / (2 * variance * n) + n_values * (log_scale + 0.5 * math.log(2 * math.pi))
        return loss, errors.mul_(1 / (variance * n))
