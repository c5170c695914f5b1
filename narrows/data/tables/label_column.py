"""The column of a table that holds the labels of its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.source import Source
from narrows.data.tables.sources import source_of_table
from narrows.data.tables.typed import Typed
from narrows.errors import DataError

__all__ = ["without_label_column"]

_SHOWN = 8


def without_label_column(source: Source, name: str) -> tuple[Source, npt.NDArray[Any]]:
    """Return the rows of a table without one of its columns, and that column as labels (n,), None where one is missing.

    Parameters
    ----------
    source : Source
        The rows.
    name : str
        The name of the column.

    Raises
    ------
    DataError
        If the data are no table, there is no such column, or it is the only one.
    """
    table = source.table
    if table is None:
        raise DataError(
            f"A label column is one of a table, such as a .csv or .parquet file. {source.name} is no table."
        )
    if name not in table.names:
        there = ", ".join(map(repr, table.names[:_SHOWN])) + " …" * (len(table.names) > _SHOWN)
        raise DataError(f"{source.name} has no column {name!r}. Its columns are {there}.")
    if len(table.names) == 1:
        raise DataError(f"{source.name} has only the column {name!r}. Without it no values are left to learn from.")
    others = replace(table, columns=tuple(one for one in table.columns if one.name != name))
    return source_of_table(others, source.name, source.kind), _as_labels(table.column(name))


def _as_labels(column: Typed) -> npt.NDArray[Any]:
    if column.numbers is None:
        words = column.words or []
        return np.array(words, object if any(word is None for word in words) else str)
    is_whole = not np.any(column.numbers % 1 > 0)
    if not np.isnan(column.numbers).any():
        return column.numbers.astype(np.int64) if is_whole else column.numbers
    known = [None if np.isnan(one) else int(one) if is_whole else one for one in column.numbers.tolist()]
    return np.array(known, object)
