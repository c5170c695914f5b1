"""Coding of a chunk with a causal network in groups of records, each a message of its own, which are decoded alone.

::

    bytes of a length u8, 1, 2 or 4 · parts u8 · 2 zero bytes
    the numbers of words of all groups · bytes of escapes of all groups, if part 1 · bytes of exceptions, if part 2
    for each group: state u32 · words u16 × words · escapes · exceptions
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import rans
from narrows.codec.entropy_models.contract import Coded
from narrows.codec.rans import MAX_ROWS, Message
from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.contract import Intervals, Residual, decode, pack_escapes
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.exceptions import pack_exceptions, unpack_exceptions
from narrows.codec.residual.mixture import PRECISION
from narrows.codec.residual.predicted import MOST_VALUES, by_record, coding_order, lattice_of, steps_of
from narrows.errors import CorruptArchiveError

__all__ = ["GROUP_BYTES", "decode_groups", "encode_groups"]

GROUP_BYTES = 6
"""What a group takes besides its records: its state, and mostly two bytes for the number of its words."""

_HEADER = struct.Struct("<BB2x")
_ESCAPES, _EXCEPTIONS = 1, 2  # bits of the parts that groups have besides states and words
_LENGTHS: dict[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4")}
_STATE_BYTES, _WORD_BYTES = 4, 2
_ESCAPE_START = (1 << PRECISION) - 1  # start of the last place of every mixture


def encode_groups(
    records: NDArray[Any],
    decoded: NDArray[Any] | None,
    grid: ErrorBound,
    causal: FrozenCausal,
    group_records: int,
) -> CodedResidual:
    """Encode records with a causal network, in groups.

    Parameters
    ----------
    records, decoded, grid, causal
        As for `encode_predicted`.
    group_records : int
        The number of records of a group; the last may have fewer.

    Returns
    -------
    coded : CodedResidual
        The coded records.
    """
    steps = steps_of(records, decoded, causal.grid_of(grid), causal)
    found = causal.start(steps.lattice).intervals(steps.q)
    is_escaped = found.starts == _ESCAPE_START
    escapes = np.zeros(steps.q.shape, np.int64)
    escapes[is_escaped] = found.escapes
    bodies, lengths = [], []
    for first in range(0, len(records), group_records):
        group = slice(first, first + group_records)
        message = _message(found, group)
        packed = (
            pack_escapes(escapes[:, group][is_escaped[:, group]]),
            pack_exceptions(steps.is_exception[:, group], steps.values[:, group]),
        )
        lengths.append((len(message.words), *map(len, packed)))
        bodies.append(message.states.astype("<u4").tobytes() + message.words.astype("<u2").tobytes() + b"".join(packed))
    kind = Kind.CAUSAL_GROUPS if causal.levels is None else Kind.CAUSAL_LEVELS_GROUPS
    data = _pack_lengths(np.array(lengths)) + b"".join(bodies)
    return CodedResidual(kind, decoded is not None, data, steps.restored)


def decode_groups(
    data: bytes,
    decoded: NDArray[Any] | None,
    grid: ErrorBound,
    shape: tuple[int, ...],
    *,
    causal: FrozenCausal,
    group_records: int,
    records: slice,
) -> NDArray[Any]:
    """Decode some groups of `encode_groups`.

    Parameters
    ----------
    data : bytes
        The coded records; they may come from an untrusted file.
    decoded : ndarray of shape (m, *shape), or None
        The model's output for the code of the wanted records.
    grid, causal, group_records
        As for `encode_groups`.
    shape : tuple of int
        The number of all records of the chunk, and the shape of a record.
    records : slice
        The wanted records: whole groups.

    Returns
    -------
    records : ndarray of shape (m, *shape)
        The records.

    Raises
    ------
    CorruptArchiveError
        If `encode_groups` does not produce this data for records of this shape.
    """
    grid, order = causal.grid_of(grid), coding_order(shape[1:], causal)
    n_values = len(order)
    if n_values > MOST_VALUES or n_values * min(group_records, shape[0]) > MAX_ROWS:
        raise CorruptArchiveError("The residual of a chunk has groups of more values than are allowed.")
    lengths, start = _parse_lengths(data, -(-shape[0] // group_records), group_records * n_values)
    sizes = lengths @ (_WORD_BYTES, 1, 1) + _STATE_BYTES
    starts = start + np.cumsum([0, *sizes])
    if len(data) != starts[-1]:
        raise CorruptArchiveError(f"The residual of a chunk declares {starts[-1]:,} bytes. Got {len(data):,}.")
    restored = np.empty((records.stop - records.start, *shape[1:]), grid.dtype)
    for first in range(records.start, records.stop, group_records):
        number, stop = first // group_records, min(first + group_records, records.stop)
        place = slice(first - records.start, stop - records.start)
        body = data[starts[number] : starts[number + 1]]
        lattice = lattice_of((n_values, stop - first), None if decoded is None else decoded[place], grid, order)
        state, words, escapes, exceptions = _parts(body, lengths[number])
        residual = Residual(Coded(Message(state, words), escapes), b"")
        values = grid.values(decode(causal.start(lattice), residual))
        unpack_exceptions(exceptions, values)
        restored[place] = by_record(values, shape[1:], order)
    return restored


def _message(found: Intervals, group: slice) -> Message:
    parts = (np.ascontiguousarray(part[:, group]) for part in (found.starts, found.frequencies))
    return rans.encode(*parts, n_lanes=1, precision=PRECISION)


def _pack_lengths(lengths: NDArray[np.int64]) -> bytes:
    """Return the header and the lengths (groups, 3) of words, escapes and exceptions."""
    width = next(width for width in _LENGTHS if lengths.max(initial=0) < 1 << 8 * width)
    parts = [bit for bit, column in ((_ESCAPES, 1), (_EXCEPTIONS, 2)) if lengths[:, column].any()]
    columns = lengths[:, [0, *parts]]  # the bits of parts are their columns
    return _HEADER.pack(width, sum(parts)) + columns.T.astype(_LENGTHS[width]).tobytes()


def _parse_lengths(data: bytes, n_groups: int, most_words: int) -> tuple[NDArray[np.int64], int]:
    """Return the lengths (groups, 3), and the number of bytes of header and lengths."""
    width, parts = _HEADER.unpack_from(data) if len(data) >= _HEADER.size else (0, 0)
    if width not in _LENGTHS or parts > _ESCAPES + _EXCEPTIONS:
        raise CorruptArchiveError("The residual of a chunk has no valid header of groups.")
    columns = [0, *(bit for bit in (_ESCAPES, _EXCEPTIONS) if parts & bit)]
    stop = _HEADER.size + width * n_groups * len(columns)
    if len(data) < stop:
        raise CorruptArchiveError(
            f"The residual of a chunk has {len(data):,} bytes, fewer than its {n_groups:,} groups."
        )
    lengths = np.zeros((n_groups, 3), np.int64)
    stored = np.frombuffer(data, _LENGTHS[width], n_groups * len(columns), _HEADER.size)
    lengths[:, columns] = stored.reshape(len(columns), n_groups).T
    if lengths[:, 0].max(initial=0) > most_words:
        raise CorruptArchiveError("The residual of a chunk declares sizes that are not allowed for its records.")
    return lengths, stop


def _parts(body: bytes, lengths: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.uint16], bytes, bytes]:
    """Return state, words, escapes and exceptions of a group."""
    n_words, n_escapes, n_exceptions = lengths.tolist()
    ends = np.cumsum([0, _STATE_BYTES, _WORD_BYTES * n_words, n_escapes, n_exceptions]).tolist()
    state, words, escapes, exceptions = (body[low:high] for low, high in pairwise(ends))
    return (
        np.frombuffer(state, "<u4").astype(np.uint32),
        np.frombuffer(words, "<u2").astype(np.uint16),
        escapes,
        exceptions,
    )
