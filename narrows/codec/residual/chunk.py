"""Coding a chunk's records within a bound on the error, in the way that takes the fewest bytes.

::

    LINEAR, EXACT, CAUSAL
             each value predicted: see `narrows.codec.residual.predicted`
    ZSTD     the records' bytes, one zstd frame
    PLAIN    the records' bytes
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.predicted import MOST_VALUES, SIZES, decode_predicted, encode_predicted
from narrows.codec.residual.value_bytes import pack_values, unpack_values
from narrows.errors import CorruptArchiveError

__all__ = ["decode_chunk", "encode_chunk", "size_on_code"]

_ZSTD_LEVEL, _QUICK_ZSTD_LEVEL = 15, 3
_HOPELESS = 1.3  # times the smallest so far, quickly compressed: then the higher level is no use
_SAMPLE_VALUES, _SAMPLE_SHARE = 1 << 16, 4  # what ways are compared on first, if it is a quarter or less
_NEARLY = 1.05  # times the smallest on a sample: then a way is tried in full
_MUCH = 0.4  # of the records' bytes: then a tight bound is worth a comparison


def encode_chunk(
    records: NDArray[Any], decoded: NDArray[Any], n_code: int, grid: ErrorBound, causal: FrozenCausal | None = None
) -> CodedResidual:
    """Return records coded within the bound of a grid, in nearly the fewest bytes.

    Where there are many records, a sample decides which ways of prediction are tried on all of them.

    Parameters
    ----------
    records : ndarray of shape (n, *shape)
        In the grid's dtype.
    decoded : ndarray of the same shape
        What the model restores from the code alone.
    n_code : int
        The bytes of the code; they count where the coded records need it.
    grid : ErrorBound
        The values within the bound.
    causal : FrozenCausal, optional
        The model's network for exact values.
    """
    records = np.ascontiguousarray(records)
    ways = _ways(grid, causal) if math.prod(records.shape[1:]) <= MOST_VALUES else []
    found = [CodedResidual(Kind.PLAIN, False, pack_values(records), records)]
    found += [way(records, decoded) for way in _promising(ways, records, decoded, n_code)]
    if not grid.is_lossless and min(len(coded.data) for coded in found) > records.nbytes * _MUCH:
        ways = _ways(ErrorBound(grid.dtype, 0), None, Kind.EXACT)
        found += [way(records, decoded) for way in _promising(ways, records, decoded, n_code)]
    smallest = min(coded.n_bytes(n_code) for coded in found)
    if len(_zstd(records, _QUICK_ZSTD_LEVEL).data) < _HOPELESS * smallest:
        found.append(_zstd(records, _ZSTD_LEVEL))
    return min(found, key=lambda coded: coded.n_bytes(n_code))


def _promising(ways: list[_Way], records: NDArray[Any], decoded: NDArray[Any], n_code: int) -> list[_Way]:
    """Return the ways that take nearly the fewest bytes on a sample of the records; all where records are few."""
    n_few = -(-_SAMPLE_VALUES // math.prod(records.shape[1:]))
    if n_few * _SAMPLE_SHARE > len(records):
        return ways
    some = slice(None, None, len(records) // n_few)
    few = np.ascontiguousarray(records[some])
    sizes = []
    for way in ways:
        coded = way(few, decoded[some])
        n_weights = SIZES.unpack_from(coded.data)[0]
        sizes.append((len(coded.data) - n_weights) * len(records) / len(few) + n_weights + n_code * coded.needs_code)
    return [way for way, size in zip(ways, sizes, strict=True) if size <= _NEARLY * min(sizes)]


def _ways(grid: ErrorBound, causal: FrozenCausal | None, kind: Kind = Kind.LINEAR) -> list[_Way]:
    """Return the ways to try: linear prediction with and without the code, and the model's network."""
    ways = [_Way(kind, has_code, grid) for has_code in (True, False)]
    return ways if causal is None else [*ways, _Way(Kind.CAUSAL, False, grid, causal)]


@dataclass(frozen=True)
class _Way:
    """A way to code records by predicting their values."""

    kind: Kind
    needs_code: bool
    grid: ErrorBound
    causal: FrozenCausal | None = None

    def __call__(self, records: NDArray[Any], decoded: NDArray[Any]) -> CodedResidual:
        coded = encode_predicted(records, decoded if self.needs_code else None, self.grid, self.causal)
        return replace(coded, kind=self.kind)


def size_on_code(records: NDArray[Any], decoded: NDArray[Any], grid: ErrorBound) -> int:
    """Return the bytes that records take besides their code, from which the model restores ``decoded``."""
    records = np.ascontiguousarray(records)
    if math.prod(records.shape[1:]) > MOST_VALUES:
        return len(_zstd(records, _ZSTD_LEVEL).data)
    return len(encode_predicted(records, decoded, grid).data)


def decode_chunk(
    kind: Kind,
    data: bytes,
    decoded: NDArray[Any] | None,
    grid: ErrorBound,
    shape: tuple[int, ...],
    *,
    causal: FrozenCausal | None = None,
) -> NDArray[Any]:
    """Return the records (n, *shape) that `encode_chunk` coded.

    Parameters
    ----------
    kind : Kind
        How they are coded.
    data : bytes
        The coded records, not trusted.
    decoded : ndarray of shape (n, *shape), or None
        What the model restores from the code; None without a code.
    grid : ErrorBound
        As for `encode_chunk`.
    shape : tuple of int
        n and the shape of a record. Memory and time grow with it, so bound it before you trust a file.

    Raises
    ------
    CorruptArchiveError
        If the data are not those of `encode_chunk` for records of this shape.
    """
    n_bytes = math.prod(shape) * grid.dtype.itemsize
    if kind in {Kind.LINEAR, Kind.EXACT}:
        return decode_predicted(data, decoded, grid if kind == Kind.LINEAR else ErrorBound(grid.dtype, 0), shape)
    if kind == Kind.CAUSAL:
        if causal is None:
            raise CorruptArchiveError("A chunk was coded under a network that the model does not have.")
        return decode_predicted(data, decoded, grid, shape, causal)
    if kind == Kind.ZSTD:
        data = _decompressed(data, n_bytes)
    if len(data) != n_bytes:
        raise CorruptArchiveError("The records kept in a chunk have another size than declared.")
    return unpack_values(data, grid.dtype).reshape(shape)


def _zstd(records: NDArray[Any], level: int) -> CodedResidual:
    import zstandard

    data = zstandard.ZstdCompressor(level=level).compress(pack_values(records))
    return CodedResidual(Kind.ZSTD, False, data, records)


def _decompressed(data: bytes, n_bytes: int) -> bytes:
    import zstandard

    try:
        if zstandard.frame_content_size(data) != n_bytes:
            raise CorruptArchiveError("The records kept in a chunk have another size than declared.")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=n_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptArchiveError("The records kept in a chunk are damaged.") from error
