"""The maximum mean discrepancy between codes and a standard normal distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from narrows.numerics.randomness import Stream
from narrows.numerics.randomness import generator as measuring
from narrows.parts.options import Real, option
from narrows.penalties.contract import Penalty

if TYPE_CHECKING:
    from narrows.bottlenecks.contract import Code
    from narrows.chain import Chain

__all__ = ["MMD", "discrepancy"]

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class MMD(Penalty, name="mmd"):
    """Match the distribution of the codes to N(0, I): weight · MMD²(codes, draws).

    The Wasserstein autoencoder with this discrepancy, WAE-MMD (Tolstikhin, Bousquet, Gelly and Schölkopf 2018,
    algorithm 2): each code is a point, and the codes of a batch together are matched to the prior. The kernel is
    Σ_C C / (C + ‖z − z′‖²) with C = 2 d s for d numbers and scales s of 0.1 to 10. The estimate is unbiased, so it may
    be negative. All records of a batch have the same cost, which depends on the whole batch; a single record costs
    nothing. Outside training, where nothing may be random, the draws are always the same.

    Examples
    --------
    >>> MMD(weight=10)
    MMD(weight=10.0)
    """

    weight: float = option(Real(0), "nats for each unit of the squared discrepancy", default=100.0)

    @property
    def normal_prior(self) -> bool:
        return self.weight > 0

    @property
    def couples_records(self) -> bool:
        return True

    def cost(self, chain: Chain, x: Tensor, h: Tensor, code: Code, generator: Generator | None = None) -> Tensor:
        z = code.z.flatten(1)
        noise = generator or measuring(0, Stream.MEASURED_PRIOR, device=z.device)
        draws = torch.randn(z.shape, generator=noise, dtype=z.dtype, device=z.device)
        return (self.weight * discrepancy(z, draws)).expand(len(z))


def discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """Return the unbiased estimate of the squared discrepancy between two sets of points, each (n, d); zero if n = 1.

    MMD² = Σ_{i≠j} (k(aᵢ, aⱼ) + k(bᵢ, bⱼ)) / n (n − 1) − 2 Σᵢⱼ k(aᵢ, bⱼ) / n² (Gretton et al. 2012, equation 3).
    """
    n = len(a)
    if n == 1:
        return a.new_zeros(())
    itself = len(_SCALES)  # k(z, z), as often as there are points
    within = _kernel(a, a).sum() + _kernel(b, b).sum() - 2 * n * itself
    return within / (n * (n - 1)) - 2 * _kernel(a, b).mean()


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """Return k(aᵢ, bⱼ) for points a (n, d) and b (m, d), shape (n, m)."""
    squared = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    squared = squared.clamp_min(0)
    total = torch.zeros_like(squared)
    for scale in _SCALES:
        c = 2 * a.shape[1] * scale
        total = total + c / (c + squared)
    return total
