"""Tables in files of text: their columns, and the same bytes again."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from narrows.data.tables import kernels
from narrows.data.tables.asked import Asked, check_asked
from narrows.data.tables.cells import Cells
from narrows.data.tables.csv_values import arrow_values, python_values
from narrows.data.tables.dialect import Dialect
from narrows.data.tables.form import Facts, Form, Group, TableSource
from narrows.data.tables.inference import SKIP, Findings
from narrows.data.tables.kernels import Bytes
from narrows.data.tables.mapped import release
from narrows.data.tables.rows import Rows, find_rows
from narrows.data.tables.rules import Rule
from narrows.errors import DataError

__all__ = ["CsvForm", "CsvSource", "join_cells", "read_as", "read_table", "text_of"]

_CELLS = 1 << 19  # that are read at a time


@dataclass(frozen=True, eq=False)
class CsvForm(Form, entry="csv"):
    """The columns of a file of text.

    Attributes
    ----------
    dialect : Dialect
    rules : tuple of Rule
        One for each column.
    """

    dialect: Dialect
    rules: tuple[Rule, ...]

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the columns."""
        return self.dialect.names

    def encode(self, rows: Rows) -> Group:
        """Return rows as columns."""
        quote = self.dialect.quote
        return Group([rule.encode(rows.column(number), quote) for number, rule in enumerate(self.rules)])

    def cells(self, group: Group, column: int) -> Cells:
        """Return the cells of a column as they are in the file."""
        one = group.columns[column]
        return self.rules[column].decode(one.column, self.dialect.quote).with_texts(one.rows, one.texts)

    def text(self, group: Group) -> Bytes:
        """Return the text of rows, each with its line end."""
        cells = [self.cells(group, column) for column in range(len(self.rules))]
        return join_cells(cells, self.dialect.delimiter, self.dialect.newline)

    def checksum(self, group: Group) -> int:
        return zlib.crc32(self.text(group).tobytes())

    def values(self, group: Group, column: int) -> list[Any]:
        return python_values(self.rules[column], self.dialect, group.columns[column])

    def arrow(self, groups: Iterable[Group], columns: Sequence[int]) -> Any:
        import pyarrow as pa

        found: dict[int, list[Any]] = {column: [] for column in columns}
        for group in groups:
            for column, pieces in found.items():
                pieces.append(arrow_values(self.rules[column], self.dialect, group.columns[column]))
        empty = Group([rule.encode(Cells.of([]), self.dialect.quote) for rule in self.rules])
        arrays = [
            pa.chunked_array(pieces or [arrow_values(self.rules[column], self.dialect, empty.columns[column])])
            for column, pieces in found.items()
        ]
        return pa.table(arrays, [self.names[column] for column in columns]).unify_dictionaries()

    def with_rules(self, rules: Sequence[Rule]) -> Self:
        return type(self)(self.dialect, tuple(rules))

    def to_json(self) -> dict[str, Any]:
        return self.dialect.to_json()

    @classmethod
    def from_json(cls, values: dict[str, Any], names: tuple[str, ...], rules: tuple[Rule, ...]) -> Self:
        return cls(Dialect.from_json(values, names), rules)


def text_of(form: CsvForm, groups: Iterable[Group]) -> bytes:
    """Return the file of text with all rows of a table."""
    text = b"".join(form.text(group).tobytes() for group in groups)
    text = text.removesuffix(form.dialect.newline) if form.dialect.open_end else text
    return form.dialect.head + text + form.dialect.tail


def join_cells(columns: list[Cells], delimiter: int, newline: bytes) -> Bytes:
    """Return the rows of columns as text."""
    n = len(columns[0])
    lengths = [cells.lengths for cells in columns]
    row_lengths = np.sum(lengths, axis=0) + (len(columns) - 1) + len(newline)
    row_ends = np.cumsum(row_lengths)
    out = np.full(int(row_ends[-1]) if n else 0, delimiter, np.uint8)
    places = row_ends - row_lengths
    for cells, length in zip(columns, lengths, strict=True):
        kernels.scatter(*cells, places, out)
        places = places + length + 1
    for back, byte in enumerate(reversed(newline), 1):
        out[row_ends - back] = byte
    return out


