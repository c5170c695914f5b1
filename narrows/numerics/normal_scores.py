"""Columns of numbers as normal scores: by the rank of a value, whatever the distribution of its column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["NormalScores"]

Floats = NDArray[np.float64]

_KNOTS = 1000
_MOST_FITTED = 50_000


@dataclass(frozen=True, eq=False)
class NormalScores:
    """The map of each column to a standard normal distribution: Φ⁻¹ of the share of smaller values.

    It is linear between knots, and constant beyond the smallest and the largest training value. Equal values share the
    score of their mean rank.

    Attributes
    ----------
    values, scores : ndarray of shape (k, d)
        The knots of each column, ascending.
    """

    values: Floats
    scores: Floats

    @classmethod
    def fit(cls, x: Floats) -> Self:
        """Return the map of the columns of records (n, d)."""
        from scipy.special import ndtri

        some = np.sort(x[:: -(-len(x) // _MOST_FITTED)], axis=0)
        columns = []
        for column in some.T:
            values, first, counts = np.unique(column, return_index=True, return_counts=True)
            scores = ndtri((first + counts / 2) / len(column))
            chosen = np.unique(np.linspace(0, len(values) - 1, _KNOTS).round().astype(int))
            columns.append((values[chosen], scores[chosen]))
        k = max(len(values) for values, _ in columns)
        padded = [[np.pad(one, (0, k - len(one)), mode="edge") for one in column] for column in columns]
        return cls(*(np.stack(parts, axis=1) for parts in zip(*padded, strict=True)))

    def __call__(self, x: Floats) -> Floats:
        """Return the scores of records (n, d)."""
        columns = [np.interp(*column) for column in zip(x.T, self.values.T, self.scores.T, strict=True)]
        return np.stack(columns, axis=1) if columns else np.empty(x.shape)
