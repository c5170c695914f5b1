"""What of a chunk's records is kept beside their code, so that they come back as exactly as asked.

::

    LINEAR, EXACT, CAUSAL
             sizes: weights, lanes, words, escapes, wild u32 each · raw bits u8 · 3 zero bytes
             weights · states u32 × lanes · words u16 × words · escapes · low bits · wild values
    ZSTD     the records' bytes, one zstd frame
    PLAIN    the records' bytes
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.entropy_models.contract import Coded
from narrows.codec.rans import MAX_LANES, MAX_ROWS, Message
from narrows.codec.residual.causal import Causal, as_image
from narrows.codec.residual.contract import MOST_COARSE, MOST_RAW_BITS, Lattice, Residual, decode, encode
from narrows.codec.residual.grid import Grid
from narrows.codec.residual.linear import Linear
from narrows.errors import CorruptArchiveError

__all__ = ["Errors", "Kept", "Kind", "give_back", "keep", "size_on_code"]

_SIZES = struct.Struct("<5IB3x")
_ZSTD_LEVEL, _QUICK_ZSTD_LEVEL = 15, 3
_HOPELESS = 1.3  # times the smallest so far, quickly compressed: then the higher level is no use
_SAMPLE_VALUES, _SAMPLE_SHARE = 1 << 16, 4  # what ways are compared on first, if it is a quarter or less
_NEARLY = 1.05  # times the smallest on a sample: then a way is tried in full
_MUCH = 0.4  # of the records' bytes: then a tight bound is worth a comparison
_MOST_VALUES = 1 << 22  # of a record that is predicted, value by value: what takes minutes


class Kind(IntEnum):
    """How it is kept."""

    LINEAR = 1
    EXACT = 2  # the same, lossless even if less was asked: a tight bound can cost more than none
    ZSTD = 3
    PLAIN = 4
    CAUSAL = 5  # as LINEAR, under the model's own network; no weights


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of some records.

    Attributes
    ----------
    kind : Kind
        How.
    needs_code : bool
        Whether it comes on top of the code; otherwise it's all there is.
    data : bytes
        What `give_back` takes.
    restored : ndarray of shape (n, *shape)
        The records as they come back.
    """

    kind: Kind
    needs_code: bool
    data: bytes
    restored: NDArray[Any]

    def n_bytes(self, n_code: int) -> int:
        """Return how many bytes it takes, with those of the code if it needs that."""
        return len(self.data) + n_code * self.needs_code


@dataclass(frozen=True)
class Errors:
    """How far off values that are finite came back.

    Attributes
    ----------
    largest : float
        The largest error, in the records' units; not below it where it has no such float.
    squared : float
        The sum of their squares.
    """

    largest: float = 0.0
    squared: float = 0.0

    @classmethod
    def of(cls, records: NDArray[Any], restored: NDArray[Any]) -> Errors:
        """Return the errors of records that came back so."""
        if records.dtype.kind == "f":
            finite = np.isfinite(records)
            with np.errstate(over="ignore"):
                distance = np.abs(records[finite].astype(np.longdouble) - restored[finite].astype(np.longdouble))
        else:
            high, low = np.maximum(records, restored), np.minimum(records, restored)
            distance = high.astype(f"u{records.itemsize}") - low.astype(f"u{records.itemsize}")
        exact = distance.max(initial=0)
        largest = float(exact)
        if largest < exact:
            largest = float(np.nextafter(largest, np.inf))
        with np.errstate(over="ignore"):
            squared = float(np.square(distance.astype(np.float64)).sum())
        return cls(min(largest, sys.float_info.max), min(squared, sys.float_info.max))

    def __add__(self, other: Errors) -> Errors:
        return Errors(max(self.largest, other.largest), min(self.squared + other.squared, sys.float_info.max))


