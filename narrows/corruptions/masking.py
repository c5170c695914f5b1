"""Masking corruption."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from narrows.corruptions.contract import Corruption
from narrows.parts.options import Real, option

__all__ = ["Masking"]


class Masking(Corruption, name="masking"):
    """Set each value to zero with probability ``level``: x̃ = x · m, m ~ Bernoulli(1 − level).

    Vincent et al. (2008), section 2.3: the corruption of the Theano tutorial.

    Examples
    --------
    >>> Masking(level=0.3)
    Masking()
    """

    level: float = option(Real(0, 1), "probability that a value is set to zero", default=0.3)

    def corrupt(self, x: Tensor, generator: Generator) -> Tensor:
        uniform = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return x * (uniform >= self.level)
