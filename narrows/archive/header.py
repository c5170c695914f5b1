"""Reading the header of an archive, and its index: from the trailer, or from all block headers if it is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.index import ENTRY, Entry, Index, index_of, parse_index, parts_in
from narrows.archive.layout import (
    APPEND_BYTES,
    BLOCK_BYTES,
    BLOCK_MAGIC,
    CRC_BYTES,
    TRAILER_BYTES,
    Block,
    BlockType,
    Trailer,
    pack_crc,
    parse_block,
    parse_header,
    parse_trailer,
    size_of_header,
)
from narrows.archive.metadata import Metadata
from narrows.archive.naming import naming
from narrows.archive.records import needs_of
from narrows.archive.remedy import remedy
from narrows.errors import ArchiveError, CorruptArchiveError, DataWarning, warn

__all__ = [
    "Header",
    "bytes_after_end",
    "foreign_text",
    "naming",
    "read_block",
    "read_header",
    "read_index",
    "read_payload",
    "read_trailer",
    "read_whole_index",
    "unfinished_append",
    "walk_index",
]


@dataclass(frozen=True)
class Header:
    """An archive's header: its bytes, and its metadata."""

    data: bytes
    metadata: Metadata

    @property
    def n_bytes(self) -> int:
        """Size in bytes, the offset of the first block."""
        return len(self.data)

    @classmethod
    def parse(cls, data: bytes) -> Header:
        """Parse a header; raises ArchiveError or CorruptArchiveError if it is unsupported or damaged."""
        return cls(data, Metadata.from_json(parse_header(data)))


def read_header(source: ByteFile) -> Header:
    """Return the header of an archive.

    Raises
    ------
    ArchiveError, CorruptArchiveError
        If the file is not an archive, has a newer format, or is damaged.
    """
    if source.size == 0:
        raise ArchiveError("it is an empty file, and an archive starts with a header")
    start = source.read(0, min(20, source.size))
    return Header.parse(source.read(0, size_of_header(start, source.size)))


def read_block(source: ByteFile, offset: int, end: int) -> Block:
    """Return the header of the block at `offset`, which must end at `end` or before.

    Raises
    ------
    CorruptArchiveError
        If there is no valid block header, or the block ends after `end`.
    """
    block = parse_block(source.read(offset, BLOCK_BYTES))
    if offset + block.n_bytes > end:
        raise CorruptArchiveError(f"the block at {offset:,} extends beyond the end of the file or into the next block")
    return block


def read_payload(source: ByteFile, offset: int, block: Block, what: str, most: int) -> bytes:
    """Return the payload of the block at `offset`, after checking its CRC-32.

    Raises
    ------
    CorruptArchiveError
        If it has more than `most` bytes, or its checksum is wrong.
    """
    if block.n_payload_bytes > most:
        raise CorruptArchiveError(f"{what} declares {block.n_payload_bytes:,} bytes. Allowed: {most:,}")
    data = source.read(offset + BLOCK_BYTES, block.n_payload_bytes + CRC_BYTES)
    payload = data[:-CRC_BYTES]
    if pack_crc(payload) != data[-CRC_BYTES:]:
        raise CorruptArchiveError(f"{what} is damaged: its checksum is wrong")
    return payload


def read_index(source: ByteFile, header: Header) -> Index:
    """Return the index, from the end of the file or, if that is damaged, from the headers of all blocks.

    The bytes of an append that is not complete are ignored from then on.

    Raises
    ------
    CorruptArchiveError
        If both fail, or records at the end may be missing.

    Warns
    -----
    DataWarning
        If an append is not complete. Also if the end is damaged: records that were appended later, and their index,
        would not be seen.
    """
    try:
        return _read_complete(source, header)
    except CorruptArchiveError as error:
        reason = error
    if bytes_after_end(source, header) is not None:
        raise reason
    try:
        index = walk_index(source, header)
    except CorruptArchiveError as error:
        raise CorruptArchiveError(
            f"{source.path} is damaged or truncated: {reason}, and {error}. {remedy(source.path)}"
        ) from error
    warn(
        DataWarning(
            f"The end of {source.path} is damaged or truncated: {reason}. Its blocks and its index confirm "
            f"{index.n_records:,} records. If records were appended after these, they are lost and cannot be detected. "
            f"{remedy(source.path)}",
            kind="damaged-end",
        )
    )
    return index


