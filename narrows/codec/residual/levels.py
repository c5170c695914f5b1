"""Lossless coding of values that take few levels: each is represented by the position of its level."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.residual.error_bound import ErrorBound

__all__ = ["Levels"]


@dataclass(frozen=True)
class Levels(ErrorBound):
    """The lossless representation of values by their positions in a list of levels.

    Values that are no level get the position of a level near them, and are exceptions.

    Parameters
    ----------
    dtype : dtype
        Dtype of the values, integers or booleans.
    max_error : float
        0.
    fill_value : float, optional
        As for `ErrorBound`.
    levels : tuple of int
        The levels in ascending order.

    Examples
    --------
    >>> grid = Levels(np.dtype(np.uint8), 0, levels=(0, 16, 255))
    >>> grid.units(np.array([0, 255, 16], np.uint8)), grid.values(np.array([2, 1]))
    (array([0, 2, 1]), array([255,  16], dtype=uint8))
    """

    levels: tuple[int, ...] = field(default=())

    @property
    def _ends(self) -> tuple[int, int]:
        return 0, len(self.levels) - 1

    def units(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return the position of the first level that is not below each value."""
        places = np.searchsorted(np.array(self.levels), values.astype(np.int64))
        return np.minimum(places, len(self.levels) - 1)

    def values(self, units: NDArray[np.int64]) -> NDArray[Any]:
        """Return the levels at positions."""
        return np.array(self.levels).astype(self.dtype)[units]
