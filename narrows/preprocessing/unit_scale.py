"""Scaling to the unit interval."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from narrows.parts.options import Boolean, Choice, option
from narrows.preprocessing.contract import Batches, Preprocessing, Step
from narrows.preprocessing.moments import Moments
from narrows.preprocessing.scaling import divided

__all__ = ["UnitScale"]


class UnitScale(Preprocessing, name="unit-scale"):
    """Scale values to [0, 1]: bytes are divided by 255 or 256, other data by the range of the training data.

    Values outside the range of the training data are mapped outside [0, 1]. Values that are constant, or vary only by
    rounding, become 0, and the inverse returns the constant.

    Examples
    --------
    >>> UnitScale(per_value=True)
    UnitScale(per_value=True)
    """

    per_value: bool = option(
        Boolean(), "a range for each value of a record instead of one for all; not for bytes", default=False
    )
    byte_divisor: int = option(
        Choice(255, 256), "divisor of bytes; 256 in the data of the Theano tutorials", default=255
    )

    def build(self, shape: tuple[int, ...], dtype: np.dtype) -> Step:
        known = {np.dtype(np.uint8): float(self.byte_divisor), np.dtype(np.bool_): 1.0}.get(dtype)
        return _UnitScaleStep(shape if self.per_value and known is None else (), known)


class _UnitScaleStep(Step):
    low: Tensor
    width: Tensor

    def __init__(self, shape: tuple[int, ...], known: float | None) -> None:
        super().__init__()
        self.known, self.per_value = known, bool(shape)
        self.register_buffer("low", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("width", torch.full(shape, known or 1.0, dtype=torch.float64))

    def fit(self, batches: Batches) -> None:
        if self.known is None:
            moments = Moments.of(batches, per_value=self.per_value)
            self.low = moments.centre.where(moments.is_constant, moments.low)
            self.width = (moments.high - moments.low).where(~moments.is_constant, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        if self.known is not None:  # from 0 on, and never 0 wide
            return x / self.width.to(x.dtype)
        return divided(x - self.low.to(x.dtype), self.width)

    def inverse(self, x: Tensor) -> Tensor:
        return x * self.width.to(x.dtype) + self.low.to(x.dtype)

    @property
    def unit(self) -> Tensor:
        return self.width