def read_whole_index(source: ByteFile, header: Header, *, hindered: str = "no records can be appended") -> Index:
    """Return the index of an archive to append to or to copy; it must be intact at the end of the file.

    An error says what is ``hindered``. The bytes of an append that is not complete are ignored from then on:
    `source.size` is where to append.

    Raises
    ------
    CorruptArchiveError
        If trailer or index are damaged.

    Warns
    -----
    DataWarning
        If an append is not complete.
    """
    try:
        return _read_complete(source, header)
    except CorruptArchiveError as error:
        raise CorruptArchiveError(
            f"{source.path} is damaged or truncated, so that {hindered}: {error}. {remedy(source.path)}"
        ) from error


def _read_complete(source: ByteFile, header: Header) -> Index:
    """Return the index at the end of the file, or before an append that is not complete, after a warning of it."""
    try:
        return read_trailer(source, header)
    except CorruptArchiveError:
        end = unfinished_append(source, header.n_bytes)
        if end is None:
            raise
    n_bytes = source.size - end
    source.end_at(end)
    index = read_trailer(source, header)
    warn(
        DataWarning(
            f"An append to {source.path} was interrupted or is in progress: {n_bytes:,} bytes after its "
            f"{index.n_records:,} records are not complete, and are ignored. If it was interrupted, run it again: the "
            "next append replaces these bytes.",
            kind="unfinished-append",
        )
    )
    return index


def unfinished_append(source: ByteFile, start: int) -> int | None:
    """Return the end of the archive's last complete part if an append after it is not complete; otherwise None.

    Parameters
    ----------
    source : ByteFile
        The file.
    start : int
        Offset of the first block.
    """
    end = None
    for offset, block in _blocks(source, start):
        if block.type == BlockType.INDEX and offset + block.n_bytes + TRAILER_BYTES <= source.size:
            stop = offset + block.n_bytes + TRAILER_BYTES
            end = stop if _is_confirmed(source, Trailer(offset, block.first), stop) else end
    return end if end is not None and end < source.size and _is_unfinished(source, end) else None


def _is_unfinished(source: ByteFile, offset: int) -> bool:
    """Return whether there are zeros in the place of the APPEND block at `offset`."""
    return not any(source.read(offset, min(APPEND_BYTES, source.size - offset)))


def _blocks(source: ByteFile, offset: int) -> Iterator[tuple[int, Block]]:
    """Yield the blocks from `offset` on, up to the first that is damaged; an INDEX block may be truncated."""
    while offset < source.size:
        if (block := _block_within(source, offset)) is None:
            return
        yield offset, block
        offset = _offset_after(source, offset, block)


def _offset_after(source: ByteFile, offset: int, block: Block) -> int:
    """Return the offset of the next block: after an INDEX block, its trailer and zeros of an append are passed over."""
    offset += block.n_bytes
    if block.type != BlockType.INDEX:
        return offset
    offset += TRAILER_BYTES
    return offset + APPEND_BYTES if offset < source.size and _is_unfinished(source, offset) else offset


def read_trailer(source: ByteFile, header: Header) -> Index:
    """Return the index that the trailer points at.

    Raises
    ------
    CorruptArchiveError
        If trailer or index are damaged.
    """
    try:
        trailer = _trailer(source)
    except CorruptArchiveError:
        if (foreign := bytes_after_end(source, header)) is None:
            raise
        raise CorruptArchiveError(foreign_text(*foreign)) from None
    end = source.size - TRAILER_BYTES
    block = read_block(source, trailer.offset, end)
    is_index = block.type == BlockType.INDEX and trailer.offset + block.n_bytes == end
    if not is_index or block.first != trailer.n_records or trailer.offset < header.n_bytes:
        raise CorruptArchiveError("its trailer does not point to its index")
    payload = read_payload(source, trailer.offset, block, "its index", source.size)
    _, entries = parse_index(payload, block.n_records)
    metadata = header.metadata
    parts = None if metadata.parts is None else parts_in(entries)
    index = index_of(entries, header.n_bytes, trailer.offset, metadata.chunk_records, parts)
    if index.n_records != trailer.n_records:
        raise CorruptArchiveError(
            f"its index has {index.n_records:,} records, but its trailer declares {trailer.n_records:,}"
        )
    return index


def bytes_after_end(source: ByteFile, header: Header) -> tuple[int, int] | None:
    """Return the offset and the number of the bytes that follow the trailer of a complete archive.

    None if there are none, or if they may be the beginning of appended blocks.
    """
    offset, end = header.n_bytes, 0
    while offset < source.size and (block := _block_within(source, offset)) is not None:
        at, offset, end = offset, offset + block.n_bytes, 0
        if block.type == BlockType.INDEX:
            offset += TRAILER_BYTES
            if not _is_confirmed(source, Trailer(at, block.first), offset):
                return None
            end = offset
            if offset < source.size and _is_unfinished(source, offset):  # the place of an APPEND block
                offset, end = offset + APPEND_BYTES, 0
    if not 0 < end < source.size:
        return None
    start = source.read(end, min(len(BLOCK_MAGIC), source.size - end))
    return None if BLOCK_MAGIC.startswith(start) else (end, source.size - end)


