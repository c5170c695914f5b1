"""Novelty: how unlike the training records a record is, by its reconstruction and by its code.

An autoencoder alone is a mediocre detector: it restores many odd records well. Novelty has three terms:

- **mean**: the squared distance of the record from the mean training record. It is large for unusual levels.
- **restored**: the squared error of the reconstruction, which is the cost of the record in nats but for scale and
  constant, with a normal likelihood. It is large for unusual shapes.
- **nearest**: the distance of the code to the nearest codes of training records. It is large for records that the
  autoencoder restores but that did not occur in training.

The units of the terms are unrelated. Each is therefore measured in standard deviations t from its mean over the
training records. The score is the sum of log(1 + exp(2 t)) / 2, which is t if that is large and near 0 below the mean:
a window without any variation is near the mean record and well restored, and must not make up for its unusual code by
that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from narrows.errors import DataError

__all__ = ["OUTLIER", "TERMS", "Calibration", "Measured", "Novelty"]

Floats = npt.NDArray[np.float64]

TERMS = ("mean", "restored", "nearest")
OUTLIER = 5.0
"""Calibrated scores above this are outliers."""

_NEIGHBOURS = 5
_MEMORY = 1000  # codes of training records that are kept
_BATCH = 1024
_LEAST_DEVIATION = 0.5  # of a latent dimension, as a share of the largest: dimensions that hardly vary are noise
_NORMAL_QUARTILE = 0.6745


@dataclass(frozen=True, eq=False)
class Measured:
    """What an autoencoder computes of n records.

    Attributes
    ----------
    codes : ndarray of shape (n, k)
    from_mean : ndarray of shape (n, channels)
        Squared distance from the mean training record. NaN if too many values of a record are missing.
    restored : ndarray of shape (n, channels)
        Squared error of the reconstruction.
    """

    codes: Floats
    from_mean: Floats
    restored: Floats


@dataclass(frozen=True, eq=False)
class Novelty:
    """The terms of records, compared with those of training records.

    Attributes
    ----------
    codes : ndarray of shape (m, k)
        Codes of the training records that are kept, in the units of the latent dimensions.
    indices : ndarray of int, shape (m,)
        Which of the training records these are.
    positions : ndarray of int, shape (m,)
        Where these records begin.
    deviations : ndarray of shape (k,)
        Units of the latent dimensions: their standard deviations, but at least half of the largest.
    centres, spreads : ndarray of shape (3,)
        Mean and standard deviation of each term over the training records.
    usual : ndarray of shape (2, channels)
        Mean squared distance from the mean record, and mean squared error, of each channel.
    use_mean : bool
        Whether the first term counts.
    use_log : bool
        Whether terms are compared by their logarithms, so that a few extreme training records do not decide the units.
    """

    codes: Floats
    indices: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    deviations: Floats
    centres: Floats
    spreads: Floats
    usual: Floats
    use_mean: bool
    use_log: bool

    @classmethod
    def fit(
        cls,
        measured: Measured,
        positions: npt.NDArray[np.int64],
        apart: int,
        *,
        use_mean: bool = True,
        use_log: bool = False,
    ) -> Novelty:
        """Return the novelty of records compared with these.

        Parameters
        ----------
        measured : Measured
            The training records.
        positions : ndarray of int, shape (n,)
            Where each record begins: the first step of a window, or the index of a record.
        apart : int
            Records whose positions differ by less are no neighbours: a window resembles those that overlap it.
        """
        usable = np.flatnonzero(np.isfinite(measured.restored).all(axis=1))
        if not len(usable):
            raise DataError("No window has enough values: more than half of each is missing. Give a shorter window.")
        kept = usable[:: -(-len(usable) // _MEMORY)]
        deviations = measured.codes[usable].std(axis=0)
        largest = float(deviations.max()) or 1.0
        deviations = np.maximum(deviations, _LEAST_DEVIATION * largest)
        plain = cls(
            measured.codes[kept] / deviations,
            kept,
            positions[kept],
            deviations,
            centres=np.zeros(len(TERMS)),
            spreads=np.ones(len(TERMS)),
            usual=np.zeros((2, measured.restored.shape[1])),
            use_mean=use_mean,
            use_log=use_log,
        )
        terms = plain._terms(measured, plain._nearest(measured.codes, positions, apart)[0])[usable]
        spreads = terms.std(axis=0)
        return replace(
            plain,
            centres=terms.mean(axis=0),
            spreads=np.where(spreads > 0, spreads, 1.0),
            usual=np.stack([measured.from_mean[usable].mean(axis=0), measured.restored[usable].mean(axis=0)]),
        )

    def compare(
        self, measured: Measured, positions: npt.NDArray[np.int64] | None = None, apart: int = 0
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return the terms of each record, (n, 3), and which of the kept training records has the nearest code, (n,).

        The sum of the terms is the score. It is NaN for records without enough values.

        Parameters
        ----------
        measured : Measured
            The records.
        positions, apart
            As of `fit`, if these are the training records.
        """
        distances, nearest = self._nearest(measured.codes, positions, apart)
        terms = (self._terms(measured, distances) - self.centres) / self.spreads
        with np.errstate(invalid="ignore"):
            terms = np.logaddexp(0, 2 * terms) / 2
        if not self.use_mean:
            terms[:, 0] = 0
        return terms, nearest

    def by_channel(self, terms: Floats, measured: Measured, differences: Floats) -> Floats:
        """Return what each channel contributes to the score of each record, (n, channels); the sum is the score.

        Parameters
        ----------
        terms : ndarray of shape (n, 3)
            As returned by `compare`.
        measured : Measured
            The same records.
        differences : ndarray of shape (n, channels)
            Squared differences between the records and those with the nearest codes.
        """
        parts = (measured.from_mean - self.usual[0], measured.restored - self.usual[1], differences)
        total = np.zeros(differences.shape)
        for term, part in zip(terms.T, parts, strict=True):
            more = np.maximum(part, 1e-9)
            total += term[:, None] * more / more.sum(axis=1, keepdims=True)
        return total

    def _terms(self, measured: Measured, distances: Floats) -> Floats:
        """Return the terms of records in their own units, or their logarithms, (n, 3)."""
        terms = np.stack([measured.from_mean.sum(axis=1), measured.restored.sum(axis=1), distances], axis=1)
        return np.log(np.maximum(terms, 1e-12)) if self.use_log else terms

    def _nearest(
        self, codes: Floats, positions: npt.NDArray[np.int64] | None, apart: int
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return the distance to the nearest training codes, the root of the mean square of five, and the nearest."""
        distances, indices = np.empty(len(codes)), np.empty(len(codes), np.int64)
        codes = codes / self.deviations
        squares = (self.codes**2).sum(axis=1)
        k = min(_NEIGHBOURS, len(self.codes))
        for start in range(0, len(codes), _BATCH):
            rows = slice(start, start + _BATCH)
            square = (codes[rows] ** 2).sum(axis=1)[:, None] + squares - 2 * codes[rows] @ self.codes.T
            if positions is not None:
                square[np.abs(positions[rows, None] - self.positions) < apart] = np.inf
            indices[rows] = square.argmin(axis=1)
            nearest = np.partition(square, k - 1, axis=1)[:, :k]
            is_there = np.isfinite(nearest)
            total = np.where(is_there, np.maximum(nearest, 0), 0).sum(axis=1)
            distances[rows] = np.sqrt(total / np.maximum(is_there.sum(axis=1), 1))  # 0 if no record is far enough apart
        return distances, indices


@dataclass(frozen=True)
class Calibration:
    """The unit of scores: 0 is the median of the training data, 1 a standard deviation upwards if they were normal.

    The standard deviation is estimated from median and upper quartile, which outliers among the training data hardly
    change.
    """

    median: float
    unit: float

    @classmethod
    def fit(cls, scores: npt.NDArray[np.float64]) -> Calibration:
        """Return the calibration by scores of training data, some of which may be NaN."""
        median, quartile = np.nanquantile(scores, [0.5, 0.75])
        unit = (quartile - median) / _NORMAL_QUARTILE
        return cls(float(median), float(unit) if unit > 0 else float(np.nanstd(scores)) or 1.0)

    def __call__(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return scores in this unit."""
        calibrated: Floats = (scores - self.median) / self.unit
        return calibrated
