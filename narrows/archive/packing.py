"""Packed archives: archives of series, texts and tables in one chunk, without headers of blocks, index and trailer.

::

    magic 8 · major version 2 u16 · minor version 0 u16 · CRC-32 of all that follows, u32
    flags u8 · length of the metadata · metadata (deflate with a dictionary) · the blocks

    series, flags 0: type u8 · for COLUMN what it contains and the number of steps · length of the payload · payload
    texts, flags 1:  type u8 · coding u8 · parts of the model · first · n_records · length of the payload · payload
    tables, flags 4: type u8 · for RECORDS the number of rows · length of the payload · payload

Numbers without a size are written by `narrows.codec.fields.leb128`. A packed archive stands for the bytes of an archive
of version 1, and is unpacked when it is opened; what is left out is computed. Archives of several chunks are not
packed: of these, the intact chunks can be recovered.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from narrows.archive.blocks import BlockWriter
from narrows.archive.index import parse_index, parts_in
from narrows.archive.layout import (
    BLOCK_BYTES,
    MAGIC,
    MAX_CHUNK_RECORDS,
    MAX_METADATA_BYTES,
    MAX_RECORDS,
    Block,
    BlockType,
    Coding,
    pack_header,
    parse_block,
    parse_header,
    size_of_header,
)
from narrows.archive.metadata import NO_MODEL
from narrows.codec.fields.leb128 import NumberReader, pack_number
from narrows.codec.parts.needs import Needs
from narrows.errors import ArchiveError, CorruptArchiveError

__all__ = ["MOST_PACKED_BYTES", "PACKED", "pack", "pack_file", "unpack"]

PACKED = MAGIC + struct.pack("<HH", 2, 0)
"""The first bytes of a packed archive."""

MOST_PACKED_BYTES = 1 << 20
"""Larger archives are not packed: they are read in pieces."""

_WORTH = 256  # packing must save one byte of so many
_SERIES, _TEXTS, _DIGEST, _TABLE = 0, 1, 2, 4  # flags
_DIGEST_BYTES = 32
_OF_SERIES = (
    b'"missing":true},"dtype":"int8","ulps":true},"dtype":"float32","dtype":"int64","names":["a","b"],"lengths":[10,20'
    b'],"readings":1,"series":{"channels":["value"],"origin":{"kind":"wav"{"kind":"npy"{"kind":"array","columns":["time"'
    b',"value"],"group":"id","styles":[".0f","repr",".1f",".2f","name":"date"],"unit":"D""unit":"m","starts":[0],"steps"'
    b':[1]{"container":{"kind":"csv"},"dtype":"float64","field":{"block":[1000],"shape":[4032]},"max_error":0.0,"narrows'
    b'":"0.1.0","series":{"origin":{"kind":"csv","styles":["repr"]}}}{"container":{"kind":"csv"},"decimals":{"digits":[2'
    b']},"dtype":"int16","field":{"shape":[4032]},"max_error":0.0,"narrows":"0.1.0","readings":3,"series":{"channels":["'
    b'value"],"origin":{"kind":"csv","open_end":true,"styles":["repr"]},"time":{"name":"timestamp","starts":[1404172800]'
    b',"steps":[300],"unit":"s"}}}'
)
_OF_TEXTS = (
    b'"byte_model":16,"newline":"\\r\\n","origin":{"open_end":true,"kind":"list"},"texts":2'
    b'{"chunk_records":16384,"container":{"kind":"text"},"dtype":"uint16","group_records":256,"max_error":0.0,"model":"'
    b'0000000000000000000000000000000000000000000000000000000000000000","n_symbols":1,"narrows":"0.1.0","parts":1,"quality'
    b'":0,"record":"text","record_shape":[256],"text":{"origin":{"kind":"text"}},"tiling":null}'
    b'{"byte_model":64,"chunk_records":16384,"container":{"kind":"text"},"dtype":"uint16","group_records":64,"max_error":'
    b'0.0,"model":"","model_file":"","n_symbols":1,"narrows":"0.1.0","parts":1,"quality":0,"record":"text","record_shape":'
    b'[256],"text":{"origin":{"kind":"text"}},"tiling":null}'
)
_OF_TABLE = (
    b'"skipped":["id"],"kinds":{"a":"integer","b":"decimal","c":"category","d":"text","e":"date"},"delimiter":";","encoding"'
    b':"latin-1","header":false,"file":{"form":"arrow","kind":"frame"{"kind":"parquet"{"chunk_records":1024,"container":'
    b'{"kind":"frame"},"narrows":"0.1.0","table":{"bytes":20000,"columns":8,"form":"arrow"}}{"chunk_records":65536,"conta'
    b'iner":{"kind":"csv"},"narrows":"0.1.0","plain_rows":{},"table":{"bytes":1234,"columns":10,"form":"csv"}}'
)
_DICTIONARIES = {_SERIES: _OF_SERIES, _TEXTS: _OF_TEXTS, _TABLE: _OF_TABLE}

_Part = tuple[Block, bytes, Needs]  # a block, its payload, and the parts of the model that it needs or contains


def pack(data: bytes) -> bytes | None:
    """Return an archive of series, texts or a table as a packed one; None if it cannot be, or hardly gets smaller.

    Parameters
    ----------
    data : bytes
        The archive.
    """
    if len(data) > MOST_PACKED_BYTES:
        return None
    start = size_of_header(data[:20], len(data))
    metadata, blocks = parse_header(data[:start]), _blocks_of(data, start)
    if sum(block.type == BlockType.RECORDS for block, _, _ in blocks) != 1:
        return None
    of_kind = _packed_of_texts if "text" in metadata else _packed_of_series
    flags, packed_blocks = (_packed_of_table if "table" in metadata else of_kind)(metadata, blocks)
    if packed_blocks is None:
        return None
    rest = bytes((flags,)) + _packed_metadata(metadata, flags) + packed_blocks
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
        raise CorruptArchiveError("it is packed, and its checksum is wrong")
    flags = rest[0] if rest else 255
    if flags not in (_SERIES, _TEXTS, _TEXTS | _DIGEST, _TABLE):
        raise ArchiveError(f"it is packed with flags {flags}, which this version of narrows does not support")
    reader = NumberReader(rest[1:])
    metadata = _unpacked_metadata(reader, flags, len(rest))
    read = {_SERIES: _block_of_series, _TEXTS: _block_of_texts, _TABLE: _block_of_table}[flags & ~_DIGEST]
    found, n_records = list[_Part](), 0
    while reader.rest:
        found.append(read(reader, n_records, len(rest)))
        n_records += found[-1][0].n_records if found[-1][0].type == BlockType.RECORDS else 0
    if flags == _TABLE:
        models = [payload for block, payload, _ in found if block.type == BlockType.MODEL]
        metadata["model"] = hashlib.sha256(b"".join(models)).hexdigest()
    header = pack_header(metadata)
    file = io.BytesIO()
    file.write(header)
    blocks = BlockWriter(file, b"", len(header))
    for block, payload, parts in found:
        blocks.block(block, payload, parts)
    blocks.finish(n_records)
    return file.getvalue()


def pack_file(file: BinaryIO, n_bytes: int) -> int:
    """Pack an archive of n_bytes bytes that is being written, if that makes it smaller, and return its size."""
    if n_bytes > MOST_PACKED_BYTES:
        return n_bytes
    file.flush()
    packed = pack(Path(file.name).read_bytes())
    if packed is None:
        return n_bytes
    file.seek(0)
    file.truncate()
    file.write(packed)
    return len(packed)


def _blocks_of(data: bytes, start: int) -> list[_Part]:
    """Return the blocks of an archive before its index, with their payloads and the parts of the model of each."""
    found, at = [], start
    while (block := parse_block(data[at : at + BLOCK_BYTES])).type != BlockType.INDEX:
        found.append((block, data[at + BLOCK_BYTES :][: block.n_payload_bytes]))
        at += block.n_bytes
    _, entries = parse_index(data[at + BLOCK_BYTES :][: block.n_payload_bytes], block.n_records)
    parts = parts_in(entries).tolist()
    return [(*one, Needs(of_one)) for one, of_one in zip(found, parts, strict=True)]


def _packed_of_series(_: dict[str, Any], blocks: list[_Part]) -> tuple[int, bytes | None]:
    packed = []
    for block, payload, _needs in blocks:
        if block.type not in (BlockType.RECORDS, BlockType.COLUMN):
            return _SERIES, None
        packed.append(bytes((block.type,)))
        if block.type == BlockType.COLUMN:
            packed += [pack_number(block.first), pack_number(block.n_records)]
        packed += [pack_number(len(payload)), payload]
    return _SERIES, b"".join(packed)


def _block_of_series(reader: NumberReader, n_records: int, most: int) -> _Part:
    kind = reader.number(0, 255)
    if kind == BlockType.COLUMN:
        coding, first, n = Coding.PLAIN, reader.number(0, 255), reader.number(0, (1 << 32) - 1)
    elif kind == BlockType.RECORDS:
        coding, first, n = Coding.FIELD, n_records, 1
    else:
        raise CorruptArchiveError(f"it is packed, and has a block of type {kind}, which must not be packed")
    payload = reader.take(reader.number(0, most))
    return Block(kind, coding, len(payload), first, n), payload, Needs.NOTHING


def _packed_of_texts(metadata: dict[str, Any], blocks: list[_Part]) -> tuple[int, bytes | None]:
    packed = []
    for block, payload, parts in blocks:
        numbers = int(parts), block.first, block.n_records, len(payload)
        packed += [bytes((block.type, block.coding)), *map(pack_number, numbers), payload]
    return _TEXTS | (0 if metadata["model"] == NO_MODEL else _DIGEST), b"".join(packed)


def _block_of_texts(reader: NumberReader, _: int, most: int) -> _Part:
    kind, coding, parts = (reader.number(0, 255) for _ in range(3))
    if kind not in (BlockType.MODEL, BlockType.RECORDS, BlockType.COLUMN):
        raise CorruptArchiveError(f"it is packed, and has a block of type {kind}, which must not be packed")
    first, n, n_bytes = reader.number(0, MAX_RECORDS), reader.number(0, MAX_RECORDS), reader.number(0, most)
    return Block(kind, coding, n_bytes, first, n), reader.take(n_bytes), Needs(parts)


def _packed_of_table(_: dict[str, Any], blocks: list[_Part]) -> tuple[int, bytes | None]:
    packed = []
    for block, payload, _needs in blocks:
        packed.append(bytes((block.type,)))
        packed += [pack_number(block.n_records)] if block.type == BlockType.RECORDS else []
        packed += [pack_number(len(payload)), payload]
    are_packed = [block.type for block, *_ in blocks] == [BlockType.MODEL, BlockType.RECORDS]
    return _TABLE, b"".join(packed) if are_packed else None


def _block_of_table(reader: NumberReader, n_records: int, most: int) -> _Part:
    kind = reader.number(0, 255)
    if kind == BlockType.MODEL:
        coding, first, n = Coding.PLAIN, 0, 0
    elif kind == BlockType.RECORDS:
        coding, first, n = Coding.RESIDUAL, n_records, reader.number(1, MAX_CHUNK_RECORDS)
    else:
        raise CorruptArchiveError(f"it is packed, and has a block of type {kind}, which must not be packed")
    payload = reader.take(reader.number(0, most))
    return Block(kind, coding, len(payload), first, n), payload, Needs.NOTHING


def _packed_metadata(metadata: dict[str, Any], flags: int) -> bytes:
    """Return the metadata as they are packed; with the flag, the digest of the model follows as 32 bytes."""
    digest = b""
    if flags == _TABLE:
        metadata = {name: value for name, value in metadata.items() if name != "model"}
    if flags & _DIGEST:
        digest, metadata = bytes.fromhex(metadata["model"]), metadata | {"model": ""}
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_DICTIONARIES[flags & ~_DIGEST])
    packed = deflate.compress(text) + deflate.flush()
    return pack_number(len(packed)) + packed + digest


def _unpacked_metadata(reader: NumberReader, flags: int, most: int) -> dict[str, object]:
    data = reader.take(reader.number(0, most))
    inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_DICTIONARIES[flags & ~_DIGEST])
    try:
        metadata = json.loads(inflate.decompress(data, MAX_METADATA_BYTES).decode())
    except (zlib.error, ValueError, RecursionError) as error:
        raise CorruptArchiveError("the metadata of a packed archive are not valid") from error
    if not isinstance(metadata, dict) or not inflate.eof or inflate.unused_data:
        raise CorruptArchiveError("the metadata of a packed archive are not valid")
    return metadata | ({"model": reader.take(_DIGEST_BYTES).hex()} if flags & _DIGEST else {})
