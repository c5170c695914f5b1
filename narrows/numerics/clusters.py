"""Groups of records: as many normal distributions as describe them best, of one shape and each of its own size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Clusters"]

Floats = NDArray[np.float64]

_NUMBERS = (1, 2, 3, 4, 6, 8, 12, 16)
_FEWEST = 10  # records of a cluster, on average
_STARTS, _STEPS = 2, 30
_LEAST_VARIANCE, _LEAST_SIZE = 1e-3, 1e-2


@dataclass(frozen=True, eq=False)
class Clusters:
    """Records (n, d) in k clusters: normal distributions with the covariances s_c² S.

    Attributes
    ----------
    labels : ndarray of int, shape (n,)
        The cluster of each record.
    centres : ndarray of shape (k, d)
    shares : ndarray of shape (k,)
        Of the records.
    sizes : ndarray of shape (k,)
        The squares s_c².
    covariance : ndarray of shape (d, d)
        S.
    """

    labels: NDArray[np.int64]
    centres: Floats
    shares: Floats
    sizes: Floats
    covariance: Floats

    @classmethod
    def fit(cls, x: Floats, rng: np.random.Generator) -> Self:
        """Return the clusters of records (n, d) of about unit variance, at most 16.

        They are found by k-means (Lloyd 1982). The number is the one with the smallest Bayesian information criterion
        of the classification likelihood (Celeux and Govaert 1995).
        """
        found = [cls.of(x, _k_means(x, k, rng)) for k in _NUMBERS if k == 1 or k * _FEWEST <= len(x)]
        return min(found, key=lambda one: one._criterion(x))

    @classmethod
    def of(cls, x: Floats, labels: NDArray[np.int64]) -> Self:
        """Return the clusters of records (n, d) whose labels are known, each from 0 on and given at least once."""
        (n, d), counts = x.shape, np.bincount(labels)
        sums = np.zeros((len(counts), d))
        np.add.at(sums, labels, x)
        centres = sums / counts[:, None]
        away, sizes = x - centres[labels], np.ones(len(counts))
        for _ in range(3):
            scaled = away / np.sqrt(sizes)[labels, None]
            covariance = scaled.T @ scaled / n
            covariance[np.diag_indices(d)] = covariance.diagonal() * (1 + d / n) + _LEAST_VARIANCE
            distances = np.einsum("ni,ni->n", away @ np.linalg.inv(covariance), away)
            sizes = np.maximum(np.bincount(labels, distances) / (counts * d), _LEAST_SIZE)
        return cls(labels, centres, counts / n, sizes, covariance)

    def distances(self, x: Floats) -> Floats:
        """Return the squared Mahalanobis distances of the records (n, d) from the centres of their clusters, (n,)."""
        away = x - self.centres[self.labels]
        return np.asarray(np.einsum("ni,ni->n", away @ np.linalg.inv(self.covariance), away) / self.sizes[self.labels])

    def separation(self, x: Floats) -> float:
        """Return how far the clusters of the records (n, d) are apart, from 0 to 1; 0 for a single one.

        It is the mean of 1 - a / b, where a and b are the distances of a record from the nearest two centres.
        """
        if len(self.centres) == 1:
            return 0.0
        nearest = np.sqrt(np.partition(_squares(x, self.centres), 1, axis=1)[:, :2])
        return float(np.mean(1 - nearest[:, 0] / np.maximum(nearest[:, 1], 1e-300)))

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n records (n, d) of the distribution."""
        variances, directions = np.linalg.eigh(self.covariance)
        root = np.sqrt(np.maximum(variances, 0))[:, None] * directions.T
        chosen = rng.choice(len(self.shares), n, p=self.shares)
        noise = rng.normal(size=(n, len(root))) @ root
        return np.asarray(self.centres[chosen] + np.sqrt(self.sizes)[chosen, None] * noise)

    def _criterion(self, x: Floats) -> float:
        (n, d), k = x.shape, len(self.shares)
        of_labels = d * np.log(self.sizes) - 2 * np.log(self.shares)
        deviance = n * np.linalg.slogdet(self.covariance)[1] + n * (self.shares @ of_labels) + self.distances(x).sum()
        return float(deviance + (k * (d + 2) + d * (d + 1) / 2) * np.log(n))


def _k_means(x: Floats, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the clusters of records (n, d) with the smallest squared distances, of a few starts; none is empty."""
    best, least = np.zeros(len(x), np.int64), np.inf
    for _ in range(_STARTS if k > 1 else 0):
        centres = _spread(x, k, rng)
        for _ in range(_STEPS):
            squares = _squares(x, centres)
            labels = squares.argmin(axis=1)
            sums, counts = np.zeros_like(centres), np.bincount(labels, minlength=k)
            np.add.at(sums, labels, x)
            moved = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
            if np.array_equal(moved, centres):
                break
            centres = moved
        total = float(squares.min(axis=1).sum())
        if total < least:
            best, least = np.unique(labels, return_inverse=True)[1], total
    return best


def _spread(x: Floats, k: int, rng: np.random.Generator) -> Floats:
    """Return k of the records, drawn by their squared distance from those before (Arthur and Vassilvitskii 2007)."""
    centres = x[rng.integers(len(x))][None]
    while len(centres) < k:
        away = _squares(x, centres).min(axis=1)
        total = away.sum()
        chosen = rng.choice(len(x), p=away / total) if total > 0 else rng.integers(len(x))
        centres = np.concatenate([centres, x[chosen][None]])
    return np.asarray(centres)


def _squares(x: Floats, centres: Floats) -> Floats:
    """Return the squared distances of records (n, d) from centres (k, d), (n, k)."""
    found = np.square(x).sum(axis=1)[:, None] + np.square(centres).sum(axis=1) - 2 * x @ centres.T
    return np.asarray(np.maximum(found, 0))
