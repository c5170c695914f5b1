"""Distances to the nearest of the records that are usual, with the part of each value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["NearestUsual"]

Floats = NDArray[np.float64]

_MOST, _NEIGHBOURS = 1000, 5
_FAR = 4.0
_BATCH = 2048
_DECIMALS, _NEAREST = 9, 1e-9
_ORDER = 1e-12  # between records that are equally near


@dataclass(frozen=True, eq=False)
class NearestUsual:
    """Up to 1,000 usual records, to which others are compared.

    The records that a robust distribution finds likely are taken, so that outliers close to each other are not near to
    anything. Values count up to four standard deviations.

    Attributes
    ----------
    references : ndarray of shape (m, d), float32
        Records in standard deviations.
    """

    references: NDArray[np.float32]

    @classmethod
    def fit(cls, x: Floats) -> Self:
        """Return every so many of the records (n, d) of about unit variance, at most 1,000."""
        chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST)).round().astype(int))
        return cls(np.clip(x[chosen], -_FAR, _FAR).astype(np.float32))

    def costs(self, x: Floats) -> Floats:
        """Return the squared difference of each value (n, d) from those of the five nearest references, on average.

        A reference that is equal to the record is omitted once: the references are training records themselves.
        """
        parts = [self._costs(x[start : start + _BATCH]) for start in range(0, len(x), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros(x.shape)

    def _costs(self, x: Floats) -> Floats:
        known = self.references.astype(np.float64)
        limited = np.clip(x, -_FAR, _FAR).astype(np.float32).astype(np.float64)
        squares = np.square(limited).sum(axis=1)[:, None] + np.square(known).sum(axis=1) - 2 * limited @ known.T
        distances = np.maximum(squares, 0).round(_DECIMALS) + _ORDER * np.arange(len(known))
        nearest = distances.argmin(axis=1)
        is_self = distances[np.arange(len(x)), nearest] <= _NEAREST * (1 + x.shape[1])
        if len(known) > 1:
            distances[np.flatnonzero(is_self), nearest[is_self]] = np.inf
        k = min(_NEIGHBOURS, max(len(known) - 1, 1))
        order = np.argpartition(distances, k - 1, axis=1)[:, :k]
        total = np.zeros_like(limited)
        for column in np.sort(order, axis=1).T:
            total += np.square(limited - known[column])
        return total / k
