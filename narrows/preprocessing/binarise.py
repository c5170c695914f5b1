"""Binarisation."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from narrows.parts.options import Real, option
from narrows.preprocessing.contract import Preprocessing, Step

__all__ = ["Binarise"]


class Binarise(Preprocessing, name="binarise"):
    """Turn values into 0 and 1: 1 from ``threshold`` up. Usually after ``unit-scale``.

    Grey levels are lost: the inverse returns the decoder's probabilities as grey values.

    Examples
    --------
    >>> Binarise()
    Binarise()
    """

    threshold: float = option(Real(), "the smallest value that becomes 1", default=0.5)

    def build(self, shape: tuple[int, ...], dtype: np.dtype) -> Step:
        return _BinariseStep(self.threshold)


class _BinariseStep(Step):
    is_affine = False

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        return (x >= self.threshold).to(x.dtype).where(~x.isnan(), x)  # missing values stay NaN

    def inverse(self, x: Tensor) -> Tensor:
        return x
