"""The Gaussian bottleneck: a code is a distribution, and its divergence from the prior is the cost."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from narrows.bottlenecks.contract import Bottleneck, BottleneckModule, Code
from narrows.bottlenecks.diagonal_normal import DiagonalNormal
from narrows.numerics.record_noise import Noise, is_training_step
from narrows.parts.options import Integer, Real, option

__all__ = ["Gaussian"]

# log σ² = 12 tanh(a / 12): about a near 0, and bounded so that σ² neither overflows nor vanishes.
_LOG_VARIANCE = 12.0


class Gaussian(Bottleneck, name="gaussian"):
    """Draw the code z = μ + σ ε from the normal distribution of the encoder, at the cost β KL(q(z | x) ‖ N(0, I)).

    The variational autoencoder (Kingma and Welling 2014): with β = 1 the loss of the chain is minus the evidence lower
    bound. β > 1 favours independent latent dimensions (Higgins et al. 2017). With ``warmup`` β rises linearly from 0,
    so that latent dimensions come into use before they cost anything (Sønderby et al. 2016). With ``free_bits`` each
    latent dimension has at least that cost, so that information up to it is free (Kingma et al. 2016, here for each
    record and dimension). Codes are random in training and where a loss is measured; `encode` returns the mean μ.

    Examples
    --------
    >>> Gaussian(beta=4)
    Gaussian(beta=4.0)
    """

    h_per_z: ClassVar[int] = 2

    beta: float = option(Real(0), "weight β of the KL divergence", default=1.0)
    warmup: int = option(Integer(0), "steps of training over which β rises from 0", default=0)
    free_bits: float = option(Real(0), "minimum cost of each latent dimension, in bits", default=0.0)

    def build(self, z_shape: tuple[int, ...]) -> BottleneckModule:
        return _GaussianModule(z_shape, self.beta, self.warmup, self.free_bits * math.log(2))


class _GaussianModule(BottleneckModule):
    """h (n, 2 · first of z_shape, ...) → z (n, *z_shape): the means come before the log-variances."""

    draws = True
    n_steps: Tensor

    def __init__(self, z_shape: tuple[int, ...], beta: float, warmup: int, free_nats: float) -> None:
        super().__init__((2 * z_shape[0], *z_shape[1:]), z_shape)
        self.beta, self.warmup, self.free_nats = beta, warmup, free_nats
        self.rate_weight = beta
        self.normal_prior = beta > 0  # codes without a cost have no prior
        self.couples_records = warmup > 0  # every batch is counted
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))  # of training, so far

    def posterior(self, h: Tensor) -> DiagonalNormal:
        mean, a = h.chunk(2, dim=1)
        return DiagonalNormal(mean, _LOG_VARIANCE * torch.tanh(a / _LOG_VARIANCE))

    def forward(self, h: Tensor, generator: Noise | None = None) -> Code:
        posterior = self.posterior(h)
        cost = self._beta(generator) * posterior.kl().clamp_min(self.free_nats).flatten(1).sum(1)
        return Code(posterior.mean if generator is None else posterior.sample(generator), cost)

    def _beta(self, generator: Noise | None) -> float | Tensor:
        """Return β at this step of training; outside training its final value."""
        if self.warmup == 0 or not is_training_step(self, generator):
            return self.beta
        self.n_steps += 1
        return self.beta * (self.n_steps / self.warmup).clamp_max(1.0)
