"""How well a map keeps the neighbours of records: accuracy of nearest neighbours, and trustworthiness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import DataError, ShapeMismatchError

__all__ = ["N_NEIGHBOURS", "neighbour_accuracy", "squared_distances", "trustworthiness"]

N_NEIGHBOURS = 10
_BATCH_VALUES = 2**24  # distances in memory
_MOST_QUERIES = 2000
_FEWEST = 3


def neighbour_accuracy(z: ArrayLike, labels: ArrayLike, *, k: int = N_NEIGHBOURS) -> float:
    """Return the share of points whose label is the most frequent one of their k nearest neighbours.

    The neighbours of a point are among the other points. Of labels that are equally frequent, the first in sorted order
    counts, as in scikit-learn's `KNeighborsClassifier`.

    Parameters
    ----------
    z : array_like of shape (n, d)
        The points; d is small.
    labels : array_like of shape (n,)
        The labels.
    k : int
        Number of neighbours; n − 1 if there are fewer.

    Raises
    ------
    DataError
        If there are less than 3 points.
    ShapeMismatchError
        If there are more or fewer labels than points.

    Examples
    --------
    >>> neighbour_accuracy([[0.0], [0.1], [5.0], [5.1]], [0, 0, 1, 1], k=1)
    1.0
    """
    from scipy.spatial import KDTree

    points, names = np.asarray(z, np.float64), np.asarray(labels)
    _check(points, names)
    k = min(k, len(points) - 1)
    classes, index = np.unique(names, return_inverse=True)
    near = np.asarray(KDTree(points).query(points, k + 1)[1])
    itself = near == np.arange(len(points))[:, None]
    itself[~itself.any(1), -1] = True  # among equal points, a point need not be found itself
    others = index[near[~itself].reshape(len(points), k)]
    votes = np.zeros((len(points), len(classes)), np.int32)
    np.add.at(votes, (np.arange(len(points))[:, None], others), 1)
    return float((votes.argmax(1) == index).mean())


def trustworthiness(x: ArrayLike, z: ArrayLike, *, k: int = N_NEIGHBOURS) -> float:
    """Return how many of the neighbours on a map are neighbours of the records, from 0 to 1.

    1 − 2 / (n k (2n − 3k − 1)) · Σᵢ Σⱼ max(0, r(i, j) − k), where j runs over the k nearest neighbours of point i, and
    record j is the r(i, j)-th nearest of record i (Venna and Kaski 2001, equation 1). Of more than 2,000 records, the
    sum is estimated from as many, evenly spaced; their neighbours are among all.

    Parameters
    ----------
    x : array_like of shape (n, *shape)
        The records.
    z : array_like of shape (n, d)
        Their points.
    k : int
        Number of neighbours; fewer if n < 2 k + 2.

    Raises
    ------
    DataError
        If there are less than 3 points.
    ShapeMismatchError
        If there are more or fewer records than points.
    """
    points, records = np.asarray(z, np.float64), np.asarray(x)
    _check(points, records)
    n = len(points)
    records = records.reshape(n, -1).astype(np.float32)
    records -= records.mean(0)  # distances of values far from zero keep their digits
    k = min(k, (n - 1) // 2)
    queries = np.unique(np.linspace(0, n - 1, min(n, _MOST_QUERIES)).round().astype(np.intp))
    excess = 0
    for some in np.array_split(queries, -(-len(queries) * n // _BATCH_VALUES)):
        rows = np.arange(len(some))
        of_points, of_records = squared_distances(points[some], points), squared_distances(records[some], records)
        of_points[rows, some] = of_records[rows, some] = np.inf
        near = np.argpartition(of_points, k - 1, axis=1)[:, :k]
        for one in near.T:
            rank = 1 + (of_records < of_records[rows, one][:, None]).sum(1)
            excess += int(np.maximum(rank - k, 0).sum())
    return 1 - 2 * excess * (n / len(queries)) / (n * k * (2 * n - 3 * k - 1))


def squared_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return the squared distances of points a (n, d) and b (m, d), shape (n, m), at least 0."""
    squared: NDArray[Any] = -2 * (a @ b.T)
    squared += (a * a).sum(1)[:, None]
    squared += (b * b).sum(1)
    squared[squared < 0] = 0
    return squared


def _check(points: NDArray[Any], others: NDArray[Any]) -> None:
    if points.ndim != 2 or len(points) < _FEWEST:
        raise DataError(
            f"Neighbours need at least {_FEWEST} points, an array (n, d). Got {points.shape}. Give more records."
        )
    if len(points) != len(others):
        raise ShapeMismatchError(f"There must be as many points as records. Got {len(points)} and {len(others)}.")
