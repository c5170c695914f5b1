"""One chunk, decoded: its symbols at once, its records by groups of 256, each checked before it is handed out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.archive.contract import Codec
from narrows.archive.index import Index
from narrows.archive.layout import CRC_BYTES, GROUP_RECORDS, BlockType
from narrows.archive.metadata import Metadata
from narrows.archive.opening import read_block, read_payload
from narrows.archive.records import Payload, checksum, max_payload_bytes, parse_records
from narrows.archive.source import ByteSource
from narrows.errors import CorruptArchiveError

__all__ = ["Chunk", "read_chunk"]

_DAMAGE = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)


def read_chunk(source: ByteSource, metadata: Metadata, index: Index, chunk: int) -> Payload:
    """Return the payload of a chunk, its CRC-32 checked.

    Raises
    ------
    CorruptArchiveError
        If the chunk is damaged, or another than the index declares.
    """
    records, offset = index.range_of(chunk), int(index.offsets[chunk])
    what = f"the chunk of records {records.start:,} to {records.stop - 1:,}"
    block = read_block(source, offset, int(index.ends[chunk]))
    if (block.type, block.first, block.stop) != (BlockType.RECORDS, records.start, records.stop):
        raise CorruptArchiveError(f"{what} is not where the index says")
    if index.crcs is not None and source.read(offset + block.n_bytes - CRC_BYTES, CRC_BYTES) != int(
        index.crcs[chunk]
    ).to_bytes(CRC_BYTES, "little"):
        raise CorruptArchiveError(f"{what} is damaged, or comes from another archive")
    most = max_payload_bytes(len(records), metadata.n_symbols)
    return parse_records(read_payload(source, offset, block, what, most), len(records), metadata.n_symbols)


class Chunk:
    """The records of a chunk.

    Parameters
    ----------
    payload : Payload
    n_records : int
    codec : Codec
    quality : int
        Which of the codec's qualities.
    first : int
        The number of the first record, for messages.

    Raises
    ------
    CorruptArchiveError
        If the symbols cannot be decoded.
    """

    def __init__(self, payload: Payload, n_records: int, codec: Codec, quality: int, first: int) -> None:
        self._checksums, self._codec, self._quality, self._first = payload.checksums, codec, quality, first
        try:
            self._symbols = codec.qualities[quality].entropy.decode(payload.coded, n_records)
        except CorruptArchiveError as error:
            raise CorruptArchiveError(
                f"{self._what(0, n_records)} cannot be decoded: {str(error).rstrip('.')}"
            ) from error
        except _DAMAGE as error:  # whatever a payload that lies leads to
            raise CorruptArchiveError(f"{self._what(0, n_records)} cannot be decoded: {error}") from error

    def __len__(self) -> int:
        return len(self._symbols)

    def restore(self, records: range) -> npt.NDArray[Any]:
        """Return some of the records, counted from the chunk's first; only the groups they are in are decoded.

        Raises
        ------
        CorruptArchiveError
            If a group does not restore to the bytes that were compressed.
        """
        low, high = min(records[0], records[-1]), max(records[0], records[-1])
        if abs(records.step) <= GROUP_RECORDS:
            start = low - low % GROUP_RECORDS
            groups = self._groups(start, min(len(self), high - high % GROUP_RECORDS + GROUP_RECORDS))
            chosen: npt.NDArray[Any] = groups[np.asarray(records) - start]
            return chosen
        return np.concatenate([self.restore(range(record, record + 1)) for record in records])

    def _groups(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return whole groups of records, checked."""
        restored = self._codec.decode(self._symbols[start:stop], self._quality)
        if restored.shape != (stop - start, *self._codec.shape) or restored.dtype != self._codec.dtype:
            raise CorruptArchiveError(f"{self._what(start, stop)} restore to another shape or type than declared")
        for low in range(start, stop, GROUP_RECORDS):
            high = min(low + GROUP_RECORDS, stop)
            if checksum(restored[low - start : high - start]) != self._checksums[low // GROUP_RECORDS]:
                raise CorruptArchiveError(f"{self._what(low, high)} do not restore to what was compressed")
        return restored

    def _what(self, start: int, stop: int) -> str:
        return f"the records {self._first + start:,} to {self._first + stop - 1:,}"
