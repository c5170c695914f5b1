"""A graph of neighbours, in which candidates are found without a look at all points; their distances are exact."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.errors import CorruptFileError, MissingPackageError
from narrows.numerics.nearest import Points

__all__ = ["MANY", "Graph", "has_usearch"]

MANY = 1_000_000
"""Records from which on an index has a graph by default, if usearch is installed."""

_CANDIDATES, _LEAST = 8, 128  # candidates for each neighbour, and the fewest for a query

Indices = NDArray[np.int64]


def has_usearch() -> bool:
    """Return whether the package usearch is installed."""
    return find_spec("usearch") is not None


class Graph:
    """A hierarchical navigable small world (Malkov and Yashunin 2018) by usearch.

    Coordinates are whole numbers up to 2,048, which half-precision numbers hold exactly.

    Parameters
    ----------
    index : usearch.index.Index
    """

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(cls, coordinates: NDArray[np.int16]) -> Self:
        """Return the graph of points (n, d), built by one thread, so that the same points give the same graph.

        Raises
        ------
        MissingPackageError
            If usearch is not installed.
        """
        graph = cls(_usearch().Index(ndim=coordinates.shape[1], metric="l2sq", dtype="f16"))
        graph.add(coordinates)
        return graph

    def __len__(self) -> int:
        return len(self._index)

    def add(self, coordinates: NDArray[np.int16]) -> None:
        """Add points (m, d), with the numbers after those that there are."""
        keys = np.arange(len(self), len(self) + len(coordinates), dtype=np.uint64)
        self._index.add(keys, coordinates.astype(np.float16), threads=1)

    def nearest(self, points: Points, queries: NDArray[np.int16], k: int) -> tuple[Indices, Indices]:
        """Return squared distances and numbers (m, k) of near points of queries (m, d), as `Points.nearest` does.

        The distances are exact, and sorted likewise; points that are nearer may be missing.
        """
        n = min(max(_CANDIDATES * k, _LEAST), len(self))
        found = self._index.search(queries.astype(np.float16), n, threads=1)
        keys = np.asarray(found.keys).reshape(len(queries), -1).astype(np.int64)
        counts = np.asarray(getattr(found, "counts", np.full(len(queries), keys.shape[1]))).reshape(-1)
        squares = points.squares(queries, np.minimum(keys, len(points) - 1))
        squares[np.arange(keys.shape[1]) >= counts[:, None]] = np.iinfo(np.int64).max  # fewer were found
        if int(counts.min(initial=k)) < k:
            return points.nearest(queries, k)
        order = np.lexsort((keys, squares), axis=1)[:, :k]
        return np.take_along_axis(squares, order, axis=1), np.take_along_axis(keys, order, axis=1)

    def to_bytes(self) -> bytes:
        """Return the graph as bytes, which `from_bytes` reads."""
        return bytes(self._index.save())

    @classmethod
    def from_bytes(cls, data: bytes, shape: tuple[int, ...]) -> Self:
        """Return the graph of points of a shape (n, d).

        Raises
        ------
        MissingPackageError
            If usearch is not installed.
        CorruptFileError
            If it is the graph of other points.
        """
        index = _usearch().Index.restore(data)
        if index is None or (len(index), index.ndim) != shape:
            raise CorruptFileError("The graph of the index does not match its codes. Make the index again.")
        return cls(index)


def _usearch() -> Any:
    if not has_usearch():
        raise MissingPackageError(
            "Approximate search needs usearch, which is not installed: pip install 'narrows[search]'. "
            "Exact search needs nothing.",
            name="usearch",
        )
    from usearch import index

    return index
