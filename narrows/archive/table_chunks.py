"""The payload of a group of rows of a table.

::

    CRC-32 of the rows as they are restored u32 · kind u8 · length u32 · the exceptions · the coded columns
    exceptions: number of columns · for each: its number · number of rows · distances of rows · lengths · texts

Numbers of exceptions are LEB128. The exceptions are packed by zstd, and nothing if there are none.
"""

from __future__ import annotations

import struct

import numpy as np
import zstandard

from narrows.archive.byte_file import ByteFile
from narrows.archive.header import read_payload
from narrows.archive.layout import Block, Coding
from narrows.archive.metadata import Metadata
from narrows.archive.plain_table import PLAIN_ROWS, PlainTable
from narrows.archive.table_model import TableModel
from narrows.data.tables.form import Group
from narrows.data.tables.rules import Encoded
from narrows.errors import ArchiveError, CorruptArchiveError

__all__ = ["COLUMNS", "ROWS_OF_TEXT", "check_rows", "pack_rows", "read_rows", "restore_rows"]

COLUMNS, ROWS_OF_TEXT = 15, 18
"""The kinds: coded columns, and no columns, since the rows are the text in the place of the model."""

_HEAD = struct.Struct("<IBI")
_MOST_EXCEPTION_BYTES = 1 << 30
_DAMAGE = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError, zstandard.ZstdError)


def pack_rows(table: TableModel, group: Group) -> bytes:
    """Return the payload of some rows; of a table as a text, of all rows."""
    if isinstance(table, PlainTable):
        return _HEAD.pack(table.form.checksum(table.group), ROWS_OF_TEXT, 0)
    exceptions = _pack_exceptions(group)
    data = table.encode([one.column for one in group.columns])
    return _HEAD.pack(table.form.checksum(group), COLUMNS, len(exceptions)) + exceptions + data


def read_rows(source: ByteFile, offset: int, block: Block, metadata: Metadata, what: str) -> bytes:
    """Return the payload of the block at an offset, after checking its CRC-32.

    Raises
    ------
    CorruptArchiveError, ArchiveError
        If it is damaged, or has a kind that is not known.
    """
    if block.coding != Coding.RESIDUAL or block.n_records > metadata.chunk_records:
        raise CorruptArchiveError(f"{what} has coding {block.coding} and {block.n_records:,} rows")
    payload = read_payload(source, offset, block, what, source.size)
    if len(payload) < _HEAD.size:
        raise CorruptArchiveError(f"{what} has only {len(payload)} bytes")
    kind = _HEAD.unpack_from(payload)[1]
    if kind != (COLUMNS if metadata.more.get(PLAIN_ROWS) is None else ROWS_OF_TEXT):
        raise ArchiveError(
            f"{what} has the kind {kind}, which this version of narrows does not support. Upgrade narrows"
        )
    return payload


def check_rows(source: ByteFile, offset: int, block: Block, metadata: Metadata, table: TableModel | None) -> None:
    """Check the block at an offset and, with a model, the rows that are restored from it.

    Raises
    ------
    CorruptArchiveError, ArchiveError
        As `read_rows` and `restore_rows`.
    """
    payload = read_rows(source, offset, block, metadata, "a group of rows")
    if table is not None:
        restore_rows(payload, block.n_records, table, "a group of rows")


def restore_rows(payload: bytes, n_rows: int, table: TableModel, what: str) -> Group:
    """Return the rows of a payload, after checking their checksum.

    Raises
    ------
    CorruptArchiveError
        If they cannot be decoded, or their checksum is wrong.
    """
    checksum, _, n_exceptions = _HEAD.unpack_from(payload)
    coded = payload[_HEAD.size + n_exceptions :]
    if isinstance(table, PlainTable):
        return _of_text(table, n_rows, checksum, what)
    try:
        columns = table.decode(coded, n_rows)
        exceptions = _parse_exceptions(payload[_HEAD.size : _HEAD.size + n_exceptions], len(columns), n_rows)
        nothing: tuple[np.ndarray, list[bytes]] = (np.empty(0, np.int64), [])
        group = Group([Encoded(one, *exceptions.get(i, nothing)) for i, one in enumerate(columns)])
        is_right = table.form.checksum(group) == checksum
    except CorruptArchiveError as error:
        raise CorruptArchiveError(f"{what} cannot be decoded: {str(error).rstrip('.')}") from error
    except _DAMAGE as error:  # any exception that damaged data can cause
        raise CorruptArchiveError(f"{what} cannot be decoded: {error}") from error
    if not is_right:
        raise CorruptArchiveError(f"{what} is not restored correctly: its checksum is wrong")
    return group


def _of_text(table: PlainTable, n_rows: int, checksum: int, what: str) -> Group:
    """Return the rows of a text, after checking their number and their checksum."""
    if len(table.group) != n_rows or table.form.checksum(table.group) != checksum:
        raise CorruptArchiveError(f"{what} is not restored correctly: its text has other rows")
    return table.group


def _pack_exceptions(group: Group) -> bytes:
    found = [(number, one) for number, one in enumerate(group.columns) if len(one.rows)]
    if not found:
        return b""
    out = bytearray(_leb128(len(found)))
    for number, one in found:
        out += _leb128(number) + _leb128(len(one.rows))
        out += b"".join(map(_leb128, np.diff(one.rows, prepend=0).tolist()))
        out += b"".join(_leb128(len(text)) for text in one.texts) + b"".join(one.texts)
    return zstandard.ZstdCompressor(level=19).compress(bytes(out))


def _parse_exceptions(packed: bytes, n_columns: int, n_rows: int) -> dict[int, tuple[np.ndarray, list[bytes]]]:
    if not packed:
        return {}
    data = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MOST_EXCEPTION_BYTES)
    reader = _Reader(data)
    found: dict[int, tuple[np.ndarray, list[bytes]]] = {}
    for _ in range(reader.number(n_columns)):
        column, n = reader.number(n_columns - 1), reader.number(n_rows)
        rows = np.cumsum(np.array([reader.number(n_rows) for _ in range(n)], np.int64))
        if column in found or (n and (rows[-1] >= n_rows or (np.diff(rows) < 1).any())):
            raise ValueError("the exceptions are out of order")
        lengths = [reader.number(len(data)) for _ in range(n)]
        found[column] = rows, [reader.bytes(length) for length in lengths]
    if reader.at != len(data):
        raise ValueError("there are bytes after the exceptions")
    return found


def _leb128(number: int) -> bytes:
    """Return a number ≥ 0 in groups of seven bits, the lowest first; the others have a bit of 128."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


class _Reader:
    """Reads numbers and bytes from data."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, most: int) -> int:
        """Return the next number, which must be at most another."""
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        if value > most:
            raise ValueError("a number of an exception is out of range")
        return value

    def bytes(self, n: int) -> bytes:
        """Return the next n bytes."""
        if n > len(self.data) - self.at:
            raise ValueError("the text of an exception is missing")
        self.at += n
        return self.data[self.at - n : self.at]
