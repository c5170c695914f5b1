"""Precision and mean average precision of neighbours, by vectors and by indexes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.data import Source
from narrows.model.precision import in_float64
from narrows.model.search_codes import code_numbers
from narrows.numerics.nearest import Points
from narrows.uses import SearchIndex

RANKED, K = 300, 10
Array = NDArray[Any]
Rows = dict[str, dict[str, Any]]


def nearest(points: Array, queries: Array, k: int = K) -> Array:
    """Return the k nearest points (m, k) by Euclidean distance in float32."""
    points, queries = (np.asarray(x, np.float32).reshape(len(x), -1) for x in (points, queries))
    squares, found = np.square(points).sum(1), []
    for start in range(0, len(queries), 100):
        away = squares - 2 * queries[start : start + 100] @ points.T
        some = np.argpartition(away, k - 1, axis=1)[:, :k]
        order = np.take_along_axis(away, some, 1).argsort(1)
        found.append(np.take_along_axis(some, order, 1))
    return np.concatenate(found)


def precision(indices: Array, labels: Array, of_queries: Array) -> float:
    return float((labels[indices] == of_queries[:, None]).mean())


def average_precision(distances: Iterator[Array], labels: Array, of_queries: Array) -> float:
    """Return the mean average precision of rankings by distances, an array (n,) for each query."""
    found = []
    for away, label in zip(distances, of_queries, strict=False):
        ranks = np.flatnonzero(labels[away.argsort(kind="stable")] == label) + 1
        found.append(float((np.arange(1, len(ranks) + 1) / ranks).mean()))
    return float(np.mean(found))


def euclidean(points: Array, queries: Array) -> Iterator[Array]:
    points, queries = (np.asarray(x, np.float32).reshape(len(x), -1) for x in (points, queries))
    squares = np.square(points).sum(1)
    return (squares - 2 * points @ query for query in queries)


def of_vectors(points: Array, queries: Array, train: Source, test: Source, *, ranked: bool = True) -> dict[str, Any]:
    """Return the measures of vectors that are compared by their Euclidean distances."""
    row = {"precision": precision(nearest(points, queries), train.labels, test.labels)}
    if ranked:
        row["map"] = average_precision(euclidean(points, queries[:RANKED]), train.labels, test.labels)
    return row


def of_index(index: SearchIndex, train: Source, test: Source, values: Array, *, ranked: bool = True) -> dict[str, Any]:
    """Return the measures of an index."""
    coordinates = index.metric.coordinates(queries_of(index, values))
    _, indices = Points(index.coordinates).nearest(coordinates, K)
    row = {"precision": precision(indices, train.labels, test.labels), "weights": index.metric.weights}
    if ranked:
        row["map"] = average_precision(euclidean(index.coordinates, coordinates[:RANKED]), train.labels, test.labels)
    return row


def queries_of(index: SearchIndex, values: Array) -> Array:
    return code_numbers(in_float64(index.needed_model().chain_), values)


def flat(values: Array) -> Array:
    return values.reshape(len(values), -1)
