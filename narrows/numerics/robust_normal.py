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
_SMALLEST = 1e-12
_MOST_FITTED = 20_000
_LEAST_VARIANCE = 1e-3


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
    def fit(cls, x: Floats, *, trim: float, ridge: float, least: float = _LEAST_VARIANCE) -> Self:
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
        least : float
            The smallest variance of a value: records that are kept may all be equal there.
        """
        some = x[:: -(-len(x) // _MOST_FITTED)]
        kept = some
        found = cls._of(kept, ridge, least)
        for _ in range(_STEPS if trim else 0):
            distances = found.distances(some)
            kept = some[distances <= np.quantile(distances, 1 - trim)]
            found = cls._of(kept, ridge, least)
        return found

    @classmethod
    def _of(cls, x: Floats, ridge: float, least: float) -> Self:
        mean = x.mean(axis=0)
        away = x - mean
        covariance = away.T @ away / max(len(x) - 1, 1)
        variances = np.maximum(covariance.diagonal(), least)
        covariance[np.diag_indices(len(variances))] = (1 + ridge) * variances
        return cls(mean, np.linalg.inv(covariance))

    def distances(self, x: Floats) -> Floats:
        """Return the squared Mahalanobis distances of records (n, d), shape (n,)."""
        away = x - self.mean
        return np.asarray(np.einsum("ni,ni->n", away @ self.precision, away))

    def costs(self, x: Floats) -> Floats:
        """Return (x_j - m_j|·)² Ω_jj of all values of records (n, d): squared errors of `expected`, 1 is usual."""
        return np.asarray((x - self.expected(x)) ** 2 * self.precision.diagonal())

    def joint_costs(self, x: Floats) -> Floats:
        """Return parts (n, d) of the squared Mahalanobis distances of records, none of which is negative.

        They are in proportion to `costs`: to how much less the distance is if a value is the expected one.
        """
        less = self.costs(x) + _SMALLEST
        return np.asarray(self.distances(x)[:, None] * less / less.sum(axis=1, keepdims=True))

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