def keep(records: NDArray[Any], decoded: NDArray[Any], n_code: int, grid: Grid, causal: Causal | None = None) -> Kept:
    """Return what brings the records back within the bound of a grid, in about as few bytes as can be.

    Of many records a sample tells first which ways of prediction are worth trying.

    Parameters
    ----------
    records : ndarray of shape (n, *shape)
        In the grid's dtype.
    decoded : ndarray of the same shape
        What comes back of the code alone.
    n_code : int
        The bytes of the code, which only what comes on top of it needs.
    grid : Grid
        What the bound is.
    causal : Causal, optional
        The model's network, where it has one.
    """
    records = np.ascontiguousarray(records)
    ways = _ways(grid, causal) if math.prod(records.shape[1:]) <= _MOST_VALUES else []
    found = [Kept(Kind.PLAIN, False, _bytes_of(records), records)]
    found += [way(records, decoded) for way in _promising(ways, records, decoded, n_code)]
    if not grid.is_lossless and min(len(kept.data) for kept in found) > records.nbytes * _MUCH:
        ways = _ways(Grid(grid.dtype, 0), None, Kind.EXACT)
        found += [way(records, decoded) for way in _promising(ways, records, decoded, n_code)]
    smallest = min(kept.n_bytes(n_code) for kept in found)
    if len(_zstd(records, _QUICK_ZSTD_LEVEL).data) < _HOPELESS * smallest:
        found.append(_zstd(records, _ZSTD_LEVEL))
    return min(found, key=lambda kept: kept.n_bytes(n_code))


