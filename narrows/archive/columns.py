"""COLUMN blocks: columns with a value for each step of series, or for each text, coded as blocks of fields are."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.field_chunks import pack_block_values, parse_block_values
from narrows.archive.header import read_block, read_payload
from narrows.archive.index import Index
from narrows.archive.layout import BlockType
from narrows.archive.layouts.field import MOST_BLOCK_VALUES
from narrows.archive.records import checksum
from narrows.codec.fields.block import decode_block, encode_block
from narrows.codec.residual.error_bound import ErrorBound
from narrows.errors import CorruptArchiveError
from narrows.numerics.blas import one_blas_thread

__all__ = ["Column", "Columns", "column_blocks"]

_BLOCK_VALUES = 1 << 20
_DAMAGE = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)


class Column(IntEnum):
    """The content of a COLUMN block, with a value for each step or text, or for each value of a step."""

    TIMES = 0  # int64
    MISSING = 1  # uint8: 1 where a value is missing
    ULPS = 2  # int8: units in the last place that are added to decimals
    PIECES = 3  # int32: the number of records of a text
    EXCEPTIONS = 4  # int64: what is added to the bits of values that are no decimals


_DTYPES = {
    Column.TIMES: np.int64,
    Column.MISSING: np.uint8,
    Column.ULPS: np.int8,
    Column.PIECES: np.int32,
    Column.EXCEPTIONS: np.int64,
}
_ONE_EACH = (Column.TIMES, Column.PIECES)


def column_blocks(column: Column, values: npt.NDArray[Any]) -> Iterator[tuple[Column, int, bytes]]:
    """Yield a column as blocks: what they contain, their number of steps or texts, and their payload."""
    stored = values.astype(_DTYPES[column])
    n_steps = max(1, _BLOCK_VALUES // int(np.prod(values.shape[1:], dtype=np.int64)))
    for start in range(0, len(stored), n_steps):
        part = np.ascontiguousarray(stored[start : start + n_steps])
        with one_blas_thread():
            coded = encode_block(part[None], ErrorBound(stored.dtype, 0))
        yield column, len(part), pack_block_values(coded, 0.0)


class Columns:
    """Reads the COLUMN blocks of an archive.

    Parameters
    ----------
    source : ByteFile
    index : Index
        Of the archive.
    n_steps : int
        The number of steps, or texts.
    shape : tuple of int
        Shape of a step.
    """

    def __init__(self, source: ByteFile, index: Index, n_steps: int, shape: tuple[int, ...] = ()) -> None:
        self._source, self._entries, self._n_steps, self._shape = source, index.entries, n_steps, shape

    def read(self, column: Column) -> npt.NDArray[Any]:
        """Return a column.

        Raises
        ------
        CorruptArchiveError
            If it is missing or damaged.
        """
        shape = () if column in _ONE_EACH else self._shape
        grid = ErrorBound(np.dtype(_DTYPES[column]), 0)
        parts, done = [], 0
        for entry in self._entries[self._entries["type"] == BlockType.COLUMN]:
            if entry["first"] != column:
                continue
            what = f"column {column.name.lower()}"
            offset = int(entry["offset"])
            block = read_block(self._source, offset, self._source.size)
            n_values = block.n_records * int(np.prod(shape, dtype=np.int64))
            is_named = block.type == BlockType.COLUMN and block.first == column
            if not is_named or not 0 < n_values <= MOST_BLOCK_VALUES:
                raise CorruptArchiveError(f"{what} is not at its offset in the index")
            most = n_values * grid.dtype.itemsize
            stored = parse_block_values(read_payload(self._source, offset, block, what, most + 64), most)
            try:
                values = decode_block(stored.kind, stored.data, grid, (1, block.n_records, *shape))[0]
            except _DAMAGE as error:
                raise CorruptArchiveError(f"{what} cannot be decoded: {error}") from error
            if checksum(values[None]) != stored.checksum:
                raise CorruptArchiveError(f"{what} is not restored correctly: its checksum is wrong")
            parts.append(values)
            done += len(values)
        if done != self._n_steps:
            raise CorruptArchiveError(f"column {column.name.lower()} has {done:,} values, not {self._n_steps:,}")
        return np.concatenate(parts)
