"""A picture of queries and the records that a search found for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows import pictures
from narrows.archive import open_archive
from narrows.errors import DataError
from narrows.evaluation.drawing import drawable
from narrows.evaluation.table_drawing import draw_alike_rows
from narrows.model.inference import decode, project_codes
from narrows.uses import SearchIndex
from narrows.uses.search.results import Found

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_neighbours", "restored"]

_MOST_COLUMNS = 20


def draw_neighbours(index: SearchIndex, found: Found, queries: NDArray[Any] | None = None, *, n: int = 20) -> Figure:
    """Return a picture with a row for each query: the query, and its neighbours from the nearest on.

    Parameters
    ----------
    index : SearchIndex
        What was searched.
    found : Found
        The neighbours.
    queries : ndarray of shape (m, *shape), optional
        The queries. None: they are records of the index, each its own first neighbour.
    n : int
        The number of queries to draw; of each at most 20 neighbours are drawn.

    Raises
    ------
    DataError
        If records are texts, which have no picture.
    ArchiveError
        If a model is needed to restore the neighbours, and not found.
    """
    if index.about.record == "text":
        raise DataError("Texts have no picture. Write a table: a path that ends in .csv or .json.")
    rows = found.indices[:n, :_MOST_COLUMNS]
    unique, positions = np.unique(rows, return_inverse=True)
    records = restored(index, unique)[positions.reshape(-1)]
    records = records.reshape(*rows.shape, *records.shape[1:])
    labels = [str(rank) for rank in range(1, rows.shape[1] + 1)]
    if queries is not None:
        of_queries = np.asarray(queries[: len(rows)])
        given = (of_queries if index.about.record == "columns" else _without_gaps(of_queries))[:, None]
        records = np.concatenate([given.astype(np.result_type(given, records)), records], axis=1)
        labels = ["query", *labels]
    if index.about.record == "columns":
        return _alike(index, records, labels)
    flat = records.reshape(-1, *records.shape[2:])
    if index.model is not None:
        flat = drawable(index.model, flat)
    return pictures.grid(flat, columns=len(labels), column_labels=labels)


def _alike(index: SearchIndex, records: NDArray[Any], labels: list[str]) -> Figure:
    """Return a picture of rows of a table (n, k, n_columns), each below its neighbours of one rank."""
    return draw_alike_rows(index.needed_model(), {label: records[:, i] for i, label in enumerate(labels)})


def _without_gaps(queries: NDArray[Any]) -> NDArray[Any]:
    """Return records to draw: missing values, which have no colour, are the smallest of those that there are."""
    if queries.dtype.kind != "f" or np.isfinite(queries).all():
        return queries
    known = np.isfinite(queries)
    return np.where(known, queries, queries[known].min() if known.any() else 0)


def restored(index: SearchIndex, records: NDArray[np.int64]) -> NDArray[Any]:
    """Return records (m, *shape) of an index: those of an archive, otherwise what the model decodes from the codes."""
    if index.archive is not None:
        with open_archive(index.archive, model=index.model) as archive:
            return archive.read(records)
    model = index.needed_model()
    codes = project_codes(model.chain_, index.codes(records))
    labels = None
    if model.chain_.parts.n_classes:
        labels = model._positions(index.items.labels[records])  # type: ignore[index]
    return decode(model.chain_, codes, labels, dtype=model.dtype_)