def foreign_text(offset: int, n_bytes: int) -> str:
    """Return a description of bytes after the end of an archive."""
    what = "1 byte that is" if n_bytes == 1 else f"{n_bytes:,} bytes that are"
    return f"its end at byte {offset:,} is followed by {what} not part of it"


def walk_index(source: ByteFile, header: Header) -> Index:
    """Return the index that is rebuilt from the headers of all blocks, from the first on.

    The number of records must be confirmed at the end of the blocks: by an INDEX block with the same number, even if
    the block itself is truncated, or by a trailer with the same offset and number. So a file that was truncated between
    two chunks is never treated as complete.

    Raises
    ------
    CorruptArchiveError
        If a header is damaged, or records are missing.
    """
    offset, n_records, n_unknown = header.n_bytes, 0, 0
    n_before: int | None = None  # number of records of an INDEX block that is followed by appended blocks
    entries: list[Entry] = []
    parts: list[int] = []
    last: tuple[int, Block] | None = None  # the INDEX block at the end
    while offset < source.size and (block := _block_within(source, offset)) is not None:
        if block.type == BlockType.INDEX:
            # Blocks of unknown types may or may not have entries.
            if block.first != n_records or not 0 <= block.n_records - len(entries) <= n_unknown:
                break
            last, n_before = (offset, block), n_records
            offset = _offset_after(source, offset, block)
            continue
        if block.type in {BlockType.MODEL, BlockType.RECORDS, BlockType.COLUMN, BlockType.LABELS}:
            entries.append((offset, block.first, block.n_records, 0, block.type))
            parts.append(_parts(source, header, offset, block))
            n_records += block.n_records if block.type == BlockType.RECORDS else 0
        elif block.type != BlockType.APPEND:
            n_unknown += 1
        offset += block.n_bytes
        last = None
    last = last if offset >= source.size else None
    end = offset if last is None else last[0]
    if last is None and not _is_confirmed(source, Trailer(end, n_records)):
        broken = "" if n_before is None else f"; appending to its {n_before:,} records was probably interrupted"
        raise CorruptArchiveError(
            f"its blocks end after {n_records:,} records without an index or trailer that confirms this number{broken}"
        )
    index = index_of(
        np.array(entries, ENTRY),
        header.n_bytes,
        end,
        header.metadata.chunk_records,
        None if header.metadata.parts is None else np.array(parts, np.uint8),
    )
    return replace(index, crcs=_listed_crcs(source, last, index))


def _parts(source: ByteFile, header: Header, offset: int, block: Block) -> int:
    """Return the parts of a model that a chunk needs, for its entry; those in a MODEL block are not listed."""
    if header.metadata.parts is None or block.type != BlockType.RECORDS:
        return 0
    try:
        return int(needs_of(source, offset + BLOCK_BYTES, block.n_records, block.coding, header.metadata))
    except CorruptArchiveError:
        return 0


def _block_within(source: ByteFile, offset: int) -> Block | None:
    """Return the header of the block at an offset; None if it is damaged, or the block is truncated and no INDEX."""
    try:
        block = parse_block(source.read(offset, BLOCK_BYTES))
    except CorruptArchiveError:
        return None
    return block if block.type == BlockType.INDEX or offset + block.n_bytes <= source.size else None


def _is_confirmed(source: ByteFile, expected: Trailer, end: int | None = None) -> bool:
    """Return whether this trailer ends at `end`, by default the end of the file."""
    try:
        return _trailer(source, end) == expected
    except CorruptArchiveError:
        return False


def _listed_crcs(source: ByteFile, last: tuple[int, Block] | None, index: Index) -> npt.NDArray[np.uint32] | None:
    """Return the chunks' checksums from the INDEX block; None if it is missing or damaged."""
    try:
        if last is None:
            return None
        _, entries = parse_index(read_payload(source, *last, "its index", source.size), last[1].n_records)
    except CorruptArchiveError:
        return None
    entries = entries[entries["type"] == BlockType.RECORDS]
    if not np.array_equal(np.cumsum(entries["n_records"], dtype=np.int64), index.stops):
        raise CorruptArchiveError("its index does not match its blocks")
    crcs: npt.NDArray[np.uint32] = entries["crc"].astype(np.uint32)
    return crcs


def _trailer(source: ByteFile, end: int | None = None) -> Trailer:
    """Return the trailer that ends at `end`, by default the end of the file."""
    end = source.size if end is None else end
    return parse_trailer(source.read(max(0, end - TRAILER_BYTES), min(end, TRAILER_BYTES)))
