"""The L1 penalty on the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Generator, Tensor

from narrows.parts.options import Real, option
from narrows.penalties.contract import Penalty

if TYPE_CHECKING:
    from narrows.bottlenecks.contract import Code
    from narrows.chain import Chain

__all__ = ["L1"]


class L1(Penalty, name="l1"):
    """Penalise the absolute values of the code: weight · Σ|zᵢ|, which drives most of them to zero.

    Equals minus the logarithm of a Laplace prior on the code up to a constant (Olshausen and Field 1996).

    Examples
    --------
    >>> L1(weight=0.1)
    L1(weight=0.1)
    """

    weight: float = option(Real(0), "nats for each unit of absolute activity", default=1e-3)

    def cost(self, chain: Chain, x: Tensor, h: Tensor, code: Code, generator: Generator | None = None) -> Tensor:
        return self.weight * code.z.abs().flatten(1).sum(1)
