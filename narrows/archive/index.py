"""The index, the payload of an INDEX block: the offset and the records of each chunk.

::

    length u32 · the archive's header again (zlib with a dictionary)
    entries: offset u64 · first u64 · n u32 · CRC-32 u32 · type u8 · parts u8 · 2 zero bytes
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from narrows.archive.layout import (
    BLOCK_BYTES,
    CRC_BYTES,
    MAX_CHUNK_RECORDS,
    MAX_METADATA_BYTES,
    MAX_RECORDS,
    BlockType,
)
from narrows.codec.parts.needs import ALL, Needs
from narrows.errors import CorruptArchiveError

__all__ = ["ENTRY", "Entries", "Entry", "Index", "index_of", "pack_index", "parse_index", "parts_in"]

ENTRY = np.dtype(
    {
        "names": ["offset", "first", "n_records", "crc", "type"],
        "formats": ["<u8", "<u8", "<u4", "<u4", "u1"],
        "offsets": [0, 8, 16, 20, 24],
        "itemsize": 28,
    }
)
_ENTRY = struct.Struct("<QQIIBB2x")  # the same with the parts; NumPy would not set the other bytes
_PARTS = 25  # offset of the parts in an entry
_LENGTH = struct.Struct("<I")
_MAX_HEADER_BYTES = MAX_METADATA_BYTES + 64
# A typical header, so that the copy of a small one takes hardly more bytes than the model's hash.
_DICTIONARY = (
    b"\x89NRW\r\n\x1a\n\x01\x00\x00\x00\x00\x00\x00\x00"
    b'{"chunk_records":16384,"container":{"kind":"images"},"dtype":"float32","dtype":"uint8","group_records":256,'
    b'"model":"","n_symbols":32,"narrows":"0.1.0","quality":0,"record_shape":[28,28],"tiling":null}'
)

Entries = npt.NDArray[np.void]  # of dtype ENTRY
Entry = tuple[int, int, int, int, int]  # one of them: offset, first, n_records, crc, type


@dataclass(frozen=True, eq=False)
class Index:
    """The positions of an archive's chunks and of its model.

    Attributes
    ----------
    offsets : ndarray of shape (chunks,), int64
        Offsets of the chunks' blocks in the file, ascending.
    stops : ndarray of shape (chunks,), int64
        Index of the last record of each chunk, plus 1, ascending.
    ends : ndarray of shape (chunks,), int64
        Offset of the next block after each chunk, where the chunk's block must have ended.
    crcs : ndarray of shape (chunks,), uint32, or None
        CRC-32 of each chunk's payload; None if the INDEX block is lost. Intact chunks of other archives are refused,
        because their CRC-32 differs.
    models : list of int
        Offsets of the MODEL blocks; at most one, unless the model is in parts.
    parts : ndarray of uint8, one for each entry
        The parts of the model that a chunk needs, or a MODEL block contains; 0 if the model is not in parts.
    entries : ndarray of dtype ENTRY
        The entries from which the other attributes are computed.
    """

    offsets: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    crcs: npt.NDArray[np.uint32] | None
    models: list[int]
    parts: npt.NDArray[np.uint8]
    entries: Entries

    @property
    def model(self) -> int | None:
        """Offset of the first MODEL block; None if there is none."""
        return self.models[0] if self.models else None

    @property
    def needed(self) -> Needs:
        """The parts of the model that chunks need."""
        return self._parts_of(BlockType.RECORDS)

    @property
    def held(self) -> Needs:
        """The parts that MODEL blocks contain."""
        return self._parts_of(BlockType.MODEL)

    def _parts_of(self, kind: BlockType) -> Needs:
        return Needs(int(np.bitwise_or.reduce(self.parts[self.entries["type"] == kind], initial=0)) & int(ALL))

    @property
    def n_records(self) -> int:
        """The number of records of all chunks."""
        return int(self.stops[-1]) if len(self.stops) else 0

    def chunk_of(self, record: int) -> int:
        """Return the index of the chunk that contains a record."""
        return int(np.searchsorted(self.stops, record, side="right"))

    def range_of(self, chunk: int) -> range:
        """Return the indices of a chunk's records."""
        return range(int(self.stops[chunk - 1]) if chunk else 0, int(self.stops[chunk]))


