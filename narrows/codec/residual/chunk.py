"""Coding of a chunk's records within an error bound, by the method that takes the fewest bytes.

::

    LINEAR, EXACT, CAUSAL, CAUSAL_LEVELS
             each value is predicted: see `narrows.codec.residual.predicted`
    CAUSAL_GROUPS, CAUSAL_LEVELS_GROUPS
             the same in groups of records: see `narrows.codec.residual.grouped`
    BYTES    texts are coded by `narrows.codec.text`
    ZSTD     the records' bytes as one zstd frame
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
from narrows.codec.residual.grouped import decode_groups, encode_groups
from narrows.codec.residual.predicted import MOST_VALUES, decode_predicted, encode_predicted
from narrows.codec.residual.value_bytes import pack_values, unpack_values
from narrows.codec.text.chunk import are_texts, decode_texts, encode_texts
from narrows.errors import CorruptArchiveError

__all__ = ["decode_chunk", "encode_chunk", "encode_exactly", "size_on_code"]

_ZSTD_LEVEL, _QUICK_ZSTD_LEVEL = 15, 3
_HOPELESS = 1.3  # the high zstd level is tried if the quick one is below this multiple of the smallest size so far
_SAMPLE_VALUES, _SAMPLE_SHARE = 1 << 15, 4  # size of the sample; used if it is at most a quarter of the records
_LEAST_VALUES = 1 << 12  # of a sample, if there is a causal network, which is mostly much better or much worse
_NEARLY = 1.05  # methods within this multiple of the smallest size on the sample are tried on all records
_MUCH = 0.4  # lossless coding is also tried if the smallest size exceeds this share of the records' bytes


def encode_chunk(
    records: NDArray[Any],
    decoded: NDArray[Any],
    n_code: int,
    grid: ErrorBound,
    causal: FrozenCausal | None = None,
    *,
    group_records: int | None = None,
) -> CodedResidual:
    """Encode records within an error bound, in nearly the fewest bytes.

    For many records, a sample decides which methods of prediction are tried on all of them.

    Parameters
    ----------
    records : ndarray of shape (n, *shape)
        The records, in the bound's dtype.
    decoded : ndarray of the same shape
        The model's output for the code.
    n_code : int
        Size of the code in bytes; it is added to methods that need the code.
    grid : ErrorBound
        The bound.
    causal : FrozenCausal, optional
        The model's causal network.
    group_records : int, optional
        The number of records of a group, each of which is decoded alone if the network predicts it; None: no groups.

    Returns
    -------
    coded : CodedResidual
        The smallest coded form that was found.
    """
    records = np.ascontiguousarray(records)
    if are_texts(records):
        coded = CodedResidual(Kind.BYTES, False, encode_texts(records), records)
        return min(coded, *encode_exactly(records, len(coded.data)), key=lambda one: len(one.data))
    ways = _ways(grid, causal, group_records) if math.prod(records.shape[1:]) <= MOST_VALUES else []
    found = [_plain(records)]
    found += [way(records, decoded) for way in _promising(ways, records, decoded, n_code)]
    if not grid.is_lossless and min(len(coded.data) for coded in found) > records.nbytes * _MUCH:
        ways = _linear_ways(ErrorBound(grid.dtype, 0), Kind.EXACT)
        found += [way(records, decoded) for way in _promising(ways, records, decoded, n_code)]
    found += encode_exactly(records, min(coded.n_bytes(n_code) for coded in found))[1:]
    return min(found, key=lambda coded: coded.n_bytes(n_code))


def encode_exactly(records: NDArray[Any], smallest: float) -> list[CodedResidual]:
    """Return records without compression and, if it may be smaller than the smallest size so far, by zstd."""
    found = [_plain(records)]
    if len(_zstd(records, _QUICK_ZSTD_LEVEL).data) < _HOPELESS * min(smallest, records.nbytes):
        found.append(_zstd(records, _ZSTD_LEVEL))
    return found


def _promising(ways: list[_Way], records: NDArray[Any], decoded: NDArray[Any], n_code: int) -> list[_Way]:
    """Return the methods that take nearly the fewest bytes on a sample of the records; all if there are few records."""
    n_values = math.prod(records.shape[1:])
    n_sample = -(-_SAMPLE_VALUES // n_values)
    if any(way.causal is not None for way in ways):
        n_sample = max(-(-_LEAST_VALUES // n_values), min(n_sample, len(records) // _SAMPLE_SHARE))
    if n_sample * _SAMPLE_SHARE > len(records):
        return ways
    some = slice(None, None, len(records) // n_sample)
    sample = np.ascontiguousarray(records[some])
    sizes = []
    for way in ways:
        coded = way(sample, decoded[some])
        changing = (len(coded.data) - coded.n_weights) * len(records) / len(sample)
        sizes.append(changing + coded.n_weights + n_code * coded.needs_code)
    return [way for way, size in zip(ways, sizes, strict=True) if size <= _NEARLY * min(sizes)]


def _ways(grid: ErrorBound, causal: FrozenCausal | None, group_records: int | None) -> list[_Way]:
    """Return the methods to try: linear prediction with and without the code, and the model's causal network."""
    ways = _linear_ways(grid, Kind.LINEAR)
    return ways if causal is None else [*ways, _Way(None, False, grid, causal, group_records)]


