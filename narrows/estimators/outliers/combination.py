"""Terms of a score, in one unit and added up, with the part of each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Combination"]

Floats = NDArray[np.float64]

_NORMAL_QUARTILE = 0.6745
_LEAST_UNIT = 1e-3
_SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class Combination:
    """The score of records from the costs of their values, term by term.

    The cost c of a value becomes log(1 + c / u), u the usual cost of its column: minus the logarithm of a density with
    heavy tails, so that one value far away does not outweigh all the others. These are summed over the values of a
    record; t is the logarithm of the sum, in standard deviations from its median over the training records. The score
    is the mean over the terms of log(1 + exp(2 t)) / 2, which is t if that is large, and near 0 for usual records. The
    part of a value is the score of each term, times the share of the value in the sum.

    Attributes
    ----------
    floors : ndarray of shape (terms, d)
        The smallest cost of the training records, which is subtracted: probabilities of whole numbers are never 1.
    usual : ndarray of shape (terms, d)
        u: the mean cost of a column in the training records, or that of all columns if it is more. So a column that
        follows from the others does not count more than they do.
    medians, units : ndarray of shape (terms,)
        Of the logarithms of the sums. The unit is a standard deviation, from median and upper quartile.
    """

    floors: Floats
    usual: Floats
    medians: Floats
    units: Floats

    @classmethod
    def fit(cls, terms: Sequence[Floats]) -> Self:
        """Return the combination for the costs (n, d) of the training records."""
        floors = np.stack([one.min(axis=0) for one in terms])
        usual = np.stack([one.mean(axis=0) for one in terms]) - floors
        usual = np.maximum(usual, usual.mean(axis=1, keepdims=True) + _SMALLEST)
        medians, units = np.empty(len(terms)), np.empty(len(terms))
        for i, costs in enumerate(terms):
            median, quartile = np.quantile(_log_sums(_heavy_tailed(costs - floors[i], usual[i])), [0.5, 0.75])
            medians[i], units[i] = median, max((quartile - median) / _NORMAL_QUARTILE, _LEAST_UNIT)
        return cls(floors, usual, medians, units)

    def parts(self, terms: Sequence[Floats]) -> Floats:
        """Return the parts of the score of values with the costs (n, d), shape (n, d). None is negative."""
        total = np.zeros_like(terms[0])
        learned = zip(self.floors, self.usual, self.medians, self.units, strict=True)
        for costs, (floor, usual, median, unit) in zip(terms, learned, strict=True):
            heavy = _heavy_tailed(np.maximum(costs - floor, 0), usual)
            t = (_log_sums(heavy) - median) / unit
            score = np.logaddexp(0, 2 * t) / 2 / len(terms)
            heavy += _SMALLEST  # a record without costs has equal parts
            total += score[:, None] * heavy / heavy.sum(axis=1, keepdims=True)
        return total


def _heavy_tailed(costs: Floats, usual: Floats) -> Floats:
    return np.asarray(np.log1p(costs / usual))


def _log_sums(heavy: Floats) -> Floats:
    return np.asarray(np.log(heavy.sum(axis=1) + _SMALLEST))
