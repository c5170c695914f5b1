"""Finding the intact blocks of a damaged archive by their magic and checksums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from narrows.archive.byte_file import ByteFile
from narrows.archive.layout import BLOCK_BYTES, BLOCK_MAGIC, CRC_BYTES, Block, parse_block
from narrows.errors import CorruptArchiveError

__all__ = ["Scanned", "scan"]

_FIRST_STEP, _LAST_STEP = 1 << 12, 1 << 20  # bytes searched at a time, growing with the distance
_MOST_READS = 4  # limit of the bytes read, in multiples of the file's size, against maliciously nested blocks


class Scanned(NamedTuple):
    """A block that was found.

    Attributes
    ----------
    offset : int
        Its offset in the file.
    block : Block
        Its header.
    is_whole : bool
        Whether its payload is complete and has the right checksum.
    """

    offset: int
    block: Block
    is_whole: bool


def scan(source: ByteFile, offset: int) -> Iterator[Scanned]:
    """Find all blocks from `offset` on, and skip all other bytes.

    Yields
    ------
    Scanned
        The next block.

    Raises
    ------
    CorruptArchiveError
        If blocks are nested so often that the scan would not end in reasonable time.
    """
    n_read = 0
    while (found := _next_block(source, offset)) is not None:
        offset, block = found
        is_there = offset + block.n_bytes <= source.size
        is_whole = False
        if is_there:
            n_read += block.n_bytes
            if n_read > _MOST_READS * source.size:
                raise CorruptArchiveError(
                    "Its blocks contain one another. It was not written by narrows, and cannot be recovered."
                )
            crc = source.crc(offset + BLOCK_BYTES, block.n_payload_bytes)
            stored = source.read(offset + BLOCK_BYTES + block.n_payload_bytes, CRC_BYTES)
            is_whole = crc.to_bytes(4, "little") == stored
        yield Scanned(offset, block, is_whole)
        offset += block.n_bytes if is_whole else BLOCK_BYTES


def _next_block(source: ByteFile, offset: int) -> tuple[int, Block] | None:
    """Return the first block header at or after `offset`."""
    if offset + BLOCK_BYTES <= source.size and (block := _block(source.read(offset, BLOCK_BYTES))) is not None:
        return offset, block
    step = _FIRST_STEP
    while offset + BLOCK_BYTES <= source.size:
        window = source.read(offset, min(step, source.size - offset))
        at = window.find(BLOCK_MAGIC)
        while 0 <= at <= len(window) - BLOCK_BYTES:
            if (block := _block(window[at : at + BLOCK_BYTES])) is not None:
                return offset + at, block
            at = window.find(BLOCK_MAGIC, at + 1)
        # A header that begins in this window may end in the next.
        offset += len(window) - BLOCK_BYTES + 1
        step = min(2 * step, _LAST_STEP)
    return None


def _block(data: bytes) -> Block | None:
    try:
        return parse_block(data)
    except CorruptArchiveError:
        return None