@dataclass(eq=False)
class CsvSource(TableSource):
    """A table in a file of text.

    Attributes
    ----------
    data : ndarray of uint8
        The bytes of the file.
    whole : Dialect or None
        That of the file, if columns are left out.
    kept : tuple of int
        The columns of the file that the table has, if some are left out.
    """

    form: CsvForm
    data: Bytes = None  # type: ignore[assignment]
    whole: Dialect | None = None
    kept: tuple[int, ...] = ()

    def read_again(self, kinds: Mapping[str, str]) -> CsvSource:
        """Return the table with other kinds of some columns, without those that are left out here.

        Parameters
        ----------
        kinds : dict of str to str
            As for `read_table`.
        """
        left_out = dict.fromkeys(self.skipped, SKIP)
        return read_table(self.data, self.name, self.whole or self.form.dialect, {**left_out, **kinds}, must_fit=False)

    def groups(self, size: int) -> Iterator[Group]:
        for found in _pieces(self.data, self.whole or self.form.dialect, self.name, multiple=size):
            rows = found if self.whole is None else found.of(self.kept)
            for start in range(0, len(rows), size):
                yield self.form.encode(rows.take(start, min(start + size, len(rows))))


def _pieces(data: Bytes, dialect: Dialect, source: str, *, multiple: int = 1) -> Iterator[Rows]:
    """Yield all rows of a file, a multiple of a number of rows at a time, but for the last."""
    at = len(dialect.head)
    most = max(1, _CELLS // (len(dialect.names) * multiple)) * multiple
    body = data[: len(data) - len(dialect.tail)]
    while at < len(body):
        rows = find_rows(body, at, dialect, source, most)
        if not len(rows):
            return
        yield rows
        release(data, at, rows.stop)
        at = rows.stop


def read_as(data: Bytes, source: str, dialect: Dialect, form: CsvForm) -> tuple[CsvSource, list[int]]:
    """Return the table in a file, with the columns of another, and for each of these its place in the file.

    Raises
    ------
    CorruptFileError, OtherNewlineError
        As `find_rows`.
    DataError
        If there are no rows, or other columns.
    """
    lacking = [name for name in form.names if name not in dialect.names]
    more = [name for name in dialect.names if name not in form.names]
    if lacking or more:
        what = [
            f"{word}: {', '.join(map(repr, names[:5]))}"
            for word, names in (("missing", lacking), ("more", more))
            if names
        ]
        raise DataError(
            f"The columns of {source} are not those that the model learned from ({'; '.join(what)}). Their order may "
            "differ. Give a file with the same columns, or compress without a model."
        )
    order = [dialect.names.index(name) for name in form.names]
    rules = [form.rules[form.names.index(name)] for name in dialect.names]
    n_rows = sum(map(len, _pieces(data, dialect, source)))
    if not n_rows:
        raise DataError(f"{source} has no rows below the names of its columns.")
    return CsvSource(source, CsvForm(dialect, tuple(rules)), n_rows, len(data), data=data), order


def read_table(
    data: Bytes, source: str, dialect: Dialect, kinds: Mapping[str, str], *, must_fit: bool = True
) -> CsvSource:
    """Return the table in a file.

    Parameters
    ----------
    data : ndarray of uint8
        The bytes of the file.
    source : str
        Its name in messages.
    dialect : Dialect
    kinds : dict of str to str
        What columns have, if it is not to be found: one of `inference.KINDS`, or ``skip``, by name.
    must_fit : bool
        Whether a column is refused if next to no cell is what it is said to have. Otherwise all may be exceptions.

    Raises
    ------
    CorruptFileError, OtherNewlineError
        As `find_rows`.
    DataError
        If there are no rows.
    InvalidParameterError
        If a column does not have what it is said to have.
    """
    kept = tuple(place for place, name in enumerate(dialect.names) if kinds.get(name) != SKIP)
    part = dialect.of(kept)
    found = [Findings(name, dialect.quote) for name in part.names]
    n_rows, n_bytes = 0, len(part.head) + len(part.tail) - (len(part.newline) if part.open_end else 0)
    for rows in _pieces(data, dialect, source):
        n_rows += len(rows)
        for place, one in zip(kept, found, strict=True):
            cells = rows.column(place)
            n_bytes += int(cells.lengths.sum())
            one.add(cells)
    if not n_rows:
        raise DataError(f"{source} has no rows below the names of its columns.")
    n_bytes += n_rows * (len(kept) - 1 + len(part.newline))
    rules = tuple(one.rule(kinds.get(one.name), must_fit=must_fit) for one in found)
    asked = [Asked(*one) for one in zip(kept, rules, found, strict=True) if one[2].name in kinds]
    warnings = check_asked(asked, _pieces(data, dialect, source), dialect, source) if must_fit else []
    facts = [
        Facts(0 if rule.null is None else one.nulls[rule.null], None if one.counts is None else len(one.counts))
        for rule, one in zip(rules, found, strict=True)
    ]
    form = CsvForm(part, rules)
    if len(kept) == len(dialect.names):
        return CsvSource(source, form, n_rows, len(data), facts, warnings, data=data)
    skipped = tuple(name for name in dialect.names if name not in part.names)
    more: dict[str, Any] = {"skipped": skipped, "data": data, "whole": dialect, "kept": kept}
    return CsvSource(source, form, n_rows, n_bytes, facts, warnings, **more)
