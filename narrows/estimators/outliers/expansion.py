"""Categories as columns of zeros and ones, for linear predictions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Expansion"]

Floats = NDArray[np.float64]

_MOST_CATEGORIES = 50  # of a column; one with more costs nothing in linear terms


@dataclass(frozen=True)
class Expansion:
    """The values of a record as columns of numbers: one for a number, one for each category.

    Attributes
    ----------
    categories : tuple of int
        The number of categories of each value; 0 for numbers.
    """

    categories: tuple[int, ...]

    @property
    def widths(self) -> list[int]:
        """How many columns each value has."""
        return [k if 0 < k <= _MOST_CATEGORIES else 1 for k in self.categories]

    @property
    def width(self) -> int:
        """How many columns there are."""
        return sum(self.widths)

    @property
    def is_category(self) -> NDArray[np.bool_]:
        """Which columns are those of categories, (width,)."""
        return np.repeat(np.array(self.categories) > 0, self.widths)

    @property
    def starts(self) -> NDArray[np.int64]:
        """The first column of each value, (d,)."""
        return np.cumsum([0, *self.widths[:-1]])

    def expand(self, x: Floats) -> Floats:
        """Return records (n, d), in which NaN is missing, as columns (n, width)."""
        if not any(self.categories):
            return x
        return np.concatenate(list(self._columns(x)), axis=1)

    def _columns(self, x: Floats) -> Iterable[Floats]:
        for column, k in zip(x.T, self.categories, strict=True):
            if k > _MOST_CATEGORIES:
                yield np.full((len(x), 1), np.nan)
            elif k:
                chosen = (column[:, None] == np.arange(k)).astype(np.float64)
                yield np.where(np.isnan(column)[:, None], np.nan, chosen)
            else:
                yield column[:, None]

    def summed(self, costs: Floats) -> Floats:
        """Return costs of columns (n, width) as those of values (n, d)."""
        return np.asarray(np.add.reduceat(costs, self.starts, axis=1)) if any(self.categories) else costs
