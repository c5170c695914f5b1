"""Salt-and-pepper corruption."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from narrows.corruptions.contract import Corruption
from narrows.parts.options import Real, option

__all__ = ["SaltAndPepper"]


class SaltAndPepper(Corruption, name="salt-and-pepper"):
    """Set each value with probability ``level`` to ``low`` or ``high``, both equally likely.

    Vincent et al. (2010), section 3.3.

    Examples
    --------
    >>> SaltAndPepper(level=0.1)
    SaltAndPepper(level=0.1)
    """

    level: float = option(Real(0, 1), "probability that a value is replaced", default=0.3)
    low: float = option(Real(), "value of the pepper, in preprocessed units", default=0.0)
    high: float = option(Real(), "value of the salt, in preprocessed units", default=1.0)

    def corrupt(self, x: Tensor, generator: Generator) -> Tensor:
        uniform = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        x_tilde = torch.where(uniform < self.level / 2, self.low, x)
        return torch.where(uniform >= 1 - self.level / 2, self.high, x_tilde)
