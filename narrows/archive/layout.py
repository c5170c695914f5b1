"""The bytes of an archive: header, block headers and trailer, each with a `pack` and a `parse` function.

::

    header   magic 8 · version u16 u16 · features u32 · length u32 · metadata (JSON) · CRC-32
    block    magic 4 · type u8 · coding u8 · flags u16 · length u64 · first u64 · n u32 · CRC-32 │ payload │ CRC-32
    …
    INDEX    the last block: offsets of all other blocks
    trailer  offset of INDEX u64 · records u64 · CRC-32 · magic 8

All numbers are little-endian. A CRC-32 covers the bytes before it in the same header, payload or trailer. The meaning
of each number and all limits are specified in docs/format.md.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from narrows.archive.features import check_features, features_of
from narrows.errors import ArchiveError, CorruptArchiveError
from narrows.io.magic import kind_of

__all__ = [
    "APPEND_BYTES",
    "BLOCK_BYTES",
    "BLOCK_MAGIC",
    "CODED_GROUP_RECORDS",
    "CRC_BYTES",
    "GROUP_RECORDS",
    "MAGIC",
    "MAX_CHUNK_BYTES",
    "MAX_CHUNK_RECORDS",
    "MAX_CHUNK_SYMBOLS",
    "MAX_METADATA_BYTES",
    "MAX_MODEL_BYTES",
    "MAX_RECORDS",
    "MAX_RECORD_BYTES",
    "TRAILER_BYTES",
    "Block",
    "BlockType",
    "Coding",
    "Trailer",
    "pack_block",
    "pack_crc",
    "pack_header",
    "pack_trailer",
    "parse_block",
    "parse_header",
    "parse_trailer",
    "size_of_header",
]

MAGIC = b"\x89NRW\r\n\x1a\n"
BLOCK_MAGIC = b"\xb7NRB"
END_MAGIC = b"\xb7NRWend\n"
VERSION = (1, 0)
_PACKED = (2, 0)

MAX_METADATA_BYTES = 16 << 20
MAX_MODEL_BYTES = 1 << 30
MAX_RECORDS = 1 << 40  # of an archive
MAX_RECORD_BYTES = 1 << 30  # of one record
MAX_CHUNK_RECORDS = 1 << 16
MAX_CHUNK_BYTES = 64 << 20  # of restored records; a chunk with one record may be larger
MAX_CHUNK_SYMBOLS = 1 << 24  # a chunk with one record may have more
GROUP_RECORDS = (16, 32, 64, 128, 256)  # number of records for each checksum; an archive uses one of these
CODED_GROUP_RECORDS = (1, 2, 4, 8, *GROUP_RECORDS)  # the same, if groups are coded one by one

_HEADER = struct.Struct("<8sHHII")
_BLOCK = struct.Struct("<4sBBHQQI")
_TRAILER = struct.Struct("<QQ")
_CRC = struct.Struct("<I")
CRC_BYTES = _CRC.size
BLOCK_BYTES = _BLOCK.size + CRC_BYTES
TRAILER_BYTES = _TRAILER.size + CRC_BYTES + len(END_MAGIC)
APPEND_BYTES = BLOCK_BYTES + CRC_BYTES  # of an APPEND block, which has no payload


class BlockType(IntEnum):
    """The content of a block. Readers ignore blocks of unknown types."""

    MODEL = 1
    RECORDS = 2
    INDEX = 3
    APPEND = 4  # the first block of each append; zeros until the append is complete
    COLUMN = 5  # a value for each step of series, such as times
    LABELS = 6  # the labels of the records of a chunk


class Coding(IntEnum):
    """The encoding of a block's payload."""

    PLAIN = 0  # MODEL and INDEX
    CODE = 1  # RECORDS: the symbols of a model's code
    CODE_AND_RESIDUAL = 2  # RECORDS: symbols, and residuals that keep the error bound
    RESIDUAL = 3  # RECORDS: residuals without symbols
    PARTS = 4  # MODEL: some parts of a model
    FIELD = 5  # RECORDS: a block of a field
    RESIDUAL_BESIDE_CODE = 6  # RECORDS: residuals, and symbols that restoring does not need


