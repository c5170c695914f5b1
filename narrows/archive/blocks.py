"""Writing the blocks of an archive, with their index at the end."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import BinaryIO

from narrows.archive.index import Entry, pack_index
from narrows.archive.layout import (
    APPEND_BYTES,
    BLOCK_BYTES,
    CRC_BYTES,
    Block,
    BlockType,
    Coding,
    Trailer,
    pack_block,
    pack_crc,
    pack_trailer,
)
from narrows.codec.parts.needs import Needs

__all__ = ["BlockWriter"]


class BlockWriter:
    """Writes blocks to the end of an archive.

    Parameters
    ----------
    file : binary file
        Open for writing, at `offset`.
    header : bytes
        The archive's header, already in the file; the index gets a copy. Empty to store no copy.
    offset : int
        Offset of the next block.
    entries : iterable of (offset, first, n_records, crc, type)
        Index entries of the existing blocks.
    parts : iterable of int
        The parts of the model of each of them, if the model is in parts.
    """

    def __init__(
        self,
        file: BinaryIO,
        header: bytes,
        offset: int,
        entries: Iterable[Entry] = (),
        parts: Iterable[int] = (),
    ) -> None:
        self._file, self._header, self.offset, self._entries = file, header, offset, list(entries)
        self._parts = list(parts) or [0] * len(self._entries)
        self._appended: int | None = None  # offset of the APPEND block, zeros until the append is complete

    def begin_append(self) -> None:
        """Write zeros in the place of the APPEND block; `finish` writes the block."""
        self._appended = self.offset
        self._file.write(bytes(APPEND_BYTES))
        self._file.flush()  # before anything else, so that readers recognise an append that is not complete
        self.offset += APPEND_BYTES

    def model(self, blob: bytes, parts: Needs = Needs.NOTHING) -> None:
        """Write a MODEL block: a whole model, or some parts of one."""
        coding = Coding.PARTS if parts else Coding.PLAIN
        self.block(Block(BlockType.MODEL, coding, len(blob), 0, 0), blob, parts)

    def column(self, column: int, n_steps: int, payload: bytes) -> None:
        """Write a COLUMN block, with a value for each of some steps of series."""
        self.block(Block(BlockType.COLUMN, Coding.PLAIN, len(payload), column, n_steps), payload)

    def labels(self, payload: bytes, first: int, n_records: int) -> None:
        """Write a LABELS block, before the chunk of the same records."""
        self.block(Block(BlockType.LABELS, Coding.PLAIN, len(payload), first, n_records), payload)

    def records(
        self,
        payload: bytes,
        first: int,
        n_records: int,
        coding: int = Coding.CODE,
        needs: Needs = Needs.NOTHING,
    ) -> None:
        """Write a RECORDS block; `needs` are the parts of the model that it needs, if the model is in parts."""
        self.block(Block(BlockType.RECORDS, coding, len(payload), first, n_records), payload, needs)

    def finish(self, n_records: int) -> None:
        """Write the INDEX block and the trailer of an archive of n_records records.

        After an append the trailer, which makes the records valid, is written when all else is on the disk.
        """
        payload = pack_index(self._header, self._entries, self._parts)
        offset = self.offset
        self.block(Block(BlockType.INDEX, Coding.PLAIN, len(payload), n_records, len(self._entries)), payload)
        trailer = pack_trailer(Trailer(offset, n_records))
        if self._appended is not None:
            self._flush_to_disk()
        self._file.write(trailer)
        self.offset += len(trailer)
        if self._appended is not None:
            self._flush_to_disk()
            self._file.seek(self._appended)
            self._file.write(pack_block(Block(BlockType.APPEND, Coding.PLAIN, 0, 0, 0)) + pack_crc(b""))
            self._flush_to_disk()

    def _flush_to_disk(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def block(self, block: Block, payload: bytes, parts: Needs = Needs.NOTHING) -> None:
        """Write a block of any type, with the parts of the model that it contains or needs."""
        self._file.write(pack_block(block))
        self._file.write(payload)
        crc = pack_crc(payload)
        self._file.write(crc)
        self._entries.append((self.offset, block.first, block.n_records, int.from_bytes(crc, "little"), block.type))
        self._parts.append(int(parts))
        self.offset += BLOCK_BYTES + len(payload) + CRC_BYTES
