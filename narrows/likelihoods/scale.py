"""The scale of the normal and the Laplace likelihood: fixed, learned, or such that the loss is a mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from narrows.options import Allowed, Choice, Real

__all__ = ["SCALES", "Scale"]

SCALES: Allowed = Real(0, open_low=True) | Choice("learned", "mean")


class Scale(nn.Module):
    """One positive scale for all values, kept as its logarithm.

    Parameters
    ----------
    scale : float, "learned" or "mean"
        The scale; "learned" starts at 1 and is trained with the networks (Rybkin et al. 2021); "mean" is ``of_mean``.
    of_mean : float
        The scale at which minus the log-likelihood is the mean error over a record's values, but for a constant.
    """

    log: Tensor

    def __init__(self, scale: float | str, of_mean: float) -> None:
        super().__init__()
        if isinstance(scale, str) and scale == "learned":
            self.log = nn.Parameter(torch.zeros(()))
        else:
            value = of_mean if isinstance(scale, str) else scale
            self.register_buffer("log", torch.tensor(math.log(value), dtype=torch.float64))

    @property
    def value(self) -> Tensor:
        """The scale, a tensor without dimensions."""
        return self.log.exp()