_OF_MODELS = (Coding.PLAIN, Coding.PARTS)
_OF_RECORDS = (Coding.CODE, Coding.CODE_AND_RESIDUAL, Coding.RESIDUAL, Coding.FIELD, Coding.RESIDUAL_BESIDE_CODE)
_OF_CHUNKS = (BlockType.RECORDS, BlockType.LABELS)


@dataclass(frozen=True)
class Block:
    """The header of a block.

    Attributes
    ----------
    type : int
        A `BlockType`, or a type unknown to this reader.
    coding : int
        A `Coding`.
    n_payload_bytes : int
        Length of the payload without its CRC-32.
    first : int
        RECORDS, LABELS: the index of the first record, from 0. INDEX: the number of records of the archive. COLUMN:
        what the column contains. Otherwise 0.
    n_records : int
        RECORDS, LABELS: the number of records. INDEX: the number of entries. COLUMN: the number of steps. Otherwise 0.
    """

    type: int
    coding: int
    n_payload_bytes: int
    first: int
    n_records: int

    @property
    def stop(self) -> int:
        """The index after that of the last record."""
        return self.first + self.n_records

    @property
    def n_bytes(self) -> int:
        """Size of the block, including its header and checksum."""
        return BLOCK_BYTES + self.n_payload_bytes + CRC_BYTES


class Trailer(NamedTuple):
    """The last bytes of an archive: the offset of its INDEX block, and the number of records."""

    offset: int
    n_records: int


def pack_crc(data: bytes, crc: int = 0) -> bytes:
    """Return the CRC-32 of `data` in its stored form; `crc` is the CRC-32 of preceding data."""
    return _CRC.pack(zlib.crc32(data, crc))


# ---------------------------------------------------------------------------------------------------------- header


def pack_header(metadata: dict[str, Any]) -> bytes:
    """Return the header of an archive with these metadata, with the bits of the features that they require."""
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > MAX_METADATA_BYTES:
        raise ArchiveError(
            f"The metadata of an archive may take {MAX_METADATA_BYTES:,} bytes. Got {len(text):,}. Shorten them."
        )
    data = _HEADER.pack(MAGIC, *VERSION, features_of(metadata), len(text)) + text
    return data + pack_crc(data)


def size_of_header(start: bytes, n_file_bytes: int) -> int:
    """Return the size of a header in bytes, given its first 20 bytes, or all bytes of a shorter file.

    Raises
    ------
    ArchiveError
        If the file is not an archive, or has a newer format.
    CorruptArchiveError
        If it is truncated.
    """
    if not start.startswith(MAGIC):
        if start and (MAGIC.startswith(start) or start.startswith(MAGIC[:4])):
            raise CorruptArchiveError(
                "its first bytes are damaged, for example by a transfer that changed line endings. "
                "Transfer it again, as a binary file"
            )
        if (kind := kind_of(start)) is not None:
            raise ArchiveError(f"it is {kind}, not an archive")
        raise ArchiveError(
            f"an archive starts with the bytes '{MAGIC.hex(' ')}'. This file starts with '{start[:8].hex(' ')}'"
        )
    if len(start) < _HEADER.size:
        raise CorruptArchiveError(f"it is truncated after {len(start)} bytes, within its header")
    _, major, minor, _, n_text = _HEADER.unpack_from(start)
    if (major, minor) == _PACKED:  # packed archives are unpacked when they are opened, unless they are damaged
        raise CorruptArchiveError("it is packed, and its checksum is wrong, so that nothing can be restored")
    if major != VERSION[0]:
        raise ArchiveError(
            f"it has format {major}.{minor}, but this version of narrows reads format {VERSION[0]}. Upgrade narrows"
        )
    n_bytes = _HEADER.size + int(n_text) + CRC_BYTES
    if n_text > MAX_METADATA_BYTES:
        raise CorruptArchiveError(
            f"its header declares {n_text:,} bytes of metadata, more than {MAX_METADATA_BYTES:,}, the largest allowed "
            "number"
        )
    if n_bytes > n_file_bytes:
        raise CorruptArchiveError(
            f"it is truncated after {n_file_bytes:,} bytes: its header has {n_bytes:,}, more than the file"
        )
    return n_bytes


