"""The nearest of many points of whole numbers, exactly: the same ones in the same order on every machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_SQUARES", "Points"]

MOST_SQUARES = 1 << 22
"""The largest sum of squares of the coordinates of a point; see `Points`."""

_POINTS, _QUERIES = 1 << 13, 128  # of one matrix product, so that its result stays in a cache
_MOST_POINTS = 1 << 17  # of a product with few queries
_KEPT_BYTES = 256 << 20  # of points as floats, which need not be converted for each call
_MANY = 4  # candidates of a block for each neighbour, above which a partition is quicker than sorting them

Whole = npt.NDArray[np.int64]
Singles = npt.NDArray[np.float32]


class Points:
    """Points whose coordinates are whole numbers, with squared distances that are exact.

    The sum of squares of the coordinates of a point, and of a query, is at most 2²². Every partial sum of a scalar
    product is then at most 2²² (Cauchy and Schwarz, for any subset of the numbers), every squared distance
    ``|p|² + |q|² - 2 p·q`` and each of its partial sums at most 2²⁴. Whole numbers up to 2²⁴ are exact in float32, so
    a matrix product in float32 gives these numbers in any order of summation, with or without fused operations. The
    neighbours, sorted by distance and then by index, thus depend on no machine, batch or library.

    Parameters
    ----------
    coordinates : ndarray of shape (n, d), int16
        The points.

    Raises
    ------
    ValueError
        If the sum of squares of a point is above 2²².
    """

    def __init__(self, coordinates: npt.NDArray[np.int16]) -> None:
        self.coordinates = coordinates
        self._squares = _squares_of(coordinates)
        n_bytes = coordinates.size * 4
        self._kept = coordinates.astype(np.float32) if n_bytes <= _KEPT_BYTES else None

    def __len__(self) -> int:
        return len(self.coordinates)

    def nearest(self, queries: npt.NDArray[np.int16], k: int) -> tuple[Whole, Whole]:
        """Return the k nearest points of each query, the nearest first; of equally near ones the first.

        Parameters
        ----------
        queries : ndarray of shape (m, d), int16
            With sums of squares of at most 2²².
        k : int
            From 1 to the number of points.

        Returns
        -------
        squares, indices : ndarray of shape (m, k), int64
            Squared distances, and the numbers of the points.
        """
        parts = [self._of_batch(queries[start : start + _QUERIES], k) for start in range(0, len(queries), _QUERIES)]
        if not parts:
            return np.empty((0, k), np.int64), np.empty((0, k), np.int64)
        squares, indices = (np.concatenate(each) for each in zip(*parts, strict=True))
        return squares, indices

    def squares(self, queries: npt.NDArray[np.int16], indices: Whole) -> Whole:
        """Return the squared distances (m, c) of queries (m, d) to the points with some indices (m, c)."""
        away = self.coordinates[indices].astype(np.int64) - queries[:, None].astype(np.int64)
        total: Whole = np.square(away).sum(axis=2)
        return total

    def _of_batch(self, queries: npt.NDArray[np.int16], k: int) -> tuple[Whole, Whole]:
        best = _Best(len(queries), k)
        own, vectors = _squares_of(queries)[:, None], queries.astype(np.float32)
        size = min(max(_POINTS * _QUERIES // max(len(queries), 1), _POINTS), _MOST_POINTS)
        for start in range(0, len(self), size):
            block = slice(start, start + size)
            points = self.coordinates[block].astype(np.float32) if self._kept is None else self._kept[block]
            away = vectors @ points.T
            away *= -2
            away += self._squares[block]
            away += own
            best.add(away, start)
        return best.squares.astype(np.int64), best.indices


class _Best:
    """The k best candidates of each query so far.

    Parameters
    ----------
    n_queries, k : int
    """

    def __init__(self, n_queries: int, k: int) -> None:
        self.squares: Singles = np.full((n_queries, k), np.inf, np.float32)
        self.indices: Whole = np.full((n_queries, k), np.iinfo(np.int64).max, np.int64)

    def add(self, squares: Singles, first: int) -> None:
        """Add the squared distances (n_queries, m) of the points from number ``first`` on."""
        n, k = self.squares.shape
        limits = self.squares[:, -1]
        near = squares <= limits[:, None]
        if squares.shape[1] > k and np.count_nonzero(near) > _MANY * n * k:
            limits = np.minimum(limits, np.partition(squares, k - 1, axis=1)[:, k - 1])
            near = squares <= limits[:, None]
        rows, columns = np.nonzero(near)
        if not len(rows):
            return
        every = np.repeat(np.arange(n), k)
        row = np.concatenate([every, rows])
        square = np.concatenate([self.squares.ravel(), squares[rows, columns]])
        index = np.concatenate([self.indices.ravel(), columns + first])
        order = np.lexsort((index, square, row))
        starts = np.searchsorted(row[order], np.arange(n))
        chosen = order[starts[:, None] + np.arange(k)]
        self.squares, self.indices = square[chosen], index[chosen]


def _squares_of(points: npt.NDArray[np.int16]) -> Singles:
    """Return the sum of squares of each point (n,)."""
    squares = np.einsum("nd,nd->n", points, points, dtype=np.int64, casting="safe")
    if len(squares) and int(squares.max()) > MOST_SQUARES:
        raise ValueError(f"the sum of squares of a point must be at most {MOST_SQUARES:,}. Got {squares.max():,}")
    singles: Singles = squares.astype(np.float32)
    return singles
