"""Deterministic initial weights, for what must not start at zero and is not drawn."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["spread"]

_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def spread(*shape: int, scale: float = 1.0) -> Tensor:
    """Return numbers spread evenly between -scale and scale.

    Examples
    --------
    >>> spread(2, 2)
    tensor([[ 1.0000, -0.7374],
            [ 0.0874,  0.6084]])
    """
    empty = torch.empty(shape)
    if empty.is_meta:  # where the first sum would import TorchDynamo, which takes two seconds
        return empty
    angles = torch.arange(math.prod(shape), dtype=torch.float64) * _GOLDEN_ANGLE
    return (scale * angles.cos()).reshape(shape).to(empty.dtype)
