"""How many bytes the columns of a table take in an archive: some of its groups are decoded and measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.archive.plain_table import PlainTable
from narrows.archive.table_model import TableModel, dictionary_of
from narrows.archive.table_reader import TableArchive
from narrows.codec.columns.model import ColumnsModel
from narrows.data.tables.form import Group
from narrows.errors import CorruptArchiveError

__all__ = ["ColumnBytes", "column_bytes"]

_MOST_GROUPS = 4  # that are measured: each takes a fifth of a second


@dataclass(frozen=True, eq=False)
class ColumnBytes:
    """How many bytes columns take.

    Attributes
    ----------
    rows : ndarray of shape (n_columns,), int64
        Of the groups of rows. They add up to the bytes of all groups.
    dictionaries : ndarray of shape (n_columns,), int64
        Of the texts of a column in the model, if it is inside.
    n_measured, n_groups : int
        How many groups were measured, and how many there are; 0 were measured if the bytes are shares by the lengths of
        texts.
    """

    rows: NDArray[np.int64]
    dictionaries: NDArray[np.int64]
    n_measured: int
    n_groups: int

    @property
    def bytes(self) -> list[int]:
        """The bytes of each column."""
        found: list[int] = (self.rows + self.dictionaries).tolist()
        return found


def column_bytes(archive: TableArchive, records_bytes: int, *, is_inside: bool) -> ColumnBytes | None:
    """Return how many bytes columns take; None if a group that is measured is damaged.

    Parameters
    ----------
    archive : TableArchive
        An open archive.
    records_bytes : int
        The bytes of all groups.
    is_inside : bool
        Whether the model is inside.
    """
    table, starts = archive.table, archive.starts
    if isinstance(table, PlainTable):
        return _of_text(table, records_bytes)
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(_MOST_GROUPS, len(starts))).astype(np.int64))
    measured = np.zeros(len(table.form.rules))
    try:
        for number in chosen.tolist():
            measured += _of_group(table, archive.group(number))
    except CorruptArchiveError:
        return None
    shares = measured / measured.sum() if measured.sum() else np.full(len(measured), 1 / len(measured))
    inside = _dictionaries(table) if is_inside else np.zeros(len(measured), np.int64)
    return ColumnBytes(_whole(records_bytes * shares), inside, len(chosen), len(starts))


def _of_text(table: PlainTable, records_bytes: int) -> ColumnBytes:
    """Return the share of each column in the bytes of a text, by the lengths of its cells."""
    cells = [table.form.cells(table.group, place) for place in range(len(table.form.rules))]
    lengths = np.array([int(one.lengths.sum()) + len(one) for one in cells], float)
    shares = lengths / lengths.sum()
    return ColumnBytes(_whole(records_bytes * shares), _whole(len(table.blob) * shares), 0, 1)


def _of_group(table: TableModel, group: Group) -> NDArray[np.float64]:
    """Return about how many bytes each column of a group takes, with its exceptions."""
    columns = [one.column for one in group.columns]
    order = list(range(len(columns)) if table.order is None else table.order)
    found = np.zeros(len(columns))
    found[order] = table.coder.bytes_of_columns([columns[place] for place in order])
    return found + [sum(map(len, one.texts)) + 2 * len(one.rows) for one in group.columns]


def _dictionaries(table: TableModel) -> NDArray[np.int64]:
    """Return how many bytes the dictionary of each column takes in the model."""
    lengths = np.array([sum(map(len, texts)) + len(texts) for texts in map(dictionary_of, table.form.rules)], float)
    found = _whole(len(table.dictionaries) * lengths / lengths.sum()) if lengths.sum() else np.zeros(len(lengths), int)
    coder = table.coder
    if isinstance(coder, ColumnsModel):
        order = range(len(lengths)) if table.order is None else table.order
        for place, texts in zip(order, coder.texts, strict=True):
            found[place] += 0 if texts is None else len(texts.to_bytes())
    return found


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return numbers as whole ones with the same sum."""
    return np.diff(np.round(np.cumsum(values)), prepend=0).astype(np.int64)
