"""Finding the cells of rows, piece by piece."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from narrows.data.tables.cells import Cells
from narrows.data.tables.dialect import Dialect
from narrows.data.tables.kernels import Bytes, Places, compiled
from narrows.errors import CorruptFileError

__all__ = ["OtherNewlineError", "Rows", "find_rows"]

_COMPLETE, _RAGGED, _UNCLOSED, _OTHER_NEWLINE = range(4)
_CELLS = 1 << 19  # that are found at a time


class OtherNewlineError(Exception):
    """A row does not end as the first line does."""


class Rows(NamedTuple):
    """Rows of a table as places in a file.

    Attributes
    ----------
    data : ndarray of uint8
        The file.
    starts, ends : ndarray of int64, shape (n, n_columns)
        Starts and ends of cells.
    stop : int
        The place after the last row.
    """

    data: Bytes
    starts: Places
    ends: Places
    stop: int

    def __len__(self) -> int:
        return len(self.starts)

    def column(self, number: int) -> Cells:
        """Return the cells of a column."""
        starts, ends = self.starts[:, number], self.ends[:, number]
        first = int(starts[0]) if len(starts) else 0
        # Only the bytes of these rows, so that what is made of the cells need not hold the file.
        return Cells(self.data[first : self.stop], starts - first, ends - first)

    def of(self, columns: Sequence[int]) -> Rows:
        """Return some of the columns."""
        return Rows(self.data, self.starts[:, columns], self.ends[:, columns], self.stop)

    def take(self, start: int, stop: int) -> Rows:
        """Return some of the rows, from one up to another."""
        end = int(self.starts[stop, 0]) if stop < len(self) else self.stop
        return Rows(self.data, self.starts[start:stop], self.ends[start:stop], end)


def find_rows(data: Bytes, start: int, dialect: Dialect, source: str, most: int | None = None) -> Rows:
    """Return the next rows of a file, at most a number of them; none at its end.

    Raises
    ------
    CorruptFileError
        If a row has another number of cells than the first line, or a quote is never closed; names the line.
    OtherNewlineError
        If a row ends in another way than the first line.
    """
    n_columns = len(dialect.names)
    n_rows = max(1, _CELLS // n_columns) if most is None else most
    starts, ends = np.empty((2, n_rows * n_columns), np.int64)
    found = np.zeros(4, np.int64)
    arguments = (
        data,
        start,
        dialect.delimiter,
        dialect.quote,
        int(dialect.has_returns),
        n_columns,
        starts,
        ends,
        found,
    )
    if compiled is None:
        _fields(*arguments)
    else:
        compiled.fields(*arguments)
    n, stop, status, n_cells = found.tolist()
    if status == _OTHER_NEWLINE:
        raise OtherNewlineError
    if status != _COMPLETE:
        line = 1 + int(np.count_nonzero(data[:stop] == ord("\n")))
        if status == _UNCLOSED:
            raise CorruptFileError(
                f"A quote that opens in line {line:,} of {source} is never closed. Correct that line."
            )
        text = bytes(data[stop : stop + 60]).split(b"\n", 1)[0].decode(dialect.encoding, "replace")
        fields = f"{n_cells:,} field{'s' * (n_cells > 1)}"
        raise CorruptFileError(
            f"Line {line:,} of {source} has {fields}, and the first line has {n_columns:,}: {text!r}. "
            "All rows must have as many fields. Correct it, or say what is between fields (--delimiter)."
        )
    shape = (n, n_columns)
    return Rows(data, starts[: n * n_columns].reshape(shape), ends[: n * n_columns].reshape(shape), stop)


def _fields(  # noqa: PLR0917  as the kernel
    data: Bytes, start: int, delimiter: int, quote: int, has_returns: int, n_columns: int,
    starts: Places, ends: Places, found: Places,
) -> None:  # fmt: skip
    """Find the cells of rows, as the compiled kernel does."""
    stop, n, at, status, column = len(data), 0, start, _COMPLETE, 0
    raw, i = memoryview(data.data), start
    other = re.compile(b"[\n" + re.escape(bytes([delimiter])) + b"]")
    mark = re.compile(re.escape(bytes([quote])) + b"+") if quote >= 0 else None
    while i < stop and (n + 1) * n_columns <= len(starts) and status == _COMPLETE:
        column = 0
        while True:
            end = _end_of_cell(raw, i, mark, other)
            if end < 0:
                status = _UNCLOSED
                break
            is_last = end == stop or raw[end] == ord("\n")
            text_end = end
            if is_last and has_returns and end < stop:
                if end > i and raw[end - 1] == ord("\r"):
                    text_end = end - 1
                else:
                    status = _OTHER_NEWLINE
            if column < n_columns:
                starts[n * n_columns + column], ends[n * n_columns + column] = i, text_end
            i = end + 1
            if is_last:
                if column + 1 != n_columns:
                    status = _RAGGED
                break
            column += 1
        if status == _COMPLETE:
            n, at = n + 1, min(i, stop)
    found[:] = n, at, status, column + 1


def _end_of_cell(raw: memoryview, i: int, mark: re.Pattern[bytes] | None, other: re.Pattern[bytes]) -> int:
    """Return the end of the cell that starts at i; -1 if its quote is never closed."""
    if mark is not None and (opening := mark.match(raw, i)) is not None:
        closing: re.Match[bytes] | None = opening
        at = i + 1  # quotes from here on: an even number is doubled ones, the last of an odd number closes
        while closing is not None and (closing.end() - at) % 2 == 0:
            closing = mark.search(raw, max(closing.end(), at))
            at = closing.start() if closing is not None else at
        if closing is None:
            return -1
        i = closing.end()
    found = other.search(raw, i)
    return len(raw) if found is None else found.start()
