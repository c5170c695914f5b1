"""Terms of a score, in one unit and added up, with the part of each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Combination"]

Floats = NDArray[np.float64]

_WEIGHTS = {"nearest": 1.0, "joint": 1.0, "linear": 0.5, "network": 0.5, "codes": 1.0}
_BOUNDED = {"nearest", "joint", "codes"}  # terms in which no value is far away
_NORMAL_QUARTILE = 0.6745
_LEAST_UNIT = 1e-3
_SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class Combination:
    """The score of records from the costs of their values, term by term.

    The cost c of a value becomes log(1 + c / u), u the usual cost of its column: minus the logarithm of a density with
    heavy tails, so that one value far away does not outweigh all the others. Costs that are bounded stay as they are.
    These are summed over the values of a record; t is the logarithm of the sum, in standard deviations from its median
    over the training records. The score is the weighted mean over the terms of log(1 + exp(2 t)) / 2, which is t if
    that is large, and near 0 for usual records. The part of a value is the score of each term, times the share of the
    value in the sum. The distances to usual records and within their distribution count twice as much as predictions.

    Attributes
    ----------
    names : tuple of str
        The terms.
    floors : ndarray of shape (terms, d)
        The smallest cost of the training records, which is subtracted: probabilities of whole numbers are never 1.
    usual : ndarray of shape (terms, d)
        u: the mean cost of a column in the training records, or that of all columns if it is more. So a column that
        follows from the others does not count more than they do.
    medians, units : ndarray of shape (terms,)
        Of the logarithms of the sums. The unit is a standard deviation, from median and upper quartile.
    """

    names: tuple[str, ...]
    floors: Floats
    usual: Floats
    medians: Floats
    units: Floats

    @classmethod
    def fit(cls, terms: Mapping[str, Floats]) -> Self:
        """Return the combination for the costs (n, d) of the training records."""
        floors = np.stack([one.min(axis=0) for one in terms.values()])
        usual = np.stack([one.mean(axis=0) for one in terms.values()]) - floors
        usual = np.maximum(usual, usual.mean(axis=1, keepdims=True) + _SMALLEST)
        medians, units = np.empty(len(terms)), np.empty(len(terms))
        for i, (name, costs) in enumerate(terms.items()):
            sums = _log_sums(_counted(name, costs - floors[i], usual[i]))
            median, quartile = np.quantile(sums, [0.5, 0.75])
            medians[i], units[i] = median, max((quartile - median) / _NORMAL_QUARTILE, _LEAST_UNIT)
        return cls(tuple(terms), floors, usual, medians, units)

    def parts(self, terms: Mapping[str, Floats]) -> Floats:
        """Return the parts of the score of values with the costs (n, d), shape (n, d). None is negative."""
        total = np.zeros_like(terms[self.names[0]])
        weights = sum(_WEIGHTS[name] for name in self.names)
        learned = zip(self.names, self.floors, self.usual, self.medians, self.units, strict=True)
        for name, floor, usual, median, unit in learned:
            counted = _counted(name, np.maximum(terms[name] - floor, 0), usual)
            t = (_log_sums(counted) - median) / unit
            score = np.logaddexp(0, 2 * t) / 2 * (_WEIGHTS[name] / weights)
            counted += _SMALLEST  # a record without costs has equal parts
            total += score[:, None] * counted / counted.sum(axis=1, keepdims=True)
        return total


def _counted(name: str, costs: Floats, usual: Floats) -> Floats:
    return np.asarray(costs / usual.mean() if name in _BOUNDED else np.log1p(costs / usual))


def _log_sums(counted: Floats) -> Floats:
    return np.asarray(np.log(counted.sum(axis=1) + _SMALLEST))
