"""What is known of the columns of a table without a network: each column on its own, PCA, and the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.model.artefacts.contract import Artefact, TrainingRecords
from narrows.numerics.principal import principal_directions
from narrows.numerics.randomness import Stream, integer

if TYPE_CHECKING:
    from narrows.model.fitted import FittedModel

__all__ = ["ColumnBaselines", "row_digests"]

Floats = NDArray[np.float64]

_BINS = 256  # of the histogram of a column of numbers
_MOST = 1 << 17  # training rows that all but the digests are measured on
_MOST_DIGESTS = 1 << 22
_PRIOR = 0.5  # count of each bin before any row


@dataclass(frozen=True, eq=False)
class ColumnBaselines(Artefact, name="columns", title="baselines of columns"):
    """Histograms of all columns, PCA of their values, and a digest of each training row.

    PCA is of centred features: the squashed numbers divided by their deviations, and the one-hot categories. It has as
    many components as the code has numbers. A missing cell has the mean of its features.

    Attributes
    ----------
    edges : ndarray of shape (m,)
        The ends of the bins of all columns of numbers, one column after the other.
    counts : ndarray of shape (k,)
        The counts of all bins and categories, one column after the other.
    sizes : ndarray of int64, shape (n_columns, 2)
        The numbers of edges and counts of each column.
    mean, scale : ndarray of shape (d,)
        The means and deviations of the features.
    components : ndarray of shape (n_components, d)
    digests : ndarray of uint32, shape (n,)
        Sorted digests of training rows.
    """

    edges: Floats
    counts: Floats
    sizes: NDArray[np.int64]
    mean: Floats
    scale: Floats
    components: Floats
    digests: NDArray[np.uint32]

    @property
    def depends_on_weights(self) -> bool:
        return False

    @classmethod
    def applies(cls, model: FittedModel) -> bool:
        return model.chain.likelihood.columns is not None

    @classmethod
    def measure(cls, model: FittedModel, records: TrainingRecords) -> Self:
        chain = model.chain
        assert chain.likelihood.columns is not None, "the artefact applies to rows of tables"
        rows = np.arange(len(records.values)) if records.rows is None else records.rows
        values = np.asarray(records.values, np.float64)[rows]
        some = values[:: -(-len(values) // _MOST)]
        edges, counts, sizes = [], [], []
        units = resolutions(chain)
        for f, k in enumerate(chain.likelihood.columns):
            known = some[:, f][~np.isnan(some[:, f])]
            ends = np.zeros(0) if k else _edges(known, units[f])
            of_bins = _counts(known, k, ends)
            edges.append(ends)
            counts.append(of_bins)
            sizes.append((len(ends), len(of_bins)))
        x = features(chain, some)
        mean = np.nan_to_num(np.nanmean(np.where(np.isnan(x).all(0), 0.0, x), 0))
        scale = np.nan_to_num(np.nanstd(np.where(np.isnan(x).all(0), 0.0, x), 0))
        scale = np.where(_are_numbers(chain) & (scale > 0), scale, 1.0)
        centred = np.nan_to_num((x - mean) / scale).astype(np.float32)
        n = min(model.n_latent, *centred.shape)
        components = principal_directions(centred, n, None, seed=integer(model.seed, Stream.PCA_SOLVER))
        digests = np.sort(row_digests(values[:_MOST_DIGESTS]))
        joined = (np.concatenate(edges), np.concatenate(counts), np.array(sizes, np.int64))
        return cls(*joined, mean, scale, components.astype(np.float64), digests)

    def bits(self, chain: Chain, values: Floats) -> Floats:
        """Return −log₂ p of each cell (n, n_columns) by the histogram of its column; 0 for missing cells."""
        units, found = resolutions(chain), np.zeros(values.shape)
        ends, stops = np.cumsum(self.sizes, 0), self.sizes
        for f, k in enumerate(chain.likelihood.columns or ()):
            edges = self.edges[ends[f, 0] - stops[f, 0] : ends[f, 0]]
            counts = self.counts[ends[f, 1] - stops[f, 1] : ends[f, 1]]
            p = (counts + _PRIOR) / (counts + _PRIOR).sum()
            known = ~np.isnan(values[:, f])
            x = values[known, f]
            if k:
                found[known, f] = -np.log2(p[np.clip(x.astype(np.int64), 0, len(p) - 1)])
                continue
            widths = np.maximum(np.round(np.diff(edges, prepend=edges[:1] - units[f]) / units[f]), 1.0)
            place = np.clip(np.searchsorted(edges, x), 0, len(edges) - 1)
            outside = (x < edges[0]) | (x > edges[-1])
            mass = np.where(outside, p.min() / max(widths.sum(), 1.0), p[place] / widths[place])
            found[known, f] = -np.log2(mass)
        return found

    def restored(self, chain: Chain, values: Floats) -> Floats:
        """Return rows (n, n_columns) after PCA: the squashed numbers, and the categories of the largest features."""
        centred = self.centred(chain, values)
        x = (centred @ self.components.T @ self.components) * self.scale + self.mean
        made, at = np.empty(values.shape), 0
        for f, k in enumerate(chain.likelihood.columns or ()):
            made[:, f] = x[:, at : at + k].argmax(1) if k else np.sinh(np.clip(x[:, at], -80, 80))
            at += k or 1
        return _from_units(chain, made)

    def centred(self, chain: Chain, values: Floats) -> Floats:
        """Return the features (n, d) of rows (n, n_columns), centred; 0 for missing cells."""
        return np.nan_to_num((features(chain, values) - self.mean) / self.scale)

    def n_known_rows(self, values: Floats) -> int:
        """Return how many rows (n, n_columns) are training rows, by their digests."""
        return int(np.isin(row_digests(values), self.digests).sum())

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        return {f"table.{name}": getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_file(
        cls, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any], model: FittedModel
    ) -> Self | None:
        if "table.edges" not in tensors:
            return None
        found = cls(**{name: tensors[f"table.{name}"] for name in cls.__dataclass_fields__})
        columns = model.chain.likelihood.columns or ()
        n_features, sizes = sum(k or 1 for k in columns), found.sizes
        shapes = [sizes.shape == (len(columns), 2), found.mean.shape == found.scale.shape == (n_features,)]
        shapes.append(found.components.ndim == 2 and found.components.shape[1:] == (n_features,))
        if not all(shapes) or sizes.min(initial=0) < 0:
            raise ValueError("the baselines of columns do not fit the columns")
        if tuple(sizes.sum(0)) != (len(found.edges), len(found.counts)) or (sizes[:, 1] < 1).any():
            raise ValueError("the baselines of columns do not fit the columns")
        return found


def resolutions(chain: Chain) -> Floats:
    """Return the size of the interval of each number, (n_columns,), in the units of the records."""
    delta: Floats = chain.likelihood.get_buffer("delta").cpu().numpy()
    unit: Floats = chain.preprocessor.unit.expand(chain.shape).cpu().numpy()
    return 2 * delta * unit


def features(chain: Chain, values: Floats) -> Floats:
    """Return the features (n, d) of rows (n, n_columns), NaN for missing cells."""
    columns, parts = chain.likelihood.columns or (), []
    offset, scale = (one.numpy() for one in chain.preprocessor.offset_and_scale(chain.shape, chain.device))
    for f, k in enumerate(columns):
        x = values[:, f]
        if k:
            one_hot = (np.nan_to_num(x, nan=-1.0)[:, None] == np.arange(k)).astype(np.float64)
            parts.append(np.where(np.isnan(x)[:, None], np.nan, one_hot))
        else:
            parts.append(np.arcsinh((x - offset[f]) / (scale[f] or 1.0))[:, None])
    return np.concatenate(parts, 1)


def row_digests(values: Floats) -> NDArray[np.uint32]:
    """Return a digest of each row (n, n_columns); two different rows share one with a probability of 2⁻³²."""
    bits = np.where(np.isnan(values), np.nan, values + 0.0).astype(np.float64).view(np.uint64)
    found = np.full(len(values), 0x9E3779B97F4A7C15, np.uint64)
    with np.errstate(over="ignore"):
        for column in bits.T:
            found = (found ^ column) * np.uint64(0xBF58476D1CE4E5B9)
            found ^= found >> np.uint64(29)
        found *= np.uint64(0x94D049BB133111EB)
    return (found >> np.uint64(32)).astype(np.uint32)


def _are_numbers(chain: Chain) -> NDArray[np.bool_]:
    return np.concatenate([np.full(k or 1, not k) for k in chain.likelihood.columns or ()])


def _from_units(chain: Chain, x: Floats) -> Floats:
    """Return preprocessed rows in the units of the records."""
    offset, scale = (one.numpy() for one in chain.preprocessor.offset_and_scale(chain.shape, chain.device))
    return np.asarray(x * scale + offset)


def _edges(known: Floats, unit: float) -> Floats:
    """Return the upper ends of bins that hold about equally many numbers; frequent numbers have their own."""
    if not len(known):
        return np.zeros(1)
    quantiles = np.quantile(known, np.linspace(0, 1, _BINS + 1), method="nearest")
    values, times = np.unique(quantiles, return_counts=True)
    own = values[times > 1] - unit
    return np.unique(np.concatenate([values, own[own >= values[0]]]))


def _counts(known: Floats, k: int, edges: Floats) -> Floats:
    if k:
        return np.bincount(known.astype(np.int64), minlength=k).astype(np.float64)
    return np.bincount(np.searchsorted(edges, known).clip(0, len(edges) - 1), minlength=len(edges)).astype(np.float64)
