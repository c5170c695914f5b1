"""Decoding of a chunk: all symbols at once, and records by groups, each verified by its checksum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.contract import Codec
from narrows.archive.header import read_block, read_payload
from narrows.archive.index import Index
from narrows.archive.layout import CRC_BYTES, Block, BlockType, Coding
from narrows.archive.metadata import Metadata
from narrows.archive.records import Payload, ResidualPayload, checksum, max_payload_bytes, parse_records
from narrows.codec.residual.chunk import decode_chunk
from narrows.codec.residual.error_bound import ErrorBound
from narrows.errors import CorruptArchiveError

__all__ = ["PIECE_RECORDS", "Chunk", "chunk_block", "chunk_bytes", "pieces_within", "read_chunk", "read_records"]

PIECE_RECORDS = 512
"""Records of a chunk that are restored at a time; a multiple of every group size."""

_VALUE_BYTES, _BOUNDED_VALUE_BYTES = 4, 48  # memory to decode a symbol, and a value with a residual

_DAMAGE = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)


def chunk_block(source: ByteFile, index: Index, chunk: int) -> tuple[int, Block, str]:
    """Return the offset of a chunk, the header of its block, and a description for messages.

    Raises
    ------
    CorruptArchiveError
        If the block is damaged, or is not the one in the index.
    """
    records, offset = index.range_of(chunk), int(index.offsets[chunk])
    what = f"the chunk of records {records.start:,} to {records.stop - 1:,}"
    block = read_block(source, offset, int(index.ends[chunk]))
    if (block.type, block.first, block.stop) != (BlockType.RECORDS, records.start, records.stop):
        raise CorruptArchiveError(f"{what} is not at its offset in the index")
    if index.crcs is not None and source.read(offset + block.n_bytes - CRC_BYTES, CRC_BYTES) != int(
        index.crcs[chunk]
    ).to_bytes(CRC_BYTES, "little"):
        raise CorruptArchiveError(f"{what} is damaged, or comes from another archive")
    return offset, block, what


def chunk_bytes(metadata: Metadata) -> int:
    """Return about how much memory a chunk of an archive takes while it is decoded or encoded."""
    n_values = metadata.record_bytes // metadata.dtype.itemsize
    piece = min(metadata.chunk_records, PIECE_RECORDS) * metadata.record_bytes
    if metadata.max_error is not None:
        piece = metadata.chunk_records * n_values * _BOUNDED_VALUE_BYTES
    return metadata.chunk_records * metadata.n_symbols * _VALUE_BYTES + piece


def pieces_within(records: Sequence[int], start: int) -> Iterator[Sequence[int]]:
    """Split records of a chunk, as indices within it; consecutive ones at the boundaries of groups.

    ``start`` is the number of the first record of the chunk.
    """
    if not isinstance(records, range):
        yield [record - start for record in records]
        return
    first = records[0] - start
    # From the length, since the stop of a range with a negative step may be below zero.
    inside = range(first, first + len(records) * records.step, records.step)
    if records.step != 1 or len(inside) <= PIECE_RECORDS:
        yield inside
        return
    while inside:
        more = PIECE_RECORDS - inside[0] % PIECE_RECORDS
        yield inside[:more]
        inside = inside[more:]


def read_chunk(source: ByteFile, metadata: Metadata, index: Index, chunk: int) -> Payload:
    """Return the payload of a chunk, after checking its CRC-32.

    Raises
    ------
    CorruptArchiveError
        If the chunk is damaged, or is not the one in the index.
    """
    offset, block, what = chunk_block(source, index, chunk)
    return read_records(source, offset, block, metadata, what)


def read_records(source: ByteFile, offset: int, block: Block, metadata: Metadata, what: str) -> Payload:
    """Return the payload of the RECORDS block at `offset`, after checking its CRC-32.

    Raises
    ------
    CorruptArchiveError
        If it is damaged, or does not agree with the metadata.
    """
    most = max_payload_bytes(block.n_records, metadata)
    payload = read_payload(source, offset, block, what, most)
    if (block.coding == Coding.CODE) != (metadata.max_error is None):
        raise CorruptArchiveError(f"{what} has coding {block.coding}, which the metadata of the archive do not allow")
    parsed = parse_records(payload, block.n_records, metadata, block.coding)
    if parsed.residual is not None and (
        parsed.residual.max_error > (metadata.max_error or 0.0)
        or len(parsed.residual.data) > block.n_records * metadata.record_bytes
    ):
        raise CorruptArchiveError(f"{what} declares a larger error, or more bytes, than the metadata allow")
    return parsed


class Chunk:
    """The records of a chunk.

    Parameters
    ----------
    payload : Payload
        The stored chunk.
    n_records : int
        Number of records of the chunk.
    codec : Codec
        The archive's codec.
    metadata : Metadata
        The archive's metadata.
    first : int
        Index of the first record, for error messages.

    Raises
    ------
    CorruptArchiveError
        If the symbols cannot be decoded.
    """

    def __init__(self, payload: Payload, n_records: int, codec: Codec, metadata: Metadata, first: int) -> None:
        self._checksums, self._codec, self._quality = payload.checksums, codec, metadata.position
        self._n_records, self._first, self._group = n_records, first, metadata.group_records
        self._metadata, self._residual = metadata, payload.residual
        self._has_code = payload.coded is not None and not payload.is_beside
        self._symbols = np.empty((n_records, 0), np.int32)
        self._restored: npt.NDArray[Any] | None = None  # all records, if the chunk has a residual without groups
        with self._damage_named(0, n_records):
            if payload.coded is not None and self._has_code:
                self._symbols = codec.qualities[self._quality].entropy.decode(payload.coded, n_records)
            if payload.residual is not None and not payload.residual.kind.has_groups:
                self._restored = self._with_residual(payload.residual, slice(0, n_records))

    def __len__(self) -> int:
        return self._n_records

    def restore(self, records: Sequence[int]) -> npt.NDArray[Any]:
        """Return records, by their indices within the chunk; only the groups that contain them are decoded.

        Raises
        ------
        CorruptArchiveError
            If the checksum of a group's restored records is wrong.
        """
        chosen = np.asarray(records)
        if isinstance(records, range) and abs(records.step) <= self._group:
            start, high = int(chosen.min()) // self._group * self._group, int(chosen.max())
            groups = self._groups(start, min(len(self), high - high % self._group + self._group))
            found: npt.NDArray[Any] = groups[chosen - start]
            return found
        result = np.empty((len(chosen), *self._codec.shape), self._codec.dtype)
        for start in (np.unique(chosen // self._group) * self._group).tolist():
            group = self._groups(start, min(len(self), start + self._group))
            inside = (chosen >= start) & (chosen < start + self._group)
            result[inside] = group[chosen[inside] - start]
        return result

    def _with_residual(self, residual: ResidualPayload, records: slice) -> npt.NDArray[Any]:
        """Return records within the archive's error bound: whole groups if the residual has groups, otherwise all."""
        metadata = self._metadata
        decoded = self._codec.decode(self._symbols[records], self._quality) if self._has_code else None
        return decode_chunk(
            residual.kind,
            residual.data,
            decoded,
            ErrorBound(metadata.dtype, metadata.max_error or 0.0),
            (len(self), *metadata.record_shape),
            causal=self._codec.causal if residual.kind.uses_network else None,
            group_records=metadata.coded_groups,
            records=records,
        )

    @contextmanager
    def _damage_named(self, start: int, stop: int) -> Iterator[None]:
        """Name the records in errors that a damaged payload causes."""
        try:
            yield
        except CorruptArchiveError as error:
            raise CorruptArchiveError(
                f"{self._what(start, stop)} cannot be decoded: {str(error).rstrip('.')}"
            ) from error
        except _DAMAGE as error:  # any exception that a damaged payload can cause
            raise CorruptArchiveError(f"{self._what(start, stop)} cannot be decoded: {error}") from error

    def _groups(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return whole groups of records, after checking their checksums."""
        if self._restored is not None:
            restored = self._restored[start:stop]
        elif self._residual is not None:
            with self._damage_named(start, stop):
                restored = self._with_residual(self._residual, slice(start, stop))
        else:
            restored = self._codec.decode(self._symbols[start:stop], self._quality)
        if restored.shape != (stop - start, *self._codec.shape) or restored.dtype != self._codec.dtype:
            raise CorruptArchiveError(
                f"{self._what(start, stop)} are restored as {restored.shape} {restored.dtype}, but declared as "
                f"{(stop - start, *self._codec.shape)} {self._codec.dtype}"
            )
        for low in range(start, stop, self._group):
            high = min(low + self._group, stop)
            if checksum(restored[low - start : high - start]) != self._checksums[low // self._group]:
                raise CorruptArchiveError(
                    f"{self._what(low, high)} are not restored correctly: their checksum is wrong"
                )
        return restored

    def _what(self, start: int, stop: int) -> str:
        return f"the records {self._first + start:,} to {self._first + stop - 1:,}"
