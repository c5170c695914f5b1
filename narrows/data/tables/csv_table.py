"""Tables in files of text: their columns, and the same bytes again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from narrows.data.tables import kernels
from narrows.data.tables.cells import Cells
from narrows.data.tables.dialect import Dialect
from narrows.data.tables.inference import Findings
from narrows.data.tables.kernels import Bytes
from narrows.data.tables.rows import Rows, find_rows
from narrows.data.tables.rules import Encoded, Rule, Stepped
from narrows.errors import DataError

__all__ = ["CsvTable", "Group", "join_cells"]


@dataclass(frozen=True, eq=False)
class Group:
    """Some rows as columns, with the cells that are exceptions."""

    columns: list[Encoded]

    def __len__(self) -> int:
        first = self.columns[0].column.values
        return len(first)


@dataclass(frozen=True, eq=False)
class CsvTable:
    """A table in a file of text.

    Attributes
    ----------
    data : ndarray of uint8
        The file, mapped or in memory.
    source : str
        Its name in messages.
    dialect : Dialect
    rules : tuple of Rule
        One for each column.
    n_rows : int
    """

    data: Bytes
    source: str
    dialect: Dialect
    rules: tuple[Rule, ...]
    n_rows: int

    def groups(self, size: int) -> Iterator[tuple[Rows, Group]]:
        """Yield the rows, and what they are as columns, some at a time."""
        for rows in pieces(self.data, self.dialect, self.source, multiple=size):
            for start in range(0, len(rows), size):
                some = rows.take(start, min(start + size, len(rows)))
                yield some, self.encode(some)

    def encode(self, rows: Rows) -> Group:
        """Return rows as columns."""
        quote = self.dialect.quote
        return Group([rule.encode(rows.column(number), quote) for number, rule in enumerate(self.rules)])

    def text_of(self, group: Group) -> Bytes:
        """Return the text of rows, each with its line end."""
        return text_of(group, self.rules, self.dialect)


def text_of(group: Group, rules: tuple[Rule, ...], dialect: Dialect) -> Bytes:
    """Return the text of rows, each with its line end."""
    cells = [
        rule.decode(one.column, dialect.quote).with_texts(one.rows, one.texts)
        for rule, one in zip(rules, group.columns, strict=True)
    ]
    return join_cells(cells, bytes([dialect.delimiter]), dialect.newline)


def join_cells(columns: list[Cells], delimiter: bytes, newline: bytes) -> Bytes:
    """Return the rows of columns as text."""
    n, after = len(columns[0]), len(delimiter)
    lengths = [cells.lengths for cells in columns]
    row_lengths = np.sum(lengths, axis=0) + after * (len(columns) - 1) + len(newline)
    row_ends = np.cumsum(row_lengths)
    out = np.full(int(row_ends[-1]) if n else 0, delimiter[0], np.uint8)
    places = row_ends - row_lengths
    for cells, length in zip(columns, lengths, strict=True):
        kernels.scatter(*cells, places, out)
        places = places + length + after
    for back, byte in enumerate(reversed(newline), 1):
        out[row_ends - back] = byte
    return out


def pieces(data: Bytes, dialect: Dialect, source: str, *, multiple: int = 1) -> Iterator[Rows]:
    """Yield all rows of a file, a multiple of a number of rows at a time, but for the last."""
    end = len(data) - len(dialect.tail)
    at, cells = len(dialect.head), 1 << 19
    most = max(1, cells // (len(dialect.names) * multiple)) * multiple
    body = data[:end]
    while at < end:
        rows = find_rows(body, at, dialect, source, most)
        if not len(rows):
            return
        yield rows
        at = rows.stop


def read_table(
    data: Bytes, source: str, dialect: Dialect, *, kinds: Mapping[str, str] | None = None
) -> tuple[CsvTable, list[Findings]]:
    """Return the table in a file, and what is known of its columns.

    Raises
    ------
    CorruptFileError, OtherNewlineError
        As `find_rows`.
    DataError
        If there are no rows.
    """
    found = [Findings(dialect.quote) for _ in dialect.names]
    n_rows = 0
    for rows in pieces(data, dialect, source):
        n_rows += len(rows)
        for number, one in enumerate(found):
            one.add(rows.column(number))
    if not n_rows:
        raise DataError(f"{source} has no rows below the names of its columns.")
    asked = kinds or {}
    rules = tuple(one.rule(asked.get(name)) for name, one in zip(dialect.names, found, strict=True))
    return CsvTable(data, source, dialect, rules, n_rows), found
