"""A normal distribution of records that outliers among them hardly change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["RobustNormal"]

Floats = NDArray[np.float64]

_STEPS = 5
_FAR = 4.0
_MOST_FITTED = 20_000
_LEAST_VARIANCE = 1e-3  # of a value, in its unit: records that are kept may all be equal there


@dataclass(frozen=True, eq=False)
class RobustNormal:
    """A normal distribution N(m, Ω⁻¹) fitted to the most likely records.

    Given all other values of a record, value j has the mean x_j − r_j / Ω_jj and the variance 1 / Ω_jj, where
    r = Ω (x − m). Such predictions are those of a linear autoencoder trained to restore values that are masked.
    The mean does not depend on x_j.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    precision : ndarray of shape (d, d)
        Ω.
    """

    mean: Floats
    precision: Floats

    @classmethod
    def fit(cls, x: Floats, *, trim: float, ridge: float) -> Self:
        """Return the distribution of records (n, d) without the share ``trim`` that is the least likely.

        It is fitted to all records first, then five times to those that the previous one finds the most likely: the
        concentration steps of the minimum covariance determinant (Rousseeuw and Van Driessen 1999).

        Parameters
        ----------
        x : ndarray of shape (n, d)
            Records of about unit variance.
        trim : float
            Share of records, from 0 to 1, excluded.
        ridge : float
            What is added to the variances, as a share of them. It is the variance of noise on the input.
        """
        some = x[:: -(-len(x) // _MOST_FITTED)]
        kept = some
        found = cls._of(kept, ridge)
        for _ in range(_STEPS if trim else 0):
            distances = found.distances(some)
            kept = some[distances <= np.quantile(distances, 1 - trim)]
            found = cls._of(kept, ridge)
        return found

    @classmethod
    def _of(cls, x: Floats, ridge: float) -> Self:
        mean = x.mean(axis=0)
        away = x - mean
        covariance = away.T @ away / max(len(x) - 1, 1)
        variances = np.maximum(covariance.diagonal(), _LEAST_VARIANCE)
        covariance[np.diag_indices(len(variances))] = (1 + ridge) * variances
        return cls(mean, np.linalg.inv(covariance))

    def distances(self, x: Floats) -> Floats:
        """Return the squared Mahalanobis distances of records (n, d), shape (n,)."""
        away = x - self.mean
        return np.asarray(np.einsum("ni,ni->n", away @ self.precision, away))

    def costs(self, x: Floats) -> Floats:
        """Return (x_j - m_j|·)² Ω_jj of all values of records (n, d): squared errors of `expected`, 1 is usual."""
        return np.asarray((x - self.expected(x)) ** 2 * self.precision.diagonal())

    def expected(self, x: Floats) -> Floats:
        """Return the mean of each value of records (n, d), given the other values of the record.

        The other values are limited to four deviations from their means, so that one that is far away does not make all
        the others unexpected.
        """
        away = x - self.mean
        limited = np.clip(away, -_FAR * self._deviations, _FAR * self._deviations)
        own = self.precision.diagonal()
        return np.asarray(self.mean + limited - (limited @ self.precision) / own)

    @cached_property
    def _deviations(self) -> Floats:
        return np.asarray(np.sqrt(np.linalg.inv(self.precision).diagonal()))

    def draw(self, n: int, rng: np.random.Generator, *, ridge: float) -> Floats:
        """Return n records of the distribution (n, d), without the noise of the ridge that it was fitted with.

        Values that are the same in all records that it was fitted to are the same here.
        """
        covariance = np.linalg.inv(self.precision)
        covariance[np.diag_indices(len(covariance))] /= 1 + ridge
        varies = covariance.diagonal() > 1.01 * _LEAST_VARIANCE
        variances, directions = np.linalg.eigh(covariance)
        z = rng.normal(size=(n, len(variances))) * np.sqrt(np.maximum(variances, 0))
        return np.asarray(self.mean + varies * (z @ directions.T))
