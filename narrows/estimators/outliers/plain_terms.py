"""The terms of the score that need no network: distances of records, and errors of linear predictions of values.

Records are seen twice: in standard deviations, and as normal scores. The first finds values that are far away, the
second unusual combinations in columns with long tails. Images and windows of series have only the first, in one unit
for all of their values or for those of a channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.numerics.nearest_usual import NearestUsual
from narrows.numerics.normal_scores import NormalScores
from narrows.numerics.robust_normal import RobustNormal

__all__ = ["PlainTerms"]

Floats = NDArray[np.float64]

_KINDS = {"vector", "columns", "image", "series"}  # the others are no numbers
_ROUNDING = 1e-12  # of values, relative: below that they do not vary
_MOST_VALUES = 1024  # of a record: matrices of larger ones would take too long
_FAR = 8.0  # standard deviations: the network's input is limited to these
_UNLIKELY = 0.1  # share of the training records that the network is not trained on
_IN_DEVIATIONS: dict[str, float] = {"trim": 0.1, "ridge": 0.1}
_IN_RANKS: dict[str, float] = {"trim": 0.5, "ridge": 0.5, "least": 0.1}
_USUAL = 0.75  # share of the training records among which the nearest are looked for


@dataclass(frozen=True, eq=False)
class PlainTerms:
    """Distances of records, and linear predictions of each value by the others, robust against outliers.

    Attributes
    ----------
    centre, unit : ndarray of shape (d,)
        Mean and standard deviation of the values; 1 for values that do not vary.
    normal : RobustNormal or None
        The distribution of standardised values; None for records of more than 1,024 values.
    nearest : NearestUsual or None
        Those of the training records that the distribution finds the most likely.
    ranks : NormalScores or None
        The normal scores; None if records are not rows of a table.
    of_ranks : RobustNormal or None
        Their distribution.
    """

    centre: Floats
    unit: Floats
    normal: RobustNormal | None = None
    nearest: NearestUsual | None = None
    ranks: NormalScores | None = None
    of_ranks: RobustNormal | None = None

    @classmethod
    def fit(cls, x: Floats, kind: str, shape: tuple[int, ...], is_category: NDArray[np.bool_] | None = None) -> Self:
        """Return the terms of records (n, d), rows of records of a kind and a shape.

        NaN is a value that is missing, and costs nothing. Categories are columns of zeros and ones (`Expansion`), whose
        unit is 1: two categories differ by as much as two numbers do on average, however rare they are.
        """
        known = ~np.isnan(x)
        counts, filled = np.maximum(known.sum(axis=0), 1), np.where(known, x, 0.0)
        centre = filled.sum(axis=0) / counts
        unit = np.sqrt((np.where(known, x - centre, 0.0) ** 2).sum(axis=0) / counts)
        unit = np.where(unit > _ROUNDING * np.abs(filled).max(axis=0), unit, 0.0)
        if kind in {"image", "series"}:
            steps = unit.reshape(shape)
            axes = (0,) if kind == "series" else tuple(range(len(shape)))
            unit = np.broadcast_to(np.sqrt((steps**2).mean(axis=axes, keepdims=True)), shape).ravel()
        unit = np.where((unit == 0) | (False if is_category is None else is_category), 1.0, unit)
        terms = cls(centre, unit)
        if kind not in _KINDS or x.shape[1] > _MOST_VALUES or not known.any():
            return terms
        z, few = terms.standardised(x), x.shape[1] / len(x)
        normal = RobustNormal.fit(z, **{**_IN_DEVIATIONS, "ridge": _IN_DEVIATIONS["ridge"] + few})
        distances = normal.distances(z)
        nearest = NearestUsual.fit(z[distances <= np.quantile(distances, _USUAL)])
        if kind in {"image", "series"}:
            return cls(centre, unit, normal, nearest)
        ranks = NormalScores.fit(terms.filled(x))
        scores = ranks(terms.filled(x))
        of_ranks = RobustNormal.fit(scores, **{**_IN_RANKS, "ridge": _IN_RANKS["ridge"] + few})
        return cls(centre, unit, normal, nearest, ranks, of_ranks)

    @property
    def names(self) -> tuple[str, ...]:
        """The terms that there are, in the order of `costs`."""
        there = {"linear": self.normal, "nearest": self.nearest, "joint": self.of_ranks}
        return tuple(name for name, one in there.items() if one is not None)

    def filled(self, x: Floats) -> Floats:
        """Return records (n, d) with the mean where values are missing."""
        return np.where(np.isnan(x), self.centre, x)

    def standardised(self, x: Floats) -> Floats:
        """Return records (n, d) in standard deviations from the mean; 0 where values are missing."""
        return np.nan_to_num((x - self.centre) / self.unit, nan=0.0)

    def limited(self, x: Floats) -> Floats:
        """Return records (n, d) with values of at most eight standard deviations from the mean."""
        return np.clip(x, self.centre - _FAR * self.unit, self.centre + _FAR * self.unit)

    def costs(self, x: Floats) -> dict[str, Floats]:
        """Return the costs of the values of records (n, d), term by term, each (n, d). Missing values cost 0."""
        found: dict[str, Floats] = {}
        if self.normal is not None:
            found["linear"] = self.normal.costs(self.standardised(x))
        if self.nearest is not None:
            found["nearest"] = self.nearest.costs(self.standardised(x))
        if self.ranks is not None and self.of_ranks is not None:
            found["joint"] = self.of_ranks.joint_costs(self.ranks(self.filled(x)))
        return {name: np.where(np.isnan(x), 0.0, one) for name, one in found.items()}

    def likely(self, x: Floats) -> NDArray[np.bool_]:
        """Return which of the records (n, d) the network is trained on: all but the tenth that is the least likely."""
        if self.normal is None:
            return np.ones(len(x), bool)
        cost = self.normal.costs(self.standardised(x)).sum(axis=1, where=~np.isnan(x))
        return np.asarray(cost <= np.quantile(cost, 1 - _UNLIKELY))

    def expected(self, x: Floats) -> Floats | None:
        """Return what is expected of each value of records (n, d), given the others; None for large records."""
        if self.normal is None:
            return None
        return np.asarray(self.normal.expected(self.standardised(x)) * self.unit + self.centre)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a file."""
        arrays: dict[str, NDArray[Any]] = {"centre": self.centre, "unit": self.unit}
        if self.normal is not None:
            arrays |= {"normal.mean": self.normal.mean, "normal.precision": self.normal.precision}
        if self.nearest is not None:
            arrays["nearest"] = self.nearest.references
        if self.ranks is not None and self.of_ranks is not None:
            arrays |= {"ranks.values": self.ranks.values, "ranks.scores": self.ranks.scores}
            arrays |= {"of_ranks.mean": self.of_ranks.mean, "of_ranks.precision": self.of_ranks.precision}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], d: int) -> Self:
        """Return the terms of the arrays of a file, for records of d values.

        Raises
        ------
        ValueError
            If the arrays do not have the shapes that the terms need.
        """
        k, m = (len(arrays.get(name, ())) for name in ("ranks.values", "nearest"))
        shapes: dict[str, tuple[int, ...]] = {"centre": (d,), "unit": (d,)}
        if "normal.mean" in arrays:
            shapes |= {"normal.mean": (d,), "normal.precision": (d, d), "nearest": (max(m, 1), d)}
        if "ranks.values" in arrays:
            shapes |= {"ranks.values": (k, d), "ranks.scores": (k, d), "of_ranks.mean": (d,)}
            shapes["of_ranks.precision"] = (d, d)
        for name, shape in shapes.items():
            if name not in arrays or arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                raise ValueError(f"the scores of outliers need an array {name} of shape {shape}")
        centre, unit = arrays["centre"], arrays["unit"]
        if "normal.mean" not in arrays:
            return cls(centre, unit)
        normal = RobustNormal(arrays["normal.mean"], arrays["normal.precision"])
        nearest = NearestUsual(arrays["nearest"])
        if "ranks.values" not in arrays:
            return cls(centre, unit, normal, nearest)
        ranks = NormalScores(arrays["ranks.values"], arrays["ranks.scores"])
        of_ranks = RobustNormal(arrays["of_ranks.mean"], arrays["of_ranks.precision"])
        return cls(centre, unit, normal, nearest, ranks, of_ranks)