def pack_index(header: bytes, entries: list[Entry], parts: Sequence[int] = ()) -> bytes:
    """Return the payload of an INDEX block.

    Parameters
    ----------
    header : bytes
        The archive's header, of which the index stores a copy; empty to store none.
    entries : list of (offset, first, n_records, crc, type)
        Every MODEL and RECORDS block, and those of other types that were listed, in the order of the file.
    parts : sequence of int
        The parts of the model of each; none if the model is not in parts.
    """
    deflate = zlib.compressobj(9, zdict=_DICTIONARY)
    copy = deflate.compress(header) + deflate.flush() if header else b""
    packed = b"".join(
        _ENTRY.pack(*entry, of_one) for entry, of_one in zip(entries, parts or [0] * len(entries), strict=True)
    )
    return _LENGTH.pack(len(copy)) + copy + packed


def parse_index(payload: bytes, n_entries: int) -> tuple[bytes, Entries]:
    """Return the copy of the header and the entries of an INDEX block's payload whose CRC-32 has been checked.

    The copy is empty if there is none.

    Raises
    ------
    CorruptArchiveError
        If the sizes are wrong, or the copy is damaged.
    """
    n_copy = _LENGTH.unpack_from(payload)[0] if len(payload) >= _LENGTH.size else -1
    at = _LENGTH.size + n_copy
    if n_copy < 0 or len(payload) != at + n_entries * ENTRY.itemsize:
        raise CorruptArchiveError("the length of its index is not the declared length")
    if not n_copy:
        return b"", np.frombuffer(payload, ENTRY, n_entries, at)
    inflate = zlib.decompressobj(zdict=_DICTIONARY)
    try:
        header = inflate.decompress(payload[_LENGTH.size : at], _MAX_HEADER_BYTES)
    except zlib.error as error:
        raise CorruptArchiveError("the copy of the header in its index is damaged") from error
    if not inflate.eof or inflate.unused_data:
        raise CorruptArchiveError("the copy of the header in its index is damaged")
    return header, np.frombuffer(payload, ENTRY, n_entries, at)


def parts_in(entries: Entries) -> npt.NDArray[np.uint8]:
    """Return the parts of the model in the entries of `parse_index`."""
    return np.frombuffer(entries.tobytes(), np.uint8).reshape(-1, ENTRY.itemsize)[:, _PARTS]


def index_of(
    entries: Entries, start: int, stop: int, chunk_records: int, parts: npt.NDArray[np.uint8] | None = None
) -> Index:
    """Return the index of entries.

    Parameters
    ----------
    entries : ndarray of dtype ENTRY
        The entries, in the order of the file.
    start, stop : int
        Offset of the first block, after the header, and of the INDEX block, after the last.
    chunk_records : int
        The largest number of records of a chunk.
    parts : ndarray of uint8, optional
        The parts of the model of each entry, if it is in parts.

    Raises
    ------
    CorruptArchiveError
        If blocks overlap or are outside the file, records are missing or duplicated, or a chunk is too large.

    Notes
    -----
    Entries of unknown types, which a later version may write, are used only for the positions of their blocks.
    """
    kinds, counts = entries["type"], entries["n_records"].astype(np.int64)
    bounds = np.append(entries["offset"], np.uint64(stop))
    gaps = np.diff(bounds.astype(np.int64)) if bounds.max() < 1 << 62 else np.zeros(1)
    is_ordered = bool((gaps >= BLOCK_BYTES + CRC_BYTES).all()) and int(bounds[0]) >= start
    chunks = kinds == BlockType.RECORDS
    models = np.flatnonzero(kinds == BlockType.MODEL)
    if not is_ordered or (len(models) > 1 and parts is None) or (kinds == BlockType.INDEX).any():
        raise CorruptArchiveError("the blocks in its index overlap, or are outside the archive")
    counts = counts[chunks]
    stops = np.cumsum(counts)
    if len(counts) and (counts.min() < 1 or counts.max() > min(chunk_records, MAX_CHUNK_RECORDS)):
        raise CorruptArchiveError("a chunk in its index is empty or larger than the metadata allow")
    if (entries["first"][chunks] != (stops - counts).astype(np.uint64)).any() or int(counts.sum()) > MAX_RECORDS:
        raise CorruptArchiveError("records are missing in its index, or repeated")
    positions = bounds.astype(np.int64)
    return Index(
        offsets=positions[:-1][chunks],
        stops=stops,
        ends=positions[1:][chunks],
        crcs=entries["crc"][chunks].astype(np.uint32),
        models=positions[models].tolist(),
        parts=np.zeros(len(entries), np.uint8) if parts is None else parts,
        entries=entries,
    )
