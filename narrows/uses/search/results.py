"""What a search found, as rows and as a table in a file."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from narrows.io.files import write_atomically
from narrows.uses.search.items import Items

__all__ = ["COLUMNS", "Found"]

COLUMNS = ("query", "rank", "index", "distance", "name", "label")
"""Columns of a table of neighbours."""


@dataclass(frozen=True)
class Found:
    """The neighbours of m queries.

    Attributes
    ----------
    queries : sequence of str
        What each query is called.
    distances, indices : ndarray of shape (m, k)
        As `SearchIndex.query` returns them.
    items : Items
        Names and labels of the records that were searched.
    labels : sequence, optional
        The labels of the queries, None for a query without a label.
    """

    queries: Sequence[str]
    distances: NDArray[np.float64]
    indices: NDArray[np.int64]
    items: Items
    labels: Sequence[Any] | None = None

    @property
    def precision(self) -> float | None:
        """The mean share of neighbours with the label of the query; None if not all queries and records have labels."""
        if self.labels is None or self.items.labels is None or any(one is None for one in self.labels):
            return None
        of_queries = np.asarray([str(one) for one in self.labels])
        return float((self.items.labels.astype(str)[self.indices] == of_queries[:, None]).mean())

    def neighbours(self, query: int) -> list[dict[str, Any]]:
        """Return the neighbours of a query as JSON values, the nearest first."""
        pairs = zip(self.distances[query].tolist(), self.indices[query].tolist(), strict=True)
        return [
            {"index": index, "distance": away, "name": self.items.name(index), "label": self.items.label(index)}
            for away, index in pairs
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """Return each query with its neighbours as JSON values."""
        return [
            {"query": name, "label": None if self.labels is None else self.labels[i], "neighbours": self.neighbours(i)}
            for i, name in enumerate(self.queries)
        ]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each neighbour, with the entries `COLUMNS`."""
        for i, name in enumerate(self.queries):
            for rank, one in enumerate(self.neighbours(i), start=1):
                yield {"query": name, "rank": rank, **one}

    def write(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write a table, ``.csv``, or a JSON file, ``.json``.

        Raises
        ------
        OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
            As `narrows.io.files.write_atomically`.
        """
        if Path(path).suffix.lower() == ".json":
            text = json.dumps(self.to_json(), indent=2) + "\n"
        else:
            table = io.StringIO()
            writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows())
            text = table.getvalue()
        data = text.encode("utf-8", "surrogateescape")

        def fill(file: BinaryIO) -> None:
            file.write(data)

        write_atomically(path, fill, force=force)
