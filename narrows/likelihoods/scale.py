"""The scale of the normal and the Laplace likelihood: fixed, learned, or such that the loss is a mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.parts.options import Choice, Constraint, Real

__all__ = ["SCALES", "Scale"]

SCALES: Constraint = Real(0, open_low=True) | Choice("learned", "mean")

# A learned scale stays above e^-7, a thousandth: data that are restored exactly must not drive it to 0.
_FLOOR = -7.0
_LEAST_ABOVE_FLOOR = 0.1  # a scale starts at least this far above the floor, where its gradient does not vanish


class Scale(nn.Module):
    """One positive scale for all values.

    Parameters
    ----------
    scale : float, "learned" or "mean"
        The scale; "learned" starts at 1 and is trained with the networks (Rybkin et al. 2021); "mean" is ``of_mean``.
    of_mean : float
        The scale at which minus the log-likelihood is the mean error over a record's values, up to a constant.
    """

    raw: Tensor

    def __init__(self, scale: float | str, of_mean: float) -> None:
        super().__init__()
        self.is_learned = isinstance(scale, str) and scale == "learned"
        if self.is_learned:
            self.raw = nn.Parameter(torch.tensor(_FLOOR + math.log(math.expm1(-_FLOOR))))  # a scale of 1
        else:
            value = of_mean if isinstance(scale, str) else scale
            self.register_buffer("raw", torch.tensor(math.log(value), dtype=torch.float64))

    @torch.no_grad()
    def fit(self, errors: Iterable[Tensor], scale_of: Callable[[Tensor], Tensor] = torch.clone) -> None:
        """Set a learned scale to a function of the mean error, clamped to its range. A fixed scale is not changed.

        Parameters
        ----------
        errors : iterable of Tensor
            The errors of all values, in batches of any shape; read only if the scale is learned.
        scale_of : callable
            Function from their mean, a tensor without dimensions, to the scale.
        """
        if not self.is_learned:
            return
        total, n = torch.zeros((), dtype=torch.float64), 0
        for some in errors:
            total, n = total + some.double().sum().cpu(), n + some.numel()
        above_floor = (scale_of(total / n).log() - _FLOOR).clamp(_LEAST_ABOVE_FLOOR, -2 * _FLOOR)
        self.raw.copy_(_FLOOR + above_floor.expm1().log())

    @property
    def log(self) -> Tensor:
        """The logarithm of the scale, a tensor without dimensions."""
        return _FLOOR + functional.softplus(self.raw - _FLOOR) if self.is_learned else self.raw

    @property
    def value(self) -> Tensor:
        """The scale, a tensor without dimensions."""
        return self.log.exp()
