"""Conditions: what encoder and decoder are told beside their input."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["join"]


def join(y: Tensor, condition: Tensor | None) -> Tensor:
    """Return vectors (n, d) or maps (n, channels, H, W) with a condition (n, k) as k more numbers or channels.

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
