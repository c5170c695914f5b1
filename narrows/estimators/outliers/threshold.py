"""The threshold without a given share of outliers: whether records are odd at all, and how many are.

The training records are compared with records drawn from a normal distribution of most of them. If more than one in a
hundred have a score that one in a hundred of those exceeds, beyond chance, there are outliers: the records with a
score above 1.75, and, as others are hidden among usual records, as many again as have one from 1.75 to 3. Records above
3 stand apart. These numbers were chosen on ten tables with known outliers, on samples of 80 to 1,000 of their records,
and on 24 other tables. Otherwise those are outliers that are odder than the oddest of ten times as many drawn records.

Images, windows, and records in clusters that are far apart are not compared with a normal distribution of all, but with
one for each cluster that is not much smaller than others. This describes usual records well, so outliers are those with
a score that one in 200 of the drawn records exceeds. Of the tables that the numbers were chosen on none has such
clusters.

The distribution is fitted to the most likely records, so its variances are too small by a factor, and records that it
was fitted to have lower scores than others. The factor of both is measured on drawn records, which are treated as the
training records are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, ndtr

from narrows.estimators.outliers.combination import Combination
from narrows.estimators.outliers.plain_terms import PlainTerms
from narrows.numerics.clusters import Clusters
from narrows.numerics.randomness import Stream
from narrows.numerics.randomness import rng as rng_of

__all__ = ["ALWAYS_ODD", "Comparison", "compared", "threshold_of", "threshold_of_share"]

Floats = NDArray[np.float64]

ALWAYS_ODD = 4.0
"""A score that is odd among any records: standard deviations above the median of the training records."""

_RARE = 0.01  # share of usual records above the score that is looked for
_ODD, _APART = 1.75, 3.0  # scores
_FOR_EACH_ODD = 2.0  # outliers for each record between the two
_LEAST, _MOST = 0.005, 0.5
_SELDOM = 0.1  # records, of all
_CERTAIN = 3.0  # standard errors that the share of odd records must be above that of usual ones
_DRAWN, _FEWEST_COMPARED, _MOST_COMPARED, _MOST_SETS = 10_000, 5_000, 10_000, 10

_IN_CLUSTERS = {"image", "series"}  # records that are not compared with a normal distribution of all
_MOST_IN_CLUSTERS, _FAR = 2000, 4.0  # records; standard deviations
_CLEAR, _STRAY = 0.55, 0.02  # separation of clear clusters, share of the records that may be outside them
_SMALL, _LARGE = 0.5, 0.08  # a cluster of usual records has this share of the mean one, or of all records
_UNLIKELY = 0.1  # share of the records of the clusters that are left out


@dataclass(frozen=True)
class Comparison:
    """What a comparison of records with usual ones says.

    Attributes
    ----------
    some_are_odd : bool
        Whether more records are odd than by chance.
    limit : float
        A score that none of ten times as many usual records exceeds; of 100 if those are fewer, of 10,000 if more.
    rare : float or None
        A score that one in 200 usual records exceeds; None if these are only assumed to be normal.
    """

    some_are_odd: bool
    limit: float
    rare: float | None = None


def compared(
    x: Floats, kind: str, shape: tuple[int, ...], is_category: NDArray[np.bool_] | None, seed: int
) -> Comparison:
    """Compare records (n, d), as `PlainTerms.fit` gets them, with drawn ones."""
    seldom = max(min(_SELDOM / len(x), _RARE), 1 / _DRAWN)
    x = x[:: -(-len(x) // _MOST_COMPARED)]
    rng = rng_of(seed, Stream.USUAL_RECORDS)
    given = _Fitted(x, kind, shape, is_category)
    given.find_clusters(x, rng, always=kind in _IN_CLUSTERS)
    in_sample, others = [], []
    n_sets = min(-(-_FEWEST_COMPARED // len(x)), _MOST_SETS)
    for _ in range(n_sets):
        like_given = given.draw(len(x), rng)
        again = _Fitted(like_given, kind, shape, is_category)
        if given.clusters is not None:
            again.find_clusters(like_given, rng, always=True)
        in_sample.append(again.scores(like_given))
        others.append(again.scores(again.draw(_DRAWN // n_sets, rng)))
    factor = _rare(np.concatenate(in_sample)) / _rare(np.concatenate(others))
    drawn = given.scores(given.draw(_DRAWN, rng)) * factor
    n_seen = int((given.scores(x) > _rare(drawn)).sum())
    limit, rare = np.quantile(drawn, [1 - seldom, 1 - _LEAST]).tolist()
    return Comparison(_is_excess(n_seen, len(x), n_sets), limit, None if given.clusters is None else rare)


def _is_excess(n_seen: int, n: int, n_sets: int) -> bool:
    """Return whether so many of n records have rare scores that this is no chance.

    The share is three standard errors above that of usual records, with the errors of the quantiles. Of few records
    the number is far from normal, so its binomial probability must be as small, too.
    """
    sizes = np.array([n, n * n_sets, _DRAWN, _DRAWN])
    certain = _CERTAIN * float(np.sqrt(_RARE * (1 - _RARE) * (1 / sizes).sum()))
    return n_seen / n - _RARE >= certain and bool(bdtrc(n_seen - 1, n, _RARE) <= ndtr(-_CERTAIN))


def threshold_of(scores: Floats, comparison: Comparison) -> float:
    """Return the threshold for training records with these scores (n,).

    At least one in 200 records is above it, if there are so many.
    """
    least = int(_LEAST * len(scores)) / len(scores)
    if not comparison.some_are_odd:
        return min(comparison.limit, threshold_of_share(scores, least))
    if comparison.rare is not None:
        return max(comparison.rare, threshold_of_share(scores, _MOST))
    apart, odd = float((scores > _APART).mean()), float((scores > _ODD).mean())
    return threshold_of_share(scores, min(max(least, apart + _FOR_EACH_ODD * (odd - apart)), _MOST))


def threshold_of_share(scores: Floats, share: float) -> float:
    """Return the threshold for a share of outliers among training records with these scores (n,)."""
    return float(np.quantile(scores, 1 - share))


def _rare(scores: Floats) -> float:
    """Return the score that one of a hundred exceeds."""
    return float(np.quantile(scores, 1 - _RARE))


class _Fitted:
    """The terms of records that need no network, and the scores of others by them."""

    def __init__(
        self, x: Floats, kind: str, shape: tuple[int, ...], is_category: NDArray[np.bool_] | None = None
    ) -> None:
        self.terms = PlainTerms.fit(x, kind, shape, is_category)
        self.combination = Combination.fit(self.terms.costs(x))
        usual = self.terms.standardised(x)[self.terms.likely(x)]
        self.mean = usual.mean(axis=0)
        variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(usual, rowvar=False)))
        self.spread = np.sqrt(np.maximum(variances, 0))[:, None] * directions.T
        self.clusters: Clusters | None = None

    def find_clusters(self, x: Floats, rng: np.random.Generator, *, always: bool) -> None:
        """Find the clusters of records (n, d) that usual records are drawn from, if they are clear, or always."""
        some = x[:: -(-len(x) // _MOST_IN_CLUSTERS)]
        z = np.clip(self.terms.standardised(some), -_FAR, _FAR)
        found = Clusters.fit(z, rng)
        usual = found.shares >= min(_SMALL / len(found.shares), _LARGE)
        is_clear = found.separation(z) >= _CLEAR and found.shares[~usual].sum() <= _STRAY
        if not (is_clear or always):
            return
        kept = usual[found.labels]
        distances = found.distances(z)
        kept &= distances <= np.quantile(distances[kept], 1 - _UNLIKELY)
        self.clusters = Clusters.of(z[kept], np.unique(found.labels[kept], return_inverse=True)[1])

    def scores(self, x: Floats) -> Floats:
        return np.asarray(self.combination.parts(self.terms.costs(x)).sum(axis=1))

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n records (n, d) of the distribution of the likely records: none of them is an outlier."""
        if self.clusters is None:
            z = self.mean + rng.normal(size=(n, len(self.spread))) @ self.spread
        else:
            z = self.clusters.draw(n, rng)
        return np.asarray(z * self.terms.unit + self.terms.centre)
