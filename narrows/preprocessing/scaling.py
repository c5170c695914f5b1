"""Division by scales that are 0 for constant values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["divided", "divisor"]

# In float32 smaller scales are multiplied by this power of two first, which changes no digit. From 2^-126 on float32
# loses digits.
_SMALL, _UP = 2.0**-100, 2.0**100


def divisor(scale: Tensor) -> Tensor:
    """Return a scale to divide by: infinite where it is 0, so that constant values become 0."""
    return scale.where(scale > 0, math.inf)


def divided(x: Tensor, scale: Tensor) -> Tensor:
    """Return x divided by a float64 scale, in the dtype of x; 0 where the scale is 0.

    Examples
    --------
    >>> divided(torch.tensor([6.0, 7.0]), torch.tensor([2.0, 0.0], dtype=torch.float64)).tolist()
    [3.0, 0.0]
    """
    scale = divisor(scale)
    if x.dtype == torch.float64:
        return x / scale
    up = torch.ones_like(scale).where(scale > _SMALL, _UP)
    return x * up.to(x.dtype) / (scale * up).to(x.dtype)