def _linear_ways(grid: ErrorBound, kind: Kind) -> list[_Way]:
    return [_Way(kind, has_code, grid) for has_code in (True, False)]


@dataclass(frozen=True)
class _Way:
    """A method of coding records by predicting their values; `kind` is that of a linear prediction."""

    kind: Kind | None
    needs_code: bool
    grid: ErrorBound
    causal: FrozenCausal | None = None
    group_records: int | None = None

    def __call__(self, records: NDArray[Any], decoded: NDArray[Any]) -> CodedResidual:
        code = decoded if self.needs_code else None
        if self.causal is not None and self.group_records is not None:
            return encode_groups(records, code, self.grid, self.causal, self.group_records)
        coded = encode_predicted(records, code, self.grid, self.causal)
        return coded if self.kind is None else replace(coded, kind=self.kind)


def size_on_code(records: NDArray[Any], decoded: NDArray[Any], grid: ErrorBound) -> int:
    """Return the size in bytes of the residual of records, given the model's output ``decoded`` for their code."""
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
    group_records: int | None = None,
    records: slice | None = None,
) -> NDArray[Any]:
    """Decode the records (n, *shape) of `encode_chunk`.

    Parameters
    ----------
    kind : Kind
        The method of coding.
    data : bytes
        The coded records; they may come from an untrusted file.
    decoded : ndarray of shape (n, *shape), or None
        The model's output for the code of the wanted records; None without a code.
    grid, group_records
        As for `encode_chunk`.
    shape : tuple of int
        n and the shape of a record. Memory and time grow with it, so bound it before you trust a file.
    causal : FrozenCausal, optional
        The model's causal network.
    records : slice, optional
        The wanted records, whole groups, if the kind has groups; by default, and for other kinds always, all of them.

    Returns
    -------
    records : ndarray of shape (m, *shape)
        The wanted records within the bound.

    Raises
    ------
    CorruptArchiveError
        If `encode_chunk` does not produce this data for records of this shape.
    """
    n_bytes = math.prod(shape) * grid.dtype.itemsize
    if kind in {Kind.LINEAR, Kind.EXACT}:
        return decode_predicted(data, decoded, grid if kind == Kind.LINEAR else ErrorBound(grid.dtype, 0), shape)
    if kind.uses_network:
        network = _network_for(kind, causal, has_code=decoded is not None)
        if not kind.has_groups:
            return decode_predicted(data, decoded, grid, shape, network)
        if group_records is None:
            raise CorruptArchiveError("A chunk is coded in groups of records, but its archive declares none.")
        wanted = slice(0, shape[0]) if records is None else records
        groups: dict[str, Any] = {"causal": network, "group_records": group_records, "records": wanted}
        return decode_groups(data, decoded, grid, shape, **groups)
    if kind == Kind.BYTES:
        return decode_texts(data, shape)
    if kind == Kind.ZSTD:
        data = _decompressed(data, n_bytes)
    if len(data) != n_bytes:
        raise CorruptArchiveError(f"The records of a chunk must take {n_bytes:,} bytes. Got {len(data):,}.")
    return unpack_values(data, grid.dtype).reshape(shape)


def _network_for(kind: Kind, causal: FrozenCausal | None, *, has_code: bool) -> FrozenCausal:
    """Return the network of a kind; raises CorruptArchiveError if the model has none for it."""
    if causal is None:
        raise CorruptArchiveError("A chunk is coded with a causal network, but the model has none.")
    if kind.has_levels != (causal.levels is not None) or (kind.has_levels and has_code):
        raise CorruptArchiveError("A chunk is coded with a causal network of another kind than that of the model.")
    return causal


def _plain(records: NDArray[Any]) -> CodedResidual:
    return CodedResidual(Kind.PLAIN, False, pack_values(records), records)


def _zstd(records: NDArray[Any], level: int) -> CodedResidual:
    import zstandard

    data = zstandard.ZstdCompressor(level=level).compress(pack_values(records))
    return CodedResidual(Kind.ZSTD, False, data, records)


def _decompressed(data: bytes, n_bytes: int) -> bytes:
    import zstandard

    try:
        if (found := zstandard.frame_content_size(data)) != n_bytes:
            raise CorruptArchiveError(f"The records of a chunk must take {n_bytes:,} bytes. Got {found:,}.")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=n_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptArchiveError("The records of a chunk are damaged: zstd cannot decompress them.") from error
