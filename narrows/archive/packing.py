"""Packed archives: archives of series in one block, without headers of blocks, index and trailer, which are computed.

::

    magic 8 · major version 2 u16 · minor version 0 u16 · CRC-32 of all that follows, u32
    flags u8: 0 · length of the metadata · metadata (deflate with a dictionary)
    for each block: type u8 · for COLUMN what it contains and the number of steps · length of the payload · payload

Numbers without a size are written by `narrows.codec.fields.leb128`. A packed archive stands for the bytes of an archive
of version 1, and is unpacked when it is opened. Archives of several blocks are not packed: of these, the intact blocks
can be recovered.
"""

from __future__ import annotations

import io
import json
import struct
import zlib

from narrows.archive.blocks import BlockWriter
from narrows.archive.layout import (
    BLOCK_BYTES,
    MAGIC,
    MAX_METADATA_BYTES,
    BlockType,
    Coding,
    pack_header,
    parse_block,
    parse_header,
    size_of_header,
)
from narrows.codec.fields.leb128 import NumberReader, pack_number
from narrows.errors import ArchiveError, CorruptArchiveError

__all__ = ["MOST_PACKED_BYTES", "PACKED", "pack", "unpack"]

PACKED = MAGIC + struct.pack("<HH", 2, 0)
"""The first bytes of a packed archive."""

MOST_PACKED_BYTES = 1 << 20
"""Larger archives are not packed: they are read in pieces."""

_WORTH = 256  # packing must save one byte of so many
_DICTIONARY = (
    b'"missing":true},"dtype":"int8","ulps":true},"dtype":"float32","dtype":"int64","names":["a","b"],"lengths":[10,20'
    b'],"readings":1,"series":{"channels":["value"],"origin":{"kind":"wav"{"kind":"npy"{"kind":"array","columns":["time"'
    b',"value"],"group":"id","styles":[".0f","repr",".1f",".2f","name":"date"],"unit":"D""unit":"m","starts":[0],"steps"'
    b':[1]{"container":{"kind":"csv"},"dtype":"float64","field":{"block":[1000],"shape":[4032]},"max_error":0.0,"narrows'
    b'":"0.1.0","series":{"origin":{"kind":"csv","styles":["repr"]}}}{"container":{"kind":"csv"},"decimals":{"digits":[2'
    b']},"dtype":"int16","field":{"shape":[4032]},"max_error":0.0,"narrows":"0.1.0","readings":3,"series":{"channels":["'
    b'value"],"origin":{"kind":"csv","open_end":true,"styles":["repr"]},"time":{"name":"timestamp","starts":[1404172800]'
    b',"steps":[300],"unit":"s"}}}'
)


def pack(data: bytes) -> bytes | None:
    """Return an archive of series as a packed one; None if it cannot be packed, or hardly gets smaller.

    Parameters
    ----------
    data : bytes
        The archive.
    """
    if len(data) > MOST_PACKED_BYTES:
        return None
    start = size_of_header(data[:20], len(data))
    text = json.dumps(parse_header(data[:start]), sort_keys=True, separators=(",", ":")).encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_DICTIONARY)
    metadata = deflate.compress(text) + deflate.flush()
    parts, at = [pack_number(len(metadata)), metadata], start
    while (block := parse_block(data[at : at + BLOCK_BYTES])).type != BlockType.INDEX:
        is_first = block.type == BlockType.RECORDS and block.first == 0
        if not (is_first or block.type == BlockType.COLUMN):
            return None
        parts.append(bytes((block.type,)))
        if block.type == BlockType.COLUMN:
            parts += [pack_number(block.first), pack_number(block.n_records)]
        parts += [pack_number(block.n_payload_bytes), data[at + BLOCK_BYTES :][: block.n_payload_bytes]]
        at += block.n_bytes
    rest = b"\0" + b"".join(parts)
    packed = PACKED + struct.pack("<I", zlib.crc32(rest)) + rest
    if len(data) - len(packed) < len(data) // _WORTH or unpack(packed) != data:
        return None
    return packed


def unpack(data: bytes) -> bytes:
    """Return the archive that a packed one stands for.

    Raises
    ------
    CorruptArchiveError, ArchiveError
        If it is damaged.
    """
    head = len(PACKED) + 4
    if not data.startswith(PACKED) or len(data) > MOST_PACKED_BYTES:
        raise CorruptArchiveError("its first bytes are those of a packed archive, but it is none")
    rest = data[head:]
    if len(data) < head or struct.pack("<I", zlib.crc32(rest)) != data[len(PACKED) : head]:
        raise CorruptArchiveError("it is packed, and damaged: its checksum is wrong")
    flags = rest[0] if rest else 255
    if flags:
        raise ArchiveError(f"it is packed with flags {flags}, which this version of narrows does not support")
    reader = NumberReader(rest[1:])
    header = pack_header(_metadata(reader.take(reader.number(0, len(rest)))))
    file = io.BytesIO()
    file.write(header)
    blocks = BlockWriter(file, b"", len(header))
    n_records = 0
    while reader.rest:
        kind = reader.number(BlockType.RECORDS, BlockType.COLUMN)
        if kind == BlockType.COLUMN:
            column, n_steps = reader.number(0, 255), reader.number(0, (1 << 32) - 1)
            blocks.column(column, n_steps, reader.take(reader.number(0, len(rest))))
        elif kind == BlockType.RECORDS:
            blocks.records(reader.take(reader.number(0, len(rest))), n_records, 1, Coding.FIELD)
            n_records += 1
        else:
            raise CorruptArchiveError(f"it is packed, and has a block of type {kind}, which must not be packed")
    blocks.finish(n_records)
    return file.getvalue()


def _metadata(data: bytes) -> dict[str, object]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_DICTIONARY)
    try:
        metadata = json.loads(inflate.decompress(data, MAX_METADATA_BYTES).decode())
    except (zlib.error, ValueError, RecursionError) as error:
        raise CorruptArchiveError("the metadata of a packed archive are not valid") from error
    if not isinstance(metadata, dict) or not inflate.eof or inflate.unused_data:
        raise CorruptArchiveError("the metadata of a packed archive are not valid")
    return metadata
