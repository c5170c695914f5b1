"""How many records are looked at together where all of them are gone through."""

from __future__ import annotations

import math

__all__ = ["batch_size"]

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
