"""The normal distribution with independent numbers, from which variational codes are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.numerics.record_noise import Noise, normal_like

__all__ = ["DiagonalNormal"]

_LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class DiagonalNormal:
    """N(μ, diag σ²) for each of n records.

    Attributes
    ----------
    mean, log_variance : Tensor of shape (n, *z_shape)
        μ and log σ².
    """

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def standard(cls, like: Tensor) -> DiagonalNormal:
        """Return N(0, I) for codes of this shape."""
        return cls(torch.zeros_like(like), torch.zeros_like(like))

    def sample(self, noise: Noise) -> Tensor:
        """Return μ + σ ε, ε ~ N(0, I), shape (n, *z_shape): a differentiable draw (Kingma and Welling 2014)."""
        return self.mean + (0.5 * self.log_variance).exp() * normal_like(self.mean, noise)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log N(z; μ, σ²) of each record in nats, shape (n,)."""
        squared = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (squared + self.log_variance + _LOG_2_PI).flatten(1).sum(1)

    def kl(self) -> Tensor:
        """Return KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − log σ² − 1) of each number in nats, shape (n, *z_shape)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - self.log_variance - 1)
