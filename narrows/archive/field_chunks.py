"""The payload of a block of a field: values within an error bound, and their checksum.

::

    CRC-32 of the restored values u32 · largest error f32 · kind u8 · the data of `narrows.codec.fields.block`
"""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import chunk_block
from narrows.archive.header import read_payload
from narrows.archive.index import Index
from narrows.archive.layout import Block, Coding
from narrows.archive.layouts import Field
from narrows.archive.metadata import Metadata
from narrows.archive.records import checksum
from narrows.codec.fields.block import decode_block
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.errors import ArchiveError, CorruptArchiveError

__all__ = ["largest_block_error", "pack_block_values", "parse_block_values", "read_block_values", "restore_block"]

_HEAD = struct.Struct("<IfB")
_KINDS = {Kind.INTERPOLATED, Kind.INTERPOLATED_EXACT, Kind.BISECTED, Kind.BISECTED_CHANNELS}
_KINDS |= {Kind.LINEAR, Kind.EXACT, Kind.ZSTD, Kind.PLAIN}
_DAMAGE = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)


class BlockValues(NamedTuple):
    """A block as it is stored: the checksum of its values, its largest error, the way of coding, and its data."""

    checksum: int
    max_error: float
    kind: Kind
    data: bytes


def pack_block_values(coded: CodedResidual, max_error: float) -> bytes:
    """Return the payload of a block; the largest error is rounded up."""
    with np.errstate(over="ignore"):
        rounded = np.float32(max_error)
    if rounded < max_error:
        rounded = np.nextafter(rounded, np.float32(np.inf))
    rounded = min(rounded, np.finfo(np.float32).max)
    return _HEAD.pack(checksum(coded.restored), rounded, coded.kind) + coded.data


def parse_block_values(payload: bytes, n_value_bytes: int) -> BlockValues:
    """Parse the payload of a block whose values take ``n_value_bytes`` bytes.

    Raises
    ------
    CorruptArchiveError, ArchiveError
        If it is too short or too long, or has a kind that is not known.
    """
    if len(payload) < _HEAD.size or len(payload) - _HEAD.size > n_value_bytes:
        raise CorruptArchiveError(
            f"a block has {len(payload):,} bytes. Allowed: {_HEAD.size} to {_HEAD.size + n_value_bytes:,}"
        )
    crc, max_error, kind = _HEAD.unpack_from(payload)
    if kind not in set(_KINDS):
        raise ArchiveError(
            f"a block has the kind {kind}, which this version of narrows does not support. Upgrade narrows"
        )
    if not 0 <= max_error < math.inf:
        raise CorruptArchiveError(f"the largest error of a block must be finite and ≥ 0. Got {max_error!r}")
    return BlockValues(crc, max_error, Kind(kind), payload[_HEAD.size :])


def read_block_values(
    source: ByteFile, offset: int, block: Block, metadata: Metadata, field: Field, *, what: str = "a block"
) -> BlockValues:
    """Return the stored block at `offset`, after checking the CRC-32 of its bytes.

    Raises
    ------
    CorruptArchiveError, ArchiveError
        If it is damaged, or cannot belong to this archive.
    """
    if block.coding != Coding.FIELD or block.n_records != 1 or block.first >= field.n_blocks:
        raise CorruptArchiveError(f"{what} has coding {block.coding} and {block.n_records:,} records, not one block")
    n_bytes = math.prod(field.block_shape(block.first)) * metadata.dtype.itemsize
    return parse_block_values(read_payload(source, offset, block, what, _HEAD.size + n_bytes), n_bytes)


def restore_block(stored: BlockValues, number: int, metadata: Metadata, field: Field) -> npt.NDArray[Any]:
    """Return the values of a block, after checking their checksum.

    Raises
    ------
    CorruptArchiveError
        If they cannot be decoded, or their checksum is wrong.
    """
    grid = ErrorBound(metadata.dtype, metadata.max_error or 0.0)
    try:
        values = decode_block(stored.kind, stored.data, grid, field.coded_shape(number))
    except CorruptArchiveError as error:
        raise CorruptArchiveError(f"block {number:,} cannot be decoded: {str(error).rstrip('.')}") from error
    except _DAMAGE as error:  # any exception that damaged data can cause
        raise CorruptArchiveError(f"block {number:,} cannot be decoded: {error}") from error
    if checksum(values) != stored.checksum:
        raise CorruptArchiveError(f"block {number:,} is not restored correctly: its checksum is wrong")
    return values.reshape(field.block_shape(number))


def load_block(source: ByteFile, metadata: Metadata, field: Field, index: Index, number: int) -> npt.NDArray[Any]:
    """Read and restore a block by its number.

    Raises
    ------
    CorruptArchiveError, ArchiveError
        If it is damaged.
    """
    offset, block, _ = chunk_block(source, index, number)
    stored = read_block_values(source, offset, block, metadata, field, what=f"block {number:,}")
    return restore_block(stored, number, metadata, field)


def largest_block_error(source: ByteFile, payload: int) -> float:
    """Return the largest error stored in a block, given the offset of its payload."""
    return parse_block_values(source.read(payload, _HEAD.size), 0).max_error
