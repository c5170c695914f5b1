"""The bytes of an archive: header, block headers and trailer, each a pair of `pack` and `parse`.

::

    header   magic 8 · version u16 u16 · features u32 · length u32 · metadata (JSON) · CRC-32
    block    magic 4 · type u8 · coding u8 · flags u16 · length u64 · first u64 · n u32 · CRC-32 │ payload │ CRC-32
    …
    INDEX    the last block: where all the others are
    trailer  offset of INDEX u64 · records u64 · CRC-32 · magic 8

Everything is little-endian. A CRC-32 covers everything in front of it, of its header, payload or trailer. What each
number means, and every limit, is written down in docs/format.md.
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
    "BLOCK_BYTES",
    "BLOCK_MAGIC",
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

MAX_METADATA_BYTES = 16 << 20
MAX_MODEL_BYTES = 1 << 30
MAX_RECORDS = 1 << 40  # in an archive
MAX_RECORD_BYTES = 1 << 30  # of one record
MAX_CHUNK_RECORDS = 1 << 16
MAX_CHUNK_BYTES = 64 << 20  # of restored records; one record may have more
MAX_CHUNK_SYMBOLS = 1 << 24  # likewise
GROUP_RECORDS = (16, 32, 64, 128, 256)  # so many records share a checksum; one of these in each archive

_HEADER = struct.Struct("<8sHHII")
_BLOCK = struct.Struct("<4sBBHQQI")
_TRAILER = struct.Struct("<QQ")
_CRC = struct.Struct("<I")
CRC_BYTES = _CRC.size
BLOCK_BYTES = _BLOCK.size + CRC_BYTES
TRAILER_BYTES = _TRAILER.size + CRC_BYTES + len(END_MAGIC)


class BlockType(IntEnum):
    """What a block holds. Readers pass over types that they don't know."""

    MODEL = 1
    RECORDS = 2
    INDEX = 3


class Coding(IntEnum):
    """How the payload of a block is to be read."""

    PLAIN = 0  # MODEL and INDEX
    CODE = 1  # RECORDS: the symbols of a model's code
    CODE_AND_RESIDUAL = 2  # RECORDS: and what brings the records back within the bound
    RESIDUAL = 3  # RECORDS: what brings them back, without a code


_OF_RECORDS = (Coding.CODE, Coding.CODE_AND_RESIDUAL, Coding.RESIDUAL)


@dataclass(frozen=True)
class Block:
    """The header of a block.

    Attributes
    ----------
    type : int
        A `BlockType`, or one that this reader doesn't know.
    coding : int
        A `Coding`.
    n_payload_bytes : int
        Length of the payload; its CRC-32 comes on top.
    first : int
        RECORDS: the number of its first record, from 0. INDEX: the number of records in the archive. Else 0.
    n_records : int
        RECORDS: how many. INDEX: the number of its entries. Else 0.
    """

    type: int
    coding: int
    n_payload_bytes: int
    first: int
    n_records: int

    @property
    def stop(self) -> int:
        """The number of the record after the last."""
        return self.first + self.n_records

    @property
    def n_bytes(self) -> int:
        """The bytes of all of the block, its header and checksum included."""
        return BLOCK_BYTES + self.n_payload_bytes + CRC_BYTES


class Trailer(NamedTuple):
    """The last bytes of an archive: where its INDEX block is, and how many records there are."""

    offset: int
    n_records: int


def pack_crc(data: bytes, crc: int = 0) -> bytes:
    """Return the CRC-32 of `data`, which may continue one, as it is stored."""
    return _CRC.pack(zlib.crc32(data, crc))


# ---------------------------------------------------------------------------------------------------------- header


def pack_header(metadata: dict[str, Any]) -> bytes:
    """Return the header with these metadata, and the bits of the features that they make a reader understand."""
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > MAX_METADATA_BYTES:
        raise ArchiveError(f"An archive's metadata take {len(text):,} bytes. Allowed: {MAX_METADATA_BYTES:,}.")
    data = _HEADER.pack(MAGIC, *VERSION, features_of(metadata), len(text)) + text
    return data + pack_crc(data)


