"""Principal components of the training data. They are the best linear autoencoder; every model is compared with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.data.fill import is_fill
from narrows.model.artefacts.contract import Artefact, TrainingRecords
from narrows.model.comparison import check_against_pca
from narrows.numerics.batches import batch_size
from narrows.numerics.imputation import impute
from narrows.numerics.principal import principal_directions, weighted_mean
from narrows.numerics.randomness import Stream, integer, rng

if TYPE_CHECKING:
    from narrows.model.fitted import FittedModel

__all__ = ["PrincipalComponents", "value_scale"]

# Largest number of values to fit to; larger data are sampled at random.
_MOST_VALUES = 2**26
_BATCH = 4096
_SMALL, _LARGE = 2.0**-60, 2.0**60  # largest magnitudes between these keep their digits and squares in float32


@dataclass(frozen=True, eq=False)
class PrincipalComponents(Artefact, name="pca", title="PCA"):
    """A fitted PCA.

    Attributes
    ----------
    mean : ndarray of shape (d,), float64
        Mean of the training records. It is subtracted in float64, so that values far from zero keep their digits.
    components : ndarray of shape (k, d), float32
        Orthonormal directions of largest variance, in descending order.
    scale : ndarray of shape (d,), float64, or None
        Divisor of the centred values, where columns have different units or float32 cannot represent them. 0 for
        values that are constant: their code is 0, and they are restored as the mean.
    fill_value : float or None
        The value that stands for missing values, which count as the mean.
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float32]
    scale: NDArray[np.float64] | None = None
    fill_value: float | None = None

    @property
    def depends_on_weights(self) -> bool:
        return False

    @classmethod
    def applies(cls, model: FittedModel) -> bool:
        return model.chain.likelihood.columns is None  # numbers of categories have no components

    @classmethod
    def measure(cls, model: FittedModel, records: TrainingRecords) -> Self:
        n_components, scale = model.chain.bottleneck.n_symbols, value_scale(model.chain)
        known: dict[str, Any] = {"scale": scale, "fill_value": model.chain.parts.fill_value}
        weights = records.unlabelled.weights
        if weights is not None:
            known["weights"] = weights.double().cpu().numpy()
        return cls.fit(records.values, n_components, model.seed, rows=records.rows, **known)

    def check(self, model: FittedModel, records: TrainingRecords) -> None:
        if not model.chain.parts.n_classes:
            check_against_pca(model, self, records.unlabelled)

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        tensors: dict[str, NDArray[Any]] = {"pca.mean": self.mean, "pca.components": self.components}
        return tensors if self.scale is None else {**tensors, "pca.scale": self.scale}

    @classmethod
    def from_file(
        cls, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any], model: FittedModel
    ) -> Self | None:
        if "pca.mean" not in tensors:
            return None
        fill_value = model.chain.parts.fill_value
        return cls(tensors["pca.mean"], tensors["pca.components"], tensors.get("pca.scale"), fill_value)

    @classmethod
    def fit(
        cls,
        values: NDArray[Any],
        n_components: int,
        seed: int,
        *,
        rows: NDArray[np.int64] | None = None,
        scale: NDArray[np.float64] | None = None,
        fill_value: float | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Fit PCA with at most min(n, d) components to records (n, *shape), or to some rows of them.

        Missing values, equal to the fill value, are estimated (`narrows.numerics.imputation`). With weights (n,), the
        mean and the covariance are weighted.
        """
        rows = np.arange(len(values)) if rows is None else rows
        d = math.prod(values.shape[1:])
        if len(rows) * d > _MOST_VALUES:
            most = min(max(_MOST_VALUES // d, 2), len(rows))
            rows = np.sort(rng(seed, Stream.PCA_ROWS).choice(rows, most, replace=False))
        x = values[rows].reshape(len(rows), d)
        w = None if weights is None else weights[rows]
        missing = None if fill_value is None else is_fill(x, fill_value)
        if missing is None:
            mean = _mean(x, scale, w)
        else:
            mean = _mean_of_known(x, missing, w)
            x = np.where(missing, mean.astype(x.dtype), x)
        scale = _representable(x, mean) if scale is None else scale
        # Squares of 64-bit integers overflow float32. Scaling to about 1 by a power of two is exact.
        centred = _centred(x, mean, scale)
        exponent = math.frexp(max(centred.max(), -centred.min()))[1]
        np.ldexp(centred, -exponent, out=centred)
        if missing is not None:
            centred[missing] = 0
            impute(centred, missing, n_components, w)
        solver = integer(seed, Stream.PCA_SOLVER)
        components = principal_directions(centred, min(n_components, *x.shape), w, seed=solver)
        return cls(mean, components, scale, fill_value)

    def first(self, n: int) -> Self:
        """Return the first n components."""
        return replace(self, components=self.components[:n])

    def in_units(self, unit: float) -> Self:
        """Return the PCA of records that are divided by a unit."""
        fill_value = None if self.fill_value is None else self.fill_value / unit
        scale = None if self.scale is None else self.scale / unit
        return replace(self, mean=self.mean / unit, scale=scale, fill_value=fill_value)

    def encode(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return the codes (n, k) of records (n, *shape)."""
        size = batch_size(values.shape[1:], _BATCH)
        batches = (values[start : start + size] for start in range(0, len(values), size))
        with np.errstate(over="ignore", invalid="ignore"):  # records far beyond the training data
            return np.concatenate(
                [_centred(self._filled(x), self.mean, self.scale) @ self.components.T for x in batches]
            )

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the flat records (n, d) of codes (n, k)."""
        with np.errstate(over="ignore", invalid="ignore"):
            restored: NDArray[Any] = codes.astype(np.float32) @ self.components
        return restored * (1.0 if self.scale is None else self.scale) + self.mean

    def errors(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the flat errors (n, d) of records (n, *shape) after encoding and decoding; 0 for missing values."""
        flat = values.reshape(len(values), -1)
        errors = flat - self.decode(self.encode(values))
        return errors if self.fill_value is None else np.where(is_fill(flat, self.fill_value), 0.0, errors)

    def _filled(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return flat records (n, d) of records (n, *shape), with the mean in place of missing values."""
        x = values.reshape(len(values), -1)
        return x if self.fill_value is None else np.where(is_fill(x, self.fill_value), self.mean, x)


def _mean(
    x: NDArray[Any], scale: NDArray[np.float64] | None, weights: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the mean of records (n, d), weighted by weights (n,); of equal values exactly if the scale is 0."""
    mean = weighted_mean(x, weights)
    if scale is not None and not scale.all():
        (columns,) = np.nonzero(scale == 0)
        constant = x[:, columns]
        mean[columns] = np.where((constant == constant[0]).all(axis=0), constant[0], mean[columns])
    return mean


def _mean_of_known(
    x: NDArray[Any], missing: NDArray[np.bool_], weights: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the mean of the values of records (n, d) that are not missing; 0 if all values of a column are.

    The mean of equal values is exact.
    """
    known = ~missing
    if weights is None:
        mean = x.sum(axis=0, dtype=np.float64, where=known) / np.maximum(known.sum(axis=0), 1)
    else:
        shares = weighted_mean(known, weights)
        mean = weighted_mean(np.where(known, x, 0), weights) / np.where(shares > 0, shares, 1)
    low, high = (np.where(known, x, mean).min(axis=0), np.where(known, x, mean).max(axis=0))
    return np.asarray(np.where(low == high, low, mean))


def _representable(x: NDArray[Any], mean: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return a power of two in whose units float32 represents x − mean; None if it does so without."""
    if x.dtype.kind != "f":
        return None
    away = float(np.maximum(x.max(axis=0) - mean, mean - x.min(axis=0)).max())
    if _SMALL < away < _LARGE or away == 0:
        return None
    return np.full(mean.shape, math.ldexp(1.0, math.frexp(away)[1]))


def _centred(x: NDArray[Any], mean: NDArray[np.float64], scale: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """Return records x (n, d) without the mean, in units of the scale."""
    by = None if scale is None else np.where(scale > 0, scale, np.inf)
    centred = np.empty(x.shape, np.float32)
    size = batch_size(mean.shape, _BATCH)
    for start in range(0, len(x), size):
        away = x[start : start + size] - mean
        centred[start : start + size] = away if by is None else away / by
    return centred


def value_scale(chain: Chain) -> NDArray[np.float64] | None:
    """Return the size of one preprocessed unit for each value, (d,); None where all values share one unit."""
    unit = chain.preprocessor.unit.expand(chain.shape).flatten().numpy()
    return None if (unit == unit[0]).all() else unit.copy()
