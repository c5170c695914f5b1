"""LABELS blocks: the labels of the records of a chunk.

::

    length u32 · the distinct labels as a JSON list · position of each record's label (zlib): u8 if there are at most
    256 labels, otherwise u16

Labels are whole numbers or text; null stands for a record without a label. The block comes before the chunk of the same
records. No record needs it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from narrows.archive.byte_file import ByteFile
from narrows.archive.header import read_block, read_payload
from narrows.archive.index import Index
from narrows.archive.layout import BlockType
from narrows.archive.metadata import Metadata
from narrows.archive.report import Problem
from narrows.archive.scan import Scanned
from narrows.errors import CorruptArchiveError, InvalidParameterError

__all__ = ["Label", "labels_before", "pack_labels", "parse_labels", "problems_of_labels", "read_labels"]

Label = int | str | None

_LENGTH = struct.Struct("<I")
_FEW = 256
_MOST_TEXT = 16 << 20  # bytes of the distinct labels of a chunk
_MOST_BYTES = _MOST_TEXT + (1 << 18)
_LARGEST = 1 << 63


def pack_labels(labels: Sequence[Label]) -> bytes:
    """Return the payload of a LABELS block.

    Raises
    ------
    InvalidParameterError
        If the distinct labels take more than 16 MiB.

    Examples
    --------
    >>> parse_labels(pack_labels([7, None, 7, "cat"]), 4)
    [7, None, 7, 'cat']
    """
    positions = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    text = json.dumps([*positions], separators=(",", ":")).encode()
    if len(text) > _MOST_TEXT:
        raise InvalidParameterError(
            f"The labels of a chunk may take {_MOST_TEXT:,} bytes. Got {len(text):,}. Shorten them."
        )
    dtype = "u1" if len(positions) <= _FEW else "<u2"
    coded = np.array([positions[label] for label in labels], dtype).tobytes()
    return _LENGTH.pack(len(text)) + text + zlib.compress(coded, 9)


def parse_labels(payload: bytes, n_records: int) -> list[Label]:
    """Return the labels of the n records of a LABELS block.

    Raises
    ------
    CorruptArchiveError
        If they are damaged.
    """
    n_text = _LENGTH.unpack_from(payload)[0] if len(payload) >= _LENGTH.size else -1
    if not 0 <= n_text <= min(_MOST_TEXT, len(payload) - _LENGTH.size):
        raise CorruptArchiveError("the length of the labels of a chunk is not valid")
    try:
        known = json.loads(payload[_LENGTH.size : _LENGTH.size + n_text].decode())
    except (ValueError, RecursionError) as error:
        raise CorruptArchiveError("the labels of a chunk are not valid JSON") from error
    if not isinstance(known, list) or not 1 <= len(known) <= n_records or not all(map(_is_label, known)):
        raise CorruptArchiveError("the labels of a chunk are not a list of whole numbers and texts")
    dtype = np.dtype("u1" if len(known) <= _FEW else "<u2")
    inflate, n_bytes = zlib.decompressobj(), n_records * dtype.itemsize
    try:
        coded = inflate.decompress(payload[_LENGTH.size + n_text :], n_bytes + 1)
    except zlib.error as error:
        raise CorruptArchiveError("the labels of a chunk are damaged") from error
    positions = np.frombuffer(coded, dtype) if len(coded) == n_bytes else np.full(1, len(known))
    if not inflate.eof or inflate.unused_data or int(positions.max()) >= len(known):
        raise CorruptArchiveError("the labels of a chunk are damaged")
    return [known[position] for position in positions.tolist()]


def read_labels(source: ByteFile, metadata: Metadata, index: Index) -> list[Label] | None:
    """Return the label of each record; None for those of a chunk without labels, and altogether if there are none.

    Raises
    ------
    CorruptArchiveError
        If labels are damaged.
    """
    if not metadata.has_labels:
        return None
    labels: list[Label] = [None] * index.n_records
    entries = index.entries
    chunks = {int(entry["first"]) for entry in entries[entries["type"] == BlockType.RECORDS]}
    for entry in entries[entries["type"] == BlockType.LABELS]:
        first, n, at = int(entry["first"]), int(entry["n_records"]), int(entry["offset"])
        if first not in chunks or first + n > len(labels):
            raise CorruptArchiveError("labels in its index are those of no chunk")
        block = read_block(source, at, source.size)
        if (block.type, block.first, block.n_records) != (BlockType.LABELS, first, n):
            raise CorruptArchiveError("labels are not at their offset in the index")
        payload = read_payload(source, at, block, "its labels", min(_MOST_BYTES, source.size))
        labels[first : first + n] = parse_labels(payload, n)
    return labels


def labels_before(
    source: ByteFile, offset: int, first: int, n_records: int, index_of_labels: dict[int, int]
) -> bytes | None:
    """Return the payload of the LABELS block of a chunk, to be copied; None if there is none, or it is damaged.

    Parameters
    ----------
    offset : int
        Offset of the chunk.
    first, n_records : int
        Its records.
    index_of_labels : dict of int to int
        Offsets of LABELS blocks by their first records.
    """
    at = index_of_labels.get(first)
    if at is None or at >= offset:
        return None
    try:
        block = read_block(source, at, offset)
        if (block.type, block.first, block.n_records) != (BlockType.LABELS, first, n_records):
            return None
        payload = read_payload(source, at, block, "its labels", _MOST_BYTES)
        parse_labels(payload, n_records)
    except CorruptArchiveError:
        return None
    return payload


def problems_of_labels(source: ByteFile, scanned: list[Scanned]) -> list[Problem]:
    """Return a problem for each damaged LABELS block; it affects no record."""
    problems = []
    for offset, block, is_whole in scanned:
        if block.type != BlockType.LABELS:
            continue
        which = f"the labels of the records {block.first:,} to {block.stop - 1:,}"
        try:
            if not is_whole:
                raise CorruptArchiveError("their checksum is wrong")
            parse_labels(read_payload(source, offset, block, "its labels", _MOST_BYTES), block.n_records)
        except CorruptArchiveError as error:
            problems.append(Problem(offset, f"{which} are damaged: {error}; the records themselves are not"))
    return problems


def _is_label(value: object) -> bool:
    return value is None or isinstance(value, str) or (type(value) is int and -_LARGEST <= value < _LARGEST)