def size_of_header(start: bytes, n_file_bytes: int) -> int:
    """Return how many bytes the header takes that starts with these 20, or with fewer where the file has no more.

    Raises
    ------
    ArchiveError
        If this is no archive, or one that this reader is too old for.
    CorruptArchiveError
        If it is cut off.
    """
    if not start.startswith(MAGIC):
        if start and (MAGIC.startswith(start) or start.startswith(MAGIC[:4])):
            raise CorruptArchiveError("its first bytes are damaged, as by a transfer that changed line endings")
        if (kind := kind_of(start)) is not None:
            raise ArchiveError(f"it is {kind}, not an archive")
        raise ArchiveError(f"it starts with '{start[:8].hex(' ')}', not with '{MAGIC.hex(' ')}'")
    if len(start) < _HEADER.size:
        raise CorruptArchiveError(f"it is cut off after {len(start)} bytes, within its header")
    _, major, minor, _, n_text = _HEADER.unpack_from(start)
    if major != VERSION[0]:
        raise ArchiveError(f"it has format {major}.{minor}, and this narrows reads format {VERSION[0]}: upgrade it")
    n_bytes = _HEADER.size + int(n_text) + CRC_BYTES
    if n_text > MAX_METADATA_BYTES or n_bytes > n_file_bytes:
        raise CorruptArchiveError(
            f"its header declares {n_text:,} bytes of metadata, more than allowed or than there are"
        )
    return n_bytes


def parse_header(data: bytes) -> dict[str, Any]:
    """Return the metadata in a header, all of whose bytes are given.

    Raises
    ------
    CorruptArchiveError
        If the checksum or the JSON is wrong, or the bits of features are not those of the metadata.
    ArchiveError
        If it uses a feature that this reader does not understand.
    """
    if size_of_header(data[: _HEADER.size], len(data)) != len(data):
        raise CorruptArchiveError("its header has another length than it declares")
    _check_crc(data, "its header")
    try:
        metadata = json.loads(data[_HEADER.size : -CRC_BYTES].decode())
    except (ValueError, RecursionError) as error:
        raise CorruptArchiveError("the metadata in its header are no JSON") from error
    if not isinstance(metadata, dict):
        raise CorruptArchiveError("the metadata in its header are no JSON object")
    check_features(_HEADER.unpack_from(data)[3], metadata)
    return metadata


# ---------------------------------------------------------------------------------------------------------- blocks


def pack_block(block: Block) -> bytes:
    """Return the header of a block."""
    data = _BLOCK.pack(BLOCK_MAGIC, block.type, block.coding, 0, block.n_payload_bytes, block.first, block.n_records)
    return data + pack_crc(data)


def parse_block(data: bytes) -> Block:
    """Return the header of a block, given its 32 bytes.

    Raises
    ------
    CorruptArchiveError
        If it is cut off, its magic or checksum is wrong, or its numbers are beyond what is allowed.
    """
    if len(data) != BLOCK_BYTES or not data.startswith(BLOCK_MAGIC):
        raise CorruptArchiveError("a block does not begin where it should")
    _check_crc(data, "the header of a block")
    _, kind, coding, flags, n_payload, first, n_records = _BLOCK.unpack_from(data)
    if n_payload >= 1 << 62 or first + (n_records if kind == BlockType.RECORDS else 0) > MAX_RECORDS:
        raise CorruptArchiveError("the header of a block declares more than an archive can hold")
    if kind == BlockType.RECORDS and not 1 <= n_records <= MAX_CHUNK_RECORDS:
        raise CorruptArchiveError(f"a chunk declares {n_records:,} records; allowed are 1 to {MAX_CHUNK_RECORDS:,}")
    if kind == BlockType.MODEL and (coding != Coding.PLAIN or flags):
        raise ArchiveError(
            f"its model is packed in a way ({coding}, {flags}) that this narrows does not know: upgrade it"
        )
    if kind == BlockType.RECORDS and (coding not in _OF_RECORDS or flags):
        raise ArchiveError(f"a chunk is coded in a way ({coding}, {flags}) that this narrows does not know: upgrade it")
    return Block(kind, coding, n_payload, first, n_records)


# --------------------------------------------------------------------------------------------------------- trailer


def pack_trailer(trailer: Trailer) -> bytes:
    """Return the last bytes of an archive."""
    data = _TRAILER.pack(*trailer)
    return data + pack_crc(data) + END_MAGIC


def parse_trailer(data: bytes) -> Trailer:
    """Return where the INDEX block is and how many records there are, given the last 28 bytes.

    Raises
    ------
    CorruptArchiveError
        If these are no trailer.
    """
    if len(data) != TRAILER_BYTES or not data.endswith(END_MAGIC):
        raise CorruptArchiveError("its end is missing")
    _check_crc(data[: -len(END_MAGIC)], "its end")
    trailer = Trailer(*_TRAILER.unpack_from(data))
    if trailer.offset >= 1 << 62 or trailer.n_records > MAX_RECORDS:
        raise CorruptArchiveError("its end declares more than an archive can hold")
    return trailer


def _check_crc(data: bytes, what: str) -> None:
    if len(data) < CRC_BYTES or pack_crc(data[:-CRC_BYTES]) != data[-CRC_BYTES:]:
        raise CorruptArchiveError(f"{what} is damaged: its checksum is wrong")
