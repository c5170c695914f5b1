"""Batches: how many records are looked at together, and records that come with labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Labelled", "batch_size"]

# Values in a batch: 32 MiB as float64, so that memory stays flat however large a record is.
_MOST_VALUES = 2**22


def batch_size(shape: tuple[int, ...], most: int) -> int:
    """Return how many records of a shape make a batch: at most ``most``, fewer where records are large.

    Examples
    --------
    >>> batch_size((28, 28), 4096), batch_size((512, 512, 3), 4096)
    (4096, 5)
    """
    return max(1, min(most, _MOST_VALUES // math.prod(shape)))


@dataclass(frozen=True)
class Labelled:
    """Some records with their labels.

    Attributes
    ----------
    records : Tensor of shape (n, *shape)
        In their stored dtype.
    labels : Tensor of shape (n,), int64
        Their classes, from 0.
    """

    records: Tensor
    labels: Tensor
