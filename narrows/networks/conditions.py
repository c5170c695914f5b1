"""Conditions: an additional input of encoder and decoder."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["join"]


def join(y: Tensor, condition: Tensor | None) -> Tensor:
    """Append a condition (n, k) to vectors (n, d) as k numbers, or to maps (n, channels, H, W) as k channels.

    Examples
    --------
    >>> join(torch.zeros(2, 3, 5, 5), torch.ones(2, 10)).shape
    torch.Size([2, 13, 5, 5])
    """
    if condition is None:
        return y
    if y.ndim > 2:
        condition = condition[:, :, None, None].expand(-1, -1, *y.shape[2:])
    return torch.cat([y, condition], dim=1)
