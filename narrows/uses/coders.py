"""Autoencoders that measure records for their novelty: linear ones, which are fitted at once, and trained models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from narrows.numerics.principal import principal_directions
from narrows.uses.novelty import Measured

if TYPE_CHECKING:  # PyTorch is imported only with a model
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["MOST_FITTED", "Coder", "LinearCoder", "ModelCoder"]

Floats = npt.NDArray[np.float64]

MOST_FITTED = 4000  # records that a linear autoencoder is fitted to
_RIDGE = 0.03  # of codes of records with missing values; the directions have unit length
_ENOUGH = 0.5  # share of the values of a record that must be there


class Coder(Protocol):
    """Measures records (n, steps, channels), in which missing values are replaced by estimates."""

    def measure(self, records: Floats, observed: npt.NDArray[np.bool_] | None = None) -> Measured:
        """Return codes and squared errors of records.

        Parameters
        ----------
        records : ndarray of shape (n, steps, channels)
        observed : ndarray of bool, of the same shape, optional
            Which values are not estimates. Estimates have no errors.
        """
        ...


@dataclass(frozen=True, eq=False)
class LinearCoder:
    """A linear autoencoder at the principal components of the training records.

    Attributes
    ----------
    mean : ndarray of shape (steps, channels)
        The mean training record.
    scale : ndarray of shape (channels,)
        Standard deviations of the channels, the units of errors.
    directions : ndarray of shape (k, steps * channels)
        Rows of the decoder.
    n_restored, n_code : int
        Latent dimensions of the reconstruction, and of the codes that are compared; k is the larger of them.
    """

    mean: Floats
    scale: Floats
    directions: npt.NDArray[np.float32]
    n_restored: int
    n_code: int

    @classmethod
    def fit(cls, records: Floats, scale: Floats, n_restored: int, n_code: int) -> LinearCoder:
        """Return the linear autoencoder of the smallest squared error of records (n, steps, channels)."""
        some = records[:: max(1, -(-len(records) // MOST_FITTED))]
        mean = np.asarray(some.mean(axis=0, dtype=np.float64))
        flat = ((some - mean) / scale).reshape(len(some), -1).astype(np.float32)
        k = min(max(n_restored, n_code), *flat.shape)
        directions = principal_directions(flat, k, seed=0)
        return cls(mean, scale, directions, min(n_restored, k), min(n_code, k))

    def measure(self, records: Floats, observed: npt.NDArray[np.bool_] | None = None) -> Measured:
        away = ((records - self.mean) / self.scale).astype(np.float32)
        codes = self._codes(away.reshape(len(away), -1), observed)
        restored = codes[:, : self.n_restored] @ self.directions[: self.n_restored]
        errors = away - restored.reshape(away.shape)
        return Measured(codes[:, : self.n_code].astype(np.float64), _sums(away, observed), _sums(errors, observed))

    def _codes(self, away: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float32]:
        """Return the codes (n, k): where values are missing, those that restore the others best."""
        codes = away @ self.directions.T
        if observed is None:
            return codes
        there = observed.reshape(away.shape)
        gaps = np.flatnonzero(~there.all(axis=1))
        if len(gaps):
            weights = there[gaps].astype(np.float32)
            pairs = (self.directions[:, None] * self.directions).reshape(-1, away.shape[1])
            k = len(self.directions)
            matrix = (weights @ pairs.T).reshape(-1, k, k) + _RIDGE * np.eye(k, dtype=np.float32)
            codes[gaps] = np.linalg.solve(matrix, ((away[gaps] * weights) @ self.directions.T)[..., None])[..., 0]
        return codes


@dataclass(frozen=True, eq=False)
class ModelCoder:
    """A trained model. The mean record and the units of errors are those of the training series.

    Attributes
    ----------
    model : Autoencoder
    mean : ndarray of shape (steps, channels)
    scale : ndarray of shape (channels,)
    """

    model: Autoencoder
    mean: Floats
    scale: Floats

    def measure(self, records: Floats, observed: npt.NDArray[np.bool_] | None = None) -> Measured:
        given: npt.NDArray[Any] = records.reshape(len(records), *self.model.shape_).astype(
            self.model.model_.schema.dtype
        )
        errors = self.model.reconstruction_error(given, per="value").reshape(records.shape)
        codes = self.model.transform(given)
        away = (records - self.mean) / self.scale
        return Measured(
            np.asarray(codes, np.float64).reshape(len(records), -1),
            _sums(away, observed),
            _sums(np.sqrt(errors) / self.scale, observed),
        )


def _sums(errors: npt.NDArray[Any], observed: npt.NDArray[np.bool_] | None) -> Floats:
    """Return the sums of squared errors over the steps, (n, channels), as if no value were missing.

    NaN for records of which too many values are missing.
    """
    if observed is None:
        return np.asarray(np.einsum("nsc,nsc->nc", errors, errors), np.float64)
    counts = observed.sum(axis=1)
    total = np.asarray((np.square(errors) * observed).sum(axis=1), np.float64)
    total *= errors.shape[1] / np.maximum(counts, 1)
    total[counts.mean(axis=1) < _ENOUGH * errors.shape[1]] = np.nan
    return total
