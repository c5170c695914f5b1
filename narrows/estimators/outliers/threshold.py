"""The threshold without a given share of outliers: how many more records are odd than among records without any.

The training records are compared with records drawn from the normal distribution of most of them. A score is found
that one of a hundred of these exceeds; those of the training records that exceed it beyond that are outliers. Others
are not so far away, and hidden among usual records: 0.8 are assumed for each one that is seen, which was chosen on ten
tables with known outliers.

The distribution is fitted to the most likely records, so its variances are too small by a factor, and records that it
was fitted to have lower scores than others. The factor of both is measured on drawn records, which are treated as the
training records are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.estimators.outliers.combination import Combination
from narrows.estimators.outliers.linear_terms import LinearTerms
from narrows.numerics.randomness import Stream
from narrows.numerics.randomness import rng as rng_of

__all__ = ["estimated_share", "threshold_of"]

Floats = NDArray[np.float64]

_RARE = 0.01  # share of usual records above the score that is looked for
_FOR_EACH_SEEN = 1.8  # outliers for each one that is seen
_LEAST, _MOST = 0.005, 0.5
_CERTAIN = 3.0  # standard errors that the share of odd records must be above that of usual ones
_DRAWN, _FEWEST_COMPARED, _MOST_COMPARED, _MOST_SETS = 20_000, 10_000, 20_000, 10
_NORMAL_QUARTILE, _DEVIATIONS = 0.6745, 4.0


def estimated_share(x: Floats, kind: str, shape: tuple[int, ...], seed: int) -> float:
    """Return the share of outliers among records (n, d), rows of records of a kind and a shape.

    It is one of 200 records, if there are so many, where no more than by chance are odd, and at most a half.
    """
    x = x[:: -(-len(x) // _MOST_COMPARED)]
    rng = rng_of(seed, Stream.USUAL_RECORDS)
    given = _Fitted(x, kind, shape)
    in_sample, others = [], []
    n_sets = min(-(-_FEWEST_COMPARED // len(x)), _MOST_SETS)
    for _ in range(n_sets):
        like_given = given.linear.draw(len(x), rng)
        again = _Fitted(like_given, kind, shape)
        in_sample.append(again.scores(like_given))
        others.append(again.scores(again.linear.draw(_DRAWN // n_sets, rng)))
    factor = _rare(np.concatenate(in_sample)) / _rare(np.concatenate(others))
    usual = _rare(given.scores(given.linear.draw(_DRAWN, rng))) * factor
    seen = float((given.scores(x) > usual).mean()) - _RARE
    sizes = np.array([len(x), len(x) * n_sets, _DRAWN, _DRAWN])
    if seen < _CERTAIN * np.sqrt(_RARE * (1 - _RARE) * (1 / sizes).sum()):
        return int(_LEAST * len(x)) / len(x)
    return min(_FOR_EACH_SEEN * seen, _MOST)


def threshold_of(scores: Floats, share: float | None) -> float:
    """Return the threshold for a share of outliers among training records with these scores (n,).

    None: four deviations above the median, by median and upper quartile.
    """
    if share is None:
        median, quartile = np.quantile(scores, [0.5, 0.75])
        return float(median + _DEVIATIONS * (quartile - median) / _NORMAL_QUARTILE)
    return float(np.quantile(scores, 1 - share))


def _rare(scores: Floats) -> float:
    """Return the score that one of a hundred exceeds."""
    return float(np.quantile(scores, 1 - _RARE))


class _Fitted:
    """The linear terms of records, and the scores of others by them."""

    def __init__(self, x: Floats, kind: str, shape: tuple[int, ...]) -> None:
        self.linear = LinearTerms.fit(x, kind, shape)
        self.combination = Combination.fit(self.linear.costs(x))

    def scores(self, x: Floats) -> Floats:
        return np.asarray(self.combination.parts(self.linear.costs(x)).sum(axis=1))
