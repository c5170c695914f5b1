"""Packed archives: archives of one block of series or rows, without all that is computed from the rest.

These are headers of blocks, index, trailer, and of tables the hash of the model inside. ::

    magic 8 · major version 2 u16 · minor version 0 u16 · CRC-32 of all that follows, u32
    flags u8: 0 of series, 1 of tables · length of the metadata · metadata (deflate with a dictionary)
    for each block: type u8 · for COLUMN what it contains and the number of steps, for RECORDS of tables the number of
                    rows · length of the payload · payload

Numbers without a size are written by `narrows.codec.fields.leb128`. A packed archive stands for the bytes of an archive
of version 1, and is unpacked when it is opened. Archives of several blocks are not packed: of these, the intact blocks
can be recovered.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Iterator

from narrows.archive.blocks import BlockWriter
from narrows.archive.layout import (
    BLOCK_BYTES,
    MAGIC,
    MAX_CHUNK_RECORDS,
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
_TABLE_DICTIONARY = (
    b'"skipped":["id"],"kinds":{"a":"integer","b":"decimal","c":"category","d":"text","e":"date"},"delimiter":";","encoding"'
    b':"latin-1","header":false,"file":{"form":"arrow","kind":"frame"{"kind":"parquet"{"chunk_records":1024,"container":'
    b'{"kind":"frame"},"narrows":"0.1.0","table":{"bytes":20000,"columns":8,"form":"arrow"}}{"chunk_records":65536,"conta'
    b'iner":{"kind":"csv"},"narrows":"0.1.0","plain_rows":{},"table":{"bytes":1234,"columns":10,"form":"csv"}}'
)
_OF_TABLE = 1
_DICTIONARIES = {0: _DICTIONARY, _OF_TABLE: _TABLE_DICTIONARY}


def pack(data: bytes) -> bytes | None:
    """Return an archive of series, or of a table, as a packed one; None if it cannot be, or hardly gets smaller.

    Parameters
    ----------
    data : bytes
        The archive.
    """
    if len(data) > MOST_PACKED_BYTES:
        return None
    start = size_of_header(data[:20], len(data))
    metadata = parse_header(data[:start])
    flags = _OF_TABLE if metadata.get("table") is not None else 0
    if flags:
        metadata.pop("model")
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_DICTIONARIES[flags])
    packed_text = deflate.compress(text) + deflate.flush()
    parts, at = [pack_number(len(packed_text)), packed_text], start
    while (block := parse_block(data[at : at + BLOCK_BYTES])).type != BlockType.INDEX:
        is_first = block.type == BlockType.RECORDS and block.first == 0
        if not (is_first or block.type == (BlockType.MODEL if flags else BlockType.COLUMN)):
            return None
        parts.append(bytes((block.type,)))
        if block.type == BlockType.COLUMN:
            parts += [pack_number(block.first), pack_number(block.n_records)]
        elif block.type == BlockType.RECORDS and flags:
            parts.append(pack_number(block.n_records))
        parts += [pack_number(block.n_payload_bytes), data[at + BLOCK_BYTES :][: block.n_payload_bytes]]
        at += block.n_bytes
    rest = bytes((flags,)) + b"".join(parts)
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
    if flags not in _DICTIONARIES:
        raise ArchiveError(f"it is packed with flags {flags}, which this version of narrows does not support")
    reader = NumberReader(rest[1:])
    metadata = _metadata(reader.take(reader.number(0, len(rest))), _DICTIONARIES[flags])
    parts = list(_parts(reader, len(rest), is_table=flags == _OF_TABLE))
    if flags:
        models = [payload for kind, _, _, payload in parts if kind == BlockType.MODEL]
        metadata |= {"model": hashlib.sha256(models[0]).hexdigest()} if models else {}
    header = pack_header(metadata)
    file = io.BytesIO()
    file.write(header)
    blocks = BlockWriter(file, b"", len(header))
    n_records = 0
    for kind, column, n, payload in parts:
        if kind == BlockType.MODEL:
            blocks.model(payload)
        elif kind == BlockType.COLUMN:
            blocks.column(column, n, payload)
        else:
            blocks.records(payload, n_records, n, Coding.RESIDUAL if flags else Coding.FIELD)
            n_records += n
    blocks.finish(n_records)
    return file.getvalue()


def _parts(reader: NumberReader, most: int, *, is_table: bool) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the type of each block, what a column contains, the number of records or steps, and the payload."""
    allowed = (BlockType.MODEL, BlockType.RECORDS) if is_table else (BlockType.RECORDS, BlockType.COLUMN)
    while reader.rest:
        kind = reader.number(BlockType.MODEL, BlockType.COLUMN)
        if kind not in allowed:
            raise CorruptArchiveError(f"it is packed, and has a block of type {kind}, which must not be packed")
        column = reader.number(0, 255) if kind == BlockType.COLUMN else 0
        n = 1
        if kind == BlockType.COLUMN:
            n = reader.number(0, (1 << 32) - 1)
        elif kind == BlockType.RECORDS and is_table:
            n = reader.number(1, MAX_CHUNK_RECORDS)
        yield kind, column, n, reader.take(reader.number(0, most))


def _metadata(data: bytes, dictionary: bytes) -> dict[str, object]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=dictionary)
    try:
        metadata = json.loads(inflate.decompress(data, MAX_METADATA_BYTES).decode())
    except (zlib.error, ValueError, RecursionError) as error:
        raise CorruptArchiveError("the metadata of a packed archive are not valid") from error
    if not isinstance(metadata, dict) or not inflate.eof or inflate.unused_data:
        raise CorruptArchiveError("the metadata of a packed archive are not valid")
    return metadata
