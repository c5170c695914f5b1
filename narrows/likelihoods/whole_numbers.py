"""What likelihoods of whole numbers share: how preprocessed values are related to the numbers in the records."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from narrows.likelihoods.contract import LikelihoodModule
from narrows.numerics.floats import wide

__all__ = ["WholeNumbersModule"]

_ROUNDING = 0.01  # float32 holds preprocessed values of up to 16 bits with less than this error, in whole numbers


class WholeNumbersModule(LikelihoodModule):
    """A distribution of whole numbers v, which are x · unit + offset for preprocessed values x.

    Attributes
    ----------
    offset, unit : Tensor of shape ``shape``, float64
        See above. The unit of values that are constant is 1.
    lowest, highest : float
        The range of the whole numbers; infinite if they have none.
    """

    needs_units = True
    lowest: float = -math.inf
    highest: float = math.inf
    offset: Tensor
    unit: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("unit", torch.ones(shape, dtype=torch.float64))

    @property
    def is_bounded(self) -> bool:
        return True

    @property
    def takes_missing(self) -> bool:
        """False: preprocessed values that stand for missing ones are no whole numbers."""
        return False

    @property
    def domain(self) -> str:
        if math.isinf(self.highest):
            return "whole numbers"
        return f"whole numbers from {self.lowest:.0f} to {self.highest:.0f}"

    def fit_units(self, offset: Tensor, unit: Tensor) -> None:
        device = self.offset.device
        self.offset, self.unit = offset.double().to(device), unit.double().where(unit > 0, 1.0).to(device)

    def is_supported(self, x: Tensor) -> Tensor:
        exact = self.exact(x)
        rounding = _ROUNDING + 4 * torch.finfo(x.dtype).eps * self.unit * wide(x.abs())
        is_whole = (exact - exact.round()).abs() <= rounding
        return is_whole & (exact >= self.lowest - _ROUNDING) & (exact <= self.highest + _ROUNDING)

    def exact(self, x: Tensor) -> Tensor:
        """Return x · unit + offset for preprocessed values x, float64, before it is rounded."""
        return wide(x) * self.unit + self.offset

    def whole(self, x: Tensor) -> Tensor:
        """Return the whole numbers of preprocessed values x (n, *shape), float64."""
        return self.exact(x).round()

    def preprocessed(self, whole: Tensor) -> Tensor:
        """Return the preprocessed values of whole numbers (n, *shape), float64; the inverse of `whole`."""
        return (wide(whole) - self.offset) / self.unit
