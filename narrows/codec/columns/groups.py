"""A group of rows as streams, and what they do not tell of it.

::

    for each column without a mask: the rows in which nothing is, as differences
    for each column of numbers:     the rows with numbers that the scale does not give again, as differences, and these
    the exceptions of the rows:     their places, as differences, and their numbers
    number of coded bytes · the coded rows (`columns.coder`)
    for each column of texts:       the texts that are no words (`columns.texts`)

All but the last two are one sequence of numbers (`packing.pack_signed_numbers`); each list starts with its length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.contract import Column, Ids, Texts
from narrows.codec.columns.streams import ColumnKind, StreamSchema, kind_of
from narrows.codec.columns.texts import TextModel
from narrows.errors import CorruptArchiveError

__all__ = ["Escapes", "check_columns", "columns_of", "filled", "matrix_of", "numbers_of"]

Rows = NDArray[np.int64]


class Escapes:
    """Lists of whole numbers, put and taken one after the other."""

    def __init__(self, numbers: Sequence[int] = ()) -> None:
        self.numbers, self._at = list(numbers), 0

    def put(self, rows: Rows, values: Rows | None = None) -> None:
        """Add rows in increasing order, and a value for each."""
        self.numbers += [len(rows), *np.diff(rows, prepend=0).tolist()]
        if values is not None:
            self.numbers += values.tolist()

    def take_rows(self, n: int) -> Rows:
        """Return rows below n, in increasing order.

        Raises
        ------
        CorruptArchiveError
            If there are none.
        """
        count = self._numbers(1)[0]
        if not 0 <= count <= n:
            raise CorruptArchiveError(f"A group of {n:,} rows has {count:,} exceptions of a kind.")
        steps = self._numbers(int(count))
        rows = np.cumsum(np.clip(steps, 0, n))
        if count and ((steps[1:] < 1).any() or steps[0] < 0 or steps.max() >= n or rows[-1] >= n):
            raise CorruptArchiveError("The exceptions of a group are not in order.")
        return rows

    def take_values(self, n: int) -> Rows:
        """Return n values."""
        return self._numbers(n)

    def _numbers(self, n: int) -> Rows:
        found = self.numbers[self._at : self._at + n]
        self._at += n
        if len(found) < n:
            raise CorruptArchiveError("The exceptions of a group are cut off.")
        return np.array(found, np.int64)

    def finish(self) -> None:
        """Check that all is taken."""
        if self._at != len(self.numbers):
            raise CorruptArchiveError("A group of rows has exceptions too many.")


def filled(values: NDArray[np.int64], missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return values (n,) with one of them where one is missing; 0 if all are."""
    present = np.sort(values[~missing])
    return np.where(missing, present[len(present) // 2] if len(present) else 0, values)


def check_columns(schemas: Sequence[StreamSchema], columns: Sequence[Column]) -> int:
    """Return the number of rows of columns that fit the schemas; ValueError: they do not."""
    kinds = [kind_of(column).name for column in columns]
    if kinds != [schema.kind.name for schema in schemas]:
        raise ValueError(f"Columns must be {[schema.kind.name for schema in schemas]}. Got {kinds}.")
    sizes = {len(column.values) for column in columns}
    sizes |= {len(column.missing) for column in columns if column.missing is not None}
    if len(sizes) > 1:
        raise ValueError(f"All columns must have as many values. Got {sorted(sizes)}.")
    for schema, column in zip(schemas, columns, strict=True):
        if isinstance(column, Ids) and column.n_known != schema.n_known:
            raise ValueError(f"A column of categories must have {schema.n_known:,} of them. Got {column.n_known:,}.")
    return sizes.pop() if sizes else 0


def numbers_of(columns: Sequence[Column], models: Sequence[TextModel | None]) -> list[Rows]:
    """Return the whole numbers of each column, shaped (n,)."""
    return [
        model.numbers(column.values) if isinstance(column, Texts) and model else np.asarray(column.values, np.int64)
        for column, model in zip(columns, models, strict=True)
    ]


def matrix_of(
    schemas: Sequence[StreamSchema], columns: Sequence[Column], numbers: Sequence[Rows], n: int, escapes: Escapes
) -> Rows:
    """Return the streams of columns (n, number of streams), and put what they do not tell to escapes."""
    streams: list[Rows] = []
    for schema, column, given in zip(schemas, columns, numbers, strict=True):
        missing = np.zeros(n, bool) if column.missing is None else column.missing
        if schema.has_mask:
            streams.append(missing.astype(np.int64))
        else:
            escapes.put(np.flatnonzero(missing))
        values = filled(given, missing) if missing.any() else given
        parts = schema.split(values)
        if schema.kind == ColumnKind.NUMBERS:
            wrong = np.flatnonzero((schema.joined(parts) != values) & ~missing)
            escapes.put(wrong, values[wrong])
        streams += parts
    return np.stack(streams, 1) if streams else np.zeros((n, 0), np.int64)


def columns_of(
    schemas: Sequence[StreamSchema],
    streams: Sequence[Rows],
    absent: Sequence[Rows | None],
    wrong: Sequence[tuple[Rows, Rows] | None],
) -> list[tuple[Rows, NDArray[np.bool_] | None]]:
    """Return numbers and what is missing of each column."""
    found: list[tuple[Rows, NDArray[np.bool_] | None]] = []
    at = 0
    for schema, rows, other in zip(schemas, absent, wrong, strict=True):
        parts = list(streams[at : at + schema.n_streams])
        at += schema.n_streams
        n = len(parts[-1])
        missing = np.zeros(n, bool)
        if schema.has_mask:
            missing = parts.pop(0) != 0
        elif rows is not None:
            missing[rows] = True
        values = schema.joined(parts)
        if other is not None:
            values[other[0]] = other[1]
        values[missing] = 0
        if schema.kind != ColumnKind.NUMBERS and ((values < 0) | (values > schema.n_known)).any():
            raise CorruptArchiveError(f"A category of a group is not in 0 to {schema.n_known:,}.")
        found.append((values, missing if missing.any() else None))
    return found