def parse_header(data: bytes) -> dict[str, Any]:
    """Return the metadata of a header, given all of its bytes.

    Raises
    ------
    CorruptArchiveError
        If the checksum or the JSON is invalid, or the feature bits do not match the metadata.
    ArchiveError
        If the archive uses a feature that this reader does not support.
    """
    if size_of_header(data[: _HEADER.size], len(data)) != len(data):
        raise CorruptArchiveError(f"its header has {len(data):,} bytes, which is not the length that it declares")
    _check_crc(data, "its header")
    try:
        metadata = json.loads(data[_HEADER.size : -CRC_BYTES].decode())
    except (ValueError, RecursionError) as error:
        raise CorruptArchiveError("the metadata in its header are not valid JSON") from error
    if not isinstance(metadata, dict):
        raise CorruptArchiveError("the metadata in its header are not a JSON object")
    check_features(_HEADER.unpack_from(data)[3], metadata)
    return metadata


# ---------------------------------------------------------------------------------------------------------- blocks


def pack_block(block: Block) -> bytes:
    """Return the header of a block."""
    data = _BLOCK.pack(BLOCK_MAGIC, block.type, block.coding, 0, block.n_payload_bytes, block.first, block.n_records)
    return data + pack_crc(data)


def parse_block(data: bytes) -> Block:
    """Return the header of a block, parsed from its 32 bytes.

    Raises
    ------
    CorruptArchiveError
        If it is truncated, its magic bytes or checksum are wrong, or a number is out of range.
    """
    if len(data) != BLOCK_BYTES or not data.startswith(BLOCK_MAGIC):
        raise CorruptArchiveError("a block header is missing where one is expected")
    _check_crc(data, "the header of a block")
    _, kind, coding, flags, n_payload, first, n_records = _BLOCK.unpack_from(data)
    if n_payload >= 1 << 62 or first + (n_records if kind in _OF_CHUNKS else 0) > MAX_RECORDS:
        raise CorruptArchiveError(
            f"the header of a block declares {n_payload:,} bytes and records up to {first + n_records:,}, more than an "
            "archive can have"
        )
    if kind in _OF_CHUNKS and not 1 <= n_records <= MAX_CHUNK_RECORDS:
        raise CorruptArchiveError(f"a chunk declares {n_records:,} records. Allowed: 1 to {MAX_CHUNK_RECORDS:,}")
    if kind == BlockType.MODEL and (coding not in _OF_MODELS or flags):
        raise ArchiveError(
            f"its model has coding {coding} and flags {flags}, which this version of narrows does not support. "
            "Upgrade narrows"
        )
    if kind == BlockType.RECORDS and (coding not in _OF_RECORDS or flags):
        raise ArchiveError(
            f"a chunk has coding {coding} and flags {flags}, which this version of narrows does not support. "
            "Upgrade narrows"
        )
    return Block(kind, coding, n_payload, first, n_records)


# --------------------------------------------------------------------------------------------------------- trailer


def pack_trailer(trailer: Trailer) -> bytes:
    """Return the bytes of the trailer."""
    data = _TRAILER.pack(*trailer)
    return data + pack_crc(data) + END_MAGIC


def parse_trailer(data: bytes) -> Trailer:
    """Return the trailer of an archive, parsed from its last 28 bytes.

    Raises
    ------
    CorruptArchiveError
        If they are not a valid trailer.
    """
    if len(data) != TRAILER_BYTES or not data.endswith(END_MAGIC):
        raise CorruptArchiveError("its trailer is missing")
    _check_crc(data[: -len(END_MAGIC)], "its trailer")
    trailer = Trailer(*_TRAILER.unpack_from(data))
    if trailer.offset >= 1 << 62 or trailer.n_records > MAX_RECORDS:
        raise CorruptArchiveError(f"its trailer declares {trailer.n_records:,} records, more than an archive can have")
    return trailer


def _check_crc(data: bytes, what: str) -> None:
    if len(data) < CRC_BYTES or pack_crc(data[:-CRC_BYTES]) != data[-CRC_BYTES:]:
        raise CorruptArchiveError(f"{what} is damaged: its checksum is wrong")
