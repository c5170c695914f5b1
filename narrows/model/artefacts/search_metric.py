"""The metric of search: how much each number of a code counts in the distance of two records."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.errors import NotMeasuredError
from narrows.model.artefacts.contract import Artefact, TrainingRecords
from narrows.model.inference import Labels, corrupt
from narrows.model.search_codes import code_numbers
from narrows.numerics.batches import batch_size
from narrows.numerics.nearest import MOST_SQUARES, Points
from narrows.numerics.randomness import Stream, rng

if TYPE_CHECKING:
    from narrows.model.fitted import FittedModel

__all__ = ["SearchMetric"]

Floats = NDArray[np.float64]

_RECORDS, _BYTES = 2000, 64 << 20  # largest sample of training records
_QUERIES = 4  # every so many records of the sample is a query
_NEIGHBOURS = 10
_HEADROOM = 1.25  # coordinates reach so far beyond those of the sample before they are limited
_BATCH = 256
_FINE, _FURTHEST = float(1 << 20), float(1 << 21)  # steps of the longest code before its direction is taken


@dataclass(frozen=True)
class _Sample:
    """Training records, the labels that their model encodes them with, and those that they are compared by."""

    values: NDArray[Any]
    condition: Labels
    labels: NDArray[Any] | None


@dataclass(frozen=True, eq=False)
class SearchMetric(Artefact, name="search", title="metric of search"):
    """Distances of codes as whole numbers: number d counts with a weight w_d, in steps of one size for all numbers.

    The coordinates of a code z are q_d = round((z_d - c_d) w_d / unit), limited to ±l_d, and the distance of two codes
    is the length of the difference of their coordinates, times the unit. Σ l_d² ≤ 2²², so that squared distances are
    exact (`narrows.numerics.nearest`).

    If directions are compared, the coordinates of each code, in steps of 2⁻²⁰ of the longest, are scaled to the same
    length, which is a division by the root of an exact sum: noise and missing values shrink codes, and change their
    directions less.

    Three kinds of weights, each with lengths and without, are compared on training records: "output", the root of the
    mean squared change of the decoder's output for a change of one in the number; "plain", 1; "whitening", one over the
    standard deviation. The best are kept: those with the largest share, among the ten nearest codes, of records with
    the label of the query, if the training records have labels, otherwise of its ten nearest records themselves.
    Queries of a model that was trained with corruption are corrupted as in training.

    Attributes
    ----------
    weights : str
        The kind of weights that was chosen.
    centre, factors : ndarray of shape (n_latent,), float64
        c and w / unit.
    limits : ndarray of shape (n_latent,), int16
        l.
    unit : float
        The unit.
    length : float
        If directions are compared: the mean length of the coordinates before they are scaled; otherwise 0.
    measured : dict of str to float
        The share for each kind of weights; empty if nothing was compared.
    """

    weights: str
    centre: Floats
    factors: Floats
    limits: NDArray[np.int16]
    unit: float
    length: float = 0.0
    measured: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.centre)
        arrays: dict[str, NDArray[Any]] = {"centre": self.centre, "factors": self.factors, "limits": self.limits}
        for name, array in arrays.items():
            if array.shape != (n,) or n == 0 or not np.isfinite(array).all():
                raise ValueError(f"the array 'search.{name}' must be finite, of shape ({n},). Got {array.shape}")
        total = 0 if self.length else int(np.square(self.limits.astype(np.int64)).sum())
        if self.limits.dtype != np.int16 or self.limits.min() < 0 or total > MOST_SQUARES:
            raise ValueError("the array 'search.limits' must be of int16, at least 0, with squares of at most 2^22")
        if not (isinstance(self.unit, float) and 0 < self.unit < math.inf):
            raise ValueError(f"the unit of the metric of search must be a number above 0. Got {self.unit!r}")
        if not (isinstance(self.length, float) and 0 <= self.length < math.inf):
            raise ValueError(f"the length of the metric of search must be a number from 0. Got {self.length!r}")

    @classmethod
    def measure(cls, model: FittedModel, records: TrainingRecords) -> Self:
        return cls._measured(model.chain, cls.sample_of(records, model.seed))

    @classmethod
    def prepare(cls, model: FittedModel, records: TrainingRecords) -> Callable[[], Self] | None:
        return partial(cls._measured, model.chain, cls.sample_of(records, model.seed))

    @classmethod
    def for_records(
        cls, chain: Chain, values: NDArray[Any], labels: NDArray[Any] | None, classes: Labels, seed: int = 0
    ) -> Self:
        """Return the metric that is measured on records (n, *shape), with their labels (n,) if there are any.

        Parameters
        ----------
        classes : ndarray of shape (n,), int64, or None
            The classes that a conditional chain gets with the records; None for other chains.

        Raises
        ------
        NotMeasuredError
            If the codes are not finite.
        """
        return cls._measured(chain, _sample(values, np.arange(len(values)), labels, classes, seed))

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        return {"search.centre": self.centre, "search.factors": self.factors, "search.limits": self.limits}

    def to_json(self) -> dict[str, Any]:
        return {
            "search": {"weights": self.weights, "unit": self.unit, "length": self.length, "measured": self.measured}
        }

    @classmethod
    def from_file(
        cls, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any], model: FittedModel
    ) -> Self | None:
        metric = cls.from_entries(tensors, header)
        if metric is not None and metric.n_numbers != model.n_latent:
            raise ValueError(f"the metric of search must have {model.n_latent} numbers. Got {metric.n_numbers}")
        return metric

    @classmethod
    def from_entries(cls, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> Self | None:
        """Return the metric stored by `to_tensors` and `to_json`; None if there is none.

        Raises
        ------
        ValueError
            If the entries are not valid.
        """
        if "search.centre" not in tensors:
            return None
        described = header.get("search")
        names = ("centre", "factors", "limits")
        if not isinstance(described, Mapping) or not all(f"search.{name}" in tensors for name in names):
            raise ValueError("the metric of search is incomplete")
        arrays = {name: tensors[f"search.{name}"] for name in names}
        measured = dict(described.get("measured") or {})
        unit, length = described.get("unit", 0.0), described.get("length", 0.0)
        return cls(str(described.get("weights")), **arrays, unit=unit, length=length, measured=measured)

    @property
    def n_numbers(self) -> int:
        """The number of numbers of a code."""
        return len(self.centre)

    @classmethod
    def of(cls, kind: str, codes: Floats, weights: Floats, *, directions: bool = False) -> Self:
        """Return the metric with weights (d,) and coordinates as fine as they can be for codes like these (n, d).

        With ``directions`` only the directions of the codes from their mean count.

        Examples
        --------
        >>> metric = SearchMetric.of("plain", np.array([[0.0, 1.0], [2.0, 1.0]]), np.ones(2))
        >>> metric.coordinates(np.array([[0.0, 1.0], [1.0, 5.0]])).tolist(), metric.limits.tolist()
        ([[-1638, 0], [0, 0]], [2048, 0])
        """
        centre = codes.mean(axis=0)
        reach = _HEADROOM * np.abs(codes - centre).max(axis=0) * weights
        length = float(np.sqrt(np.square(reach).sum()))
        if not math.isfinite(length):
            raise NotMeasuredError("The codes of the training records are so large that their squares are not finite.")
        used = np.where(reach > 0, weights, 0.0)
        if directions and length > 0:
            radius = _radius(codes.shape[1])
            factors = used * (_FINE / length)
            typical = float(np.sqrt(np.square((codes - centre) * factors).sum(axis=1)).mean())
            limits = np.full(codes.shape[1], radius, np.int16)
            return cls(f"{kind}-directions", centre, factors, limits, 1 / radius, typical)
        unit = length / math.sqrt(MOST_SQUARES) if length > 0 else 1.0
        return cls(kind, centre, used / unit, np.floor(reach / unit).astype(np.int16), unit)

    def coordinates(self, codes: Floats) -> NDArray[np.int16]:
        """Return the coordinates (n, d) of codes (n, d); 0 for NaN. They are the same on every machine."""
        with np.errstate(over="ignore", invalid="ignore"):
            away = codes - self.centre
            away *= self.factors
        np.nan_to_num(np.rint(away, out=away), copy=False)
        if self.length:
            fine = np.clip(away, -_FURTHEST, _FURTHEST).astype(np.int64)
            lengths = np.sqrt(np.square(fine).sum(axis=1).astype(np.float64))  # of exact sums
            radius = float(self.limits[0])
            scaled: NDArray[np.int16] = np.rint(fine * (radius / np.maximum(lengths, 1.0))[:, None]).astype(np.int16)
            return scaled
        return np.clip(away, -self.limits, self.limits, out=away).astype(np.int16)

    def codes(self, coordinates: NDArray[np.int16]) -> Floats:
        """Return codes (n, d) with these coordinates; numbers without weight are those of the centre."""
        steps = np.where(self.factors > 0, 1 / np.where(self.factors > 0, self.factors, 1.0), 0.0)
        return np.asarray(self.centre + coordinates * (steps * self.unit * self.length if self.length else steps))

    @staticmethod
    def sample_of(records: TrainingRecords, seed: int) -> _Sample:
        """Return at most 2,000 training records."""
        rows = np.arange(len(records.values)) if records.rows is None else records.rows
        return _sample(records.values, rows, records.labels, records.classes, seed)

    @classmethod
    def _measured(cls, chain: Chain, sample: _Sample) -> Self:
        """Compare the weights on a sample of training records, and return the metric with the best."""
        codes = code_numbers(chain, sample.values, sample.condition)
        if not np.isfinite(codes).all():
            raise NotMeasuredError("The codes of the training records are not finite.")
        metrics = [
            cls.of(kind, codes, weights, directions=directions)
            for directions in (False, True)
            for kind, weights in _candidates(chain, codes).items()
        ]
        relevant = _relevant(chain, sample)
        if relevant is None:
            return metrics[0]
        queries = _queries(chain, sample, codes)
        measured = {metric.weights: _share(metric, codes, queries, relevant) for metric in metrics}
        best = max(metrics, key=lambda metric: measured[metric.weights])
        return replace(best, measured=measured)


def _sample(
    values: NDArray[Any], rows: NDArray[np.int64], labels: NDArray[Any] | None, classes: Labels, seed: int
) -> _Sample:
    """Return at most 2,000 of some rows of records (n, *shape)."""
    most = max(min(_RECORDS, _BYTES // max(values[:1].nbytes, 1)), 2 * _NEIGHBOURS)
    if len(rows) > most:
        rows = np.sort(rng(seed, Stream.SEARCH_ROWS).choice(rows, most, replace=False))
    of_rows = (None if one is None else one[rows] for one in (classes, labels))
    return _Sample(np.array(values[rows]), *of_rows)


def _candidates(chain: Chain, codes: Floats) -> dict[str, Floats]:
    """Return the weights to compare, those of the output first, if there are any."""
    deviations = codes.std(axis=0)
    largest = deviations.max(initial=0.0)
    found = {"plain": np.ones(codes.shape[1])}
    found["whitening"] = np.where(deviations > 1e-9 * largest, 1 / np.where(deviations > 0, deviations, 1.0), 0.0)
    gains = _gains(chain, codes)
    if gains is not None and np.isfinite(gains).all() and gains.max(initial=0.0) > 0:
        found = {"output": np.sqrt(gains), **found}
    return found


def _gains(chain: Chain, codes: Floats) -> Floats | None:
    """Return the squared change of the output per squared change of each number; None if only codes do not decode."""
    from narrows.codec.freezing.distortion import MeasuredDistortion
    from narrows.errors import NotDecodableError

    if chain.parts.n_classes:
        return None
    z = torch.from_numpy(codes[:_BATCH]).to(chain.dtype).reshape(-1, *chain.bottleneck.z_shape)
    try:
        return MeasuredDistortion(chain, z, codes).gains()
    except NotDecodableError:
        return None


def _relevant(chain: Chain, sample: _Sample) -> NDArray[np.bool_] | None:
    """Return which records are to be found by which queries, (queries, others); None if that cannot be told."""
    every = np.arange(len(sample.values))
    is_query = every % _QUERIES == 0
    if is_query.all() or (~is_query).sum() < 2:
        return None
    if sample.labels is not None and len(np.unique(sample.labels)) > 1:
        return np.asarray(sample.labels[is_query][:, None] == sample.labels[~is_query])
    found = _distances(chain, sample.values, is_query)
    k = min(_NEIGHBOURS, found.shape[1] - 1)
    return np.asarray(found <= np.partition(found, k - 1, axis=1)[:, k - 1 : k])


def _distances(chain: Chain, values: NDArray[Any], is_query: NDArray[np.bool_]) -> Floats:
    """Return the distances (queries, others) of records: of their preprocessed values, of texts how many differ."""
    if chain.parts.likelihood.name == "categorical":
        flat = values.reshape(len(values), -1)
        pairs = (flat[is_query][:, None, column] != flat[~is_query][None, :, column] for column in range(flat.shape[1]))
        return np.asarray(sum(pairs, np.zeros((is_query.sum(), (~is_query).sum()))))
    size = batch_size(chain.shape, _BATCH)
    with torch.no_grad():
        batches = (torch.from_numpy(values[i : i + size]).to(chain.device) for i in range(0, len(values), size))
        x = torch.cat([chain.prepare(batch).flatten(1).float().cpu() for batch in batches]).numpy()
    queries, others = x[is_query], x[~is_query]
    squares: Floats = (np.square(queries).sum(1)[:, None] + np.square(others).sum(1) - 2 * queries @ others.T).astype(
        np.float64
    )
    return squares


def _queries(chain: Chain, sample: _Sample, codes: Floats) -> Floats:
    """Return the codes (queries, d) of the queries, which are corrupted as in training, if that is."""
    is_query = np.arange(len(codes)) % _QUERIES == 0
    if chain.corruption is None:
        clean: Floats = codes[is_query]
        return clean
    given = corrupt(chain, sample.values[is_query], 0)
    return code_numbers(chain, given, None if sample.condition is None else sample.condition[is_query])


def _share(metric: SearchMetric, codes: Floats, queries: Floats, relevant: NDArray[np.bool_]) -> float:
    """Return the mean share of the relevant records among the nearest of each query."""
    is_query = np.arange(len(codes)) % _QUERIES == 0
    k = min(_NEIGHBOURS, relevant.shape[1])
    _, indices = Points(metric.coordinates(codes[~is_query])).nearest(metric.coordinates(queries), k)
    return float(np.take_along_axis(relevant, indices, axis=1).mean())


def _radius(n: int) -> int:
    """Return the length of coordinates of directions, so that rounded ones have sums of squares of at most 2^22."""
    return max(int(math.sqrt(MOST_SQUARES) - math.sqrt(n) / 2 - 1), 1)
