"""The preprocessed value that stands for a missing cell of a table."""

from __future__ import annotations

from torch import Tensor

__all__ = ["ABSENT", "is_absent"]

ABSENT = -(2.0**40)
"""Far from all preprocessed values, and a float of every precision."""


def is_absent(x: Tensor) -> Tensor:
    """Return which preprocessed values are missing."""
    return x == ABSENT
