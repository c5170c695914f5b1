"""Batches: the number of records to process together, and records with labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Labelled", "batch_size"]

# Values in a batch: 32 MiB as float64, which bounds the memory for records of any size.
_MOST_VALUES = 2**22


def batch_size(shape: tuple[int, ...], most: int) -> int:
    """Return the number of records in a batch: at most ``most``, fewer if records are large.

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