def _promising(ways: list[_Way], records: NDArray[Any], decoded: NDArray[Any], n_code: int) -> list[_Way]:
    """Return the ways that are smallest on some of the records, or nearly so; all of them where there are few."""
    n_few = -(-_SAMPLE_VALUES // math.prod(records.shape[1:]))
    if n_few * _SAMPLE_SHARE > len(records):
        return ways
    some = slice(None, None, len(records) // n_few)
    few = np.ascontiguousarray(records[some])
    sizes = []
    for way in ways:
        kept = way(few, decoded[some])
        n_weights = _SIZES.unpack_from(kept.data)[0]
        sizes.append((len(kept.data) - n_weights) * len(records) / len(few) + n_weights + n_code * kept.needs_code)
    return [way for way, size in zip(ways, sizes, strict=True) if size <= _NEARLY * min(sizes)]


def _ways(grid: Grid, causal: Causal | None, kind: Kind = Kind.LINEAR) -> list[_Way]:
    """Return what is tried: linear prediction with and without a code, and the model's own network."""
    ways = [_Way(kind, has_code, grid) for has_code in (True, False)]
    return ways if causal is None else [*ways, _Way(Kind.CAUSAL, False, grid, causal)]


@dataclass(frozen=True)
class _Way:
    """A way to keep records by predicting their values."""

    kind: Kind
    needs_code: bool
    grid: Grid
    causal: Causal | None = None

    def __call__(self, records: NDArray[Any], decoded: NDArray[Any]) -> Kept:
        kept = _predicted(records, decoded if self.needs_code else None, self.grid, self.causal)
        return replace(kept, kind=self.kind)


def size_on_code(records: NDArray[Any], decoded: NDArray[Any], grid: Grid) -> int:
    """Return how many bytes records take on top of a code that comes back as decoded."""
    records = np.ascontiguousarray(records)
    if math.prod(records.shape[1:]) > _MOST_VALUES:
        return len(_zstd(records, _ZSTD_LEVEL).data)
    return len(_predicted(records, decoded, grid).data)


def give_back(
    kind: Kind,
    data: bytes,
    decoded: NDArray[Any] | None,
    grid: Grid,
    shape: tuple[int, ...],
    *,
    causal: Causal | None = None,
) -> NDArray[Any]:
    """Return the records (n, *shape) of which `keep` kept this.

    Parameters
    ----------
    kind : Kind
        How it was kept.
    data : bytes
        What was kept, or what a file claims to be that.
    decoded : ndarray of shape (n, *shape), or None
        What comes back of the code; None where there is none.
    grid : Grid
        As for `keep`.
    shape : tuple of int
        n and the shape of a record. Memory and time are in proportion to it, so bound it before you trust a file.

    Raises
    ------
    CorruptArchiveError
        It was not kept by `keep`.
    """
    n_bytes = math.prod(shape) * grid.dtype.itemsize
    if kind in {Kind.LINEAR, Kind.EXACT}:
        return _from_predicted(data, decoded, grid if kind == Kind.LINEAR else Grid(grid.dtype, 0), shape)
    if kind == Kind.CAUSAL:
        if causal is None:
            raise CorruptArchiveError("A chunk was coded under a network that the model does not have.")
        return _from_predicted(data, decoded, grid, shape, causal)
    if kind == Kind.ZSTD:
        data = _decompressed(data, n_bytes)
    if len(data) != n_bytes:
        raise CorruptArchiveError("The records kept in a chunk have another size than declared.")
    return _values_in(data, grid.dtype).reshape(shape)


# ------------------------------------------------------------------------------------------------------- predicted


def _predicted(records: NDArray[Any], decoded: NDArray[Any] | None, grid: Grid, causal: Causal | None = None) -> Kept:
    """Return records coded under linear prediction, or under a causal network."""
    shape = records.shape[1:]
    order = _order(shape, causal)
    values = _by_position(records, order)
    lattice = _lattice(values.shape, decoded, grid, order)
    q, wild = grid.steps(values, lattice.anchors)
    if wild.any():  # what stands there while others are predicted is up to us
        q[wild] = grid.steps(_filled(values, wild), lattice.anchors)[0][wild]
    units = lattice.anchors + lattice.step * q
    np.clip(units, lattice.lowest, lattice.highest, out=units)
    restored = grid.values(units)
    wild |= ~_is_within(restored, values, grid)
    restored[wild] = values[wild]
    model: Linear | Causal
    if causal is None:
        model, lattice = Linear.fit(shape, lattice, units)
        weights = model.to_bytes()
    else:
        model, weights = causal, b""
    residual = encode(model.start(lattice), q)
    wild_bytes = _pack_wild(wild, values)
    message = residual.coded.message
    sizes = (len(weights), len(message.states), len(message.words), len(residual.coded.escapes), len(wild_bytes))
    parts = (
        _SIZES.pack(*sizes, lattice.raw_bits),
        weights,
        message.states.astype("<u4").tobytes(),
        message.words.astype("<u2").tobytes(),
        residual.coded.escapes,
        residual.raw,
        wild_bytes,
    )
    kind = Kind.LINEAR if causal is None else Kind.CAUSAL
    return Kept(kind, decoded is not None, b"".join(parts), _by_record(restored, shape, order))


def _from_predicted(
    data: bytes,
    decoded: NDArray[Any] | None,
    grid: Grid,
    shape: tuple[int, ...],
    causal: Causal | None = None,
) -> NDArray[Any]:
    order = _order(shape[1:], causal)
    n_records, n_values = shape[0], math.prod(shape[1:])
    if len(data) < _SIZES.size:
        raise CorruptArchiveError("What is kept in a chunk is shorter than the head of it.")
    n_weights, n_lanes, n_words, n_escapes, n_wild, raw_bits = _SIZES.unpack_from(data)
    if (
        n_values > _MOST_VALUES
        or not 1 <= n_lanes <= MAX_LANES
        or (n_lanes < n_records and n_values * -(-n_records // n_lanes) > MAX_ROWS)
        or n_words > n_records * n_values
        or raw_bits > MOST_RAW_BITS
        or grid.step << raw_bits > MOST_COARSE
    ):
        raise CorruptArchiveError("What is kept in a chunk declares more than its records can take.")
    lengths = [n_weights, 4 * n_lanes, 2 * n_words, n_escapes, n_values * -(-n_records * raw_bits // 8), n_wild]
    if len(data) != _SIZES.size + sum(lengths):
        raise CorruptArchiveError("The sizes of what is kept in a chunk are not those of its bytes.")
    ends = (_SIZES.size + np.cumsum([0, *lengths])).tolist()
    weights, states, words, escapes, raw, wild = (data[low:high] for low, high in pairwise(ends))
    lattice = _lattice((n_values, n_records), decoded, grid, order, raw_bits)
    message = Message(np.frombuffer(states, "<u4").astype(np.uint32), np.frombuffer(words, "<u2").astype(np.uint16))
    if causal is not None and weights:
        raise CorruptArchiveError("What is kept in a chunk has weights and no use for them.")
    model = causal or Linear.from_bytes(weights, shape[1:], has_code=lattice.has_code)
    units = decode(model.start(lattice), Residual(Coded(message, escapes), raw))
    restored = grid.values(units)
    _unpack_wild(wild, restored)
    return _by_record(restored, shape[1:], order)


def _order(shape: tuple[int, ...], causal: Causal | None) -> NDArray[np.int64]:
    """Return the order in which a record's values are coded."""
    return np.arange(math.prod(shape)) if causal is None else as_image(shape)[1]


def _lattice(
    shape: tuple[int, ...],
    decoded: NDArray[Any] | None,
    grid: Grid,
    order: NDArray[np.int64],
    raw_bits: int = 0,
) -> Lattice:
    anchors = np.zeros(shape, np.int64) if decoded is None else grid.units(_by_position(decoded, order))
    return Lattice(anchors, grid.step, grid.lowest, grid.highest, decoded is not None, raw_bits)


def _by_position(records: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    """Return records (n, *shape) as (V, n), in the order in which they are coded."""
    return records.reshape(len(records), -1).T[order]


def _by_record(values: NDArray[Any], shape: tuple[int, ...], order: NDArray[np.int64]) -> NDArray[Any]:
    records = np.empty(values.shape[::-1], values.dtype)
    records[:, order] = values.T
    return records.reshape(len(records), *shape)


def _filled(values: NDArray[Any], gaps: NDArray[np.bool_]) -> NDArray[Any]:
    """Return values (V, n) with those in gaps replaced by the last before, in the same record, that is in none."""
    last = np.maximum.accumulate(np.where(gaps, 0, np.arange(len(values))[:, None]), 0)
    return np.take_along_axis(values, last, 0)


def _is_within(restored: NDArray[Any], values: NDArray[Any], grid: Grid) -> NDArray[np.bool_]:
    """Return which values come back as exactly as asked."""
    if grid.is_lossless:
        # As bits: a NaN is no other NaN, and -0 is not 0.
        same = restored.view(np.uint8) == values.view(np.uint8)
        return np.asarray(same.reshape(*values.shape, -1).all(-1))
    if grid.dtype.kind == "f":
        return grid.is_within(restored, values)
    high, low = np.maximum(restored, values), np.minimum(restored, values)
    unsigned = f"u{grid.dtype.itemsize}"
    return np.asarray(high.astype(unsigned) - low.astype(unsigned) <= np.uint64(grid.step // 2))


# ------------------------------------------------------------------------------------------------------ wild values


def _pack_wild(wild: NDArray[np.bool_], values: NDArray[Any]) -> bytes:
    """Return where the wild values (V, n) are, and their bytes; nothing if there are none."""
    places = np.flatnonzero(wild)
    if not len(places):
        return b""
    gaps = np.diff(places, prepend=0).astype("<u4")
    return zlib.compress(gaps.tobytes() + _bytes_of(values.ravel()[places]), 9)


def _unpack_wild(data: bytes, values: NDArray[Any]) -> None:
    """Put wild values where they belong, in place."""
    if not data:
        return
    each = 4 + values.itemsize
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data, each * values.size + 1)
    except zlib.error as error:
        raise CorruptArchiveError("The values that a chunk keeps as they are, are damaged.") from error
    n = len(plain) // each
    gaps = np.frombuffer(plain, "<u4", n).astype(np.int64)
    is_whole = inflate.eof and not inflate.unused_data and n > 0 and len(plain) == n * each
    if not is_whole or (gaps[1:] == 0).any() or int(gaps.sum()) >= values.size:
        raise CorruptArchiveError("The values that a chunk keeps as they are, are damaged.")
    values.ravel()[np.cumsum(gaps)] = _values_in(plain[4 * n :], values.dtype)


# ------------------------------------------------------------------------------------------------------------ bytes


def _bytes_of(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def _values_in(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the values in `_bytes_of`; whatever byte is not 0 is true."""
    return np.frombuffer(data, dtype.newbyteorder("<") if dtype.kind != "b" else np.uint8).astype(dtype)


def _zstd(records: NDArray[Any], level: int) -> Kept:
    import zstandard

    data = zstandard.ZstdCompressor(level=level).compress(_bytes_of(records))
    return Kept(Kind.ZSTD, False, data, records)


def _decompressed(data: bytes, n_bytes: int) -> bytes:
    import zstandard

    try:
        if zstandard.frame_content_size(data) != n_bytes:
            raise CorruptArchiveError("The records kept in a chunk have another size than declared.")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=n_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptArchiveError("The records kept in a chunk are damaged.") from error
