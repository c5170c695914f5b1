"""How many records a chunk has, and a group of records within it."""

from __future__ import annotations

import math

from narrows.archive.layout import (
    CRC_BYTES,
    GROUP_RECORDS,
    MAX_CHUNK_BYTES,
    MAX_CHUNK_RECORDS,
    MAX_CHUNK_SYMBOLS,
)
from narrows.codec.rans import MAX_ROWS
from narrows.codec.residual.grouped import GROUP_BYTES

__all__ = [
    "MOST_BOUNDED_VALUES",
    "bounded_chunk_records",
    "coded_group_records",
    "default_chunk_records",
    "default_group_records",
    "most_chunk_records",
]

MOST_BOUNDED_VALUES = 1 << 24
"""The largest number of values of a chunk of several records with a residual."""

_USUAL_CHUNK_RECORDS = 1 << 14
_USUAL_CHUNK_BYTES = 32 << 20
_USUAL_CHUNK_SYMBOLS = 3 << 17  # decoded in a tenth of a second, the time to read one record
_MOST_CHUNK_SYMBOLS = 1 << 23
_BOUNDED_VALUES = 1 << 18  # of which all must be decoded to read one record, in about thirty milliseconds
_LOSSLESS_WORK = 640_000_000  # multiplications to read one record with a causal network, in about ten milliseconds
_BOUNDED_WORK = 1_280_000_000  # the same within a bound, where records take fewer bytes
_WORK_OF_MIXTURE = 6144  # to decode a value with the outputs of the network, in multiplications
_MOST_OVERHEAD = 0.01  # share of the fixed bytes of a group
_FEWEST_CHUNK_RECORDS = 1 << 11  # except for large records, to limit the overhead of chunks
_MANY_SYMBOLS = 128


def bounded_chunk_records(n_values: int, n_symbols: int, *, in_groups: bool = False) -> int:
    """Return the number of records of a chunk with a residual: at most 4,096, with at most 2^18 values if possible.

    To read one record, all of its chunk is decoded. If a causal network codes groups of records, only its group is, and
    a chunk has twice as many values.

    Examples
    --------
    >>> bounded_chunk_records(784, 32), bounded_chunk_records(140, 8), bounded_chunk_records(1 << 20, 1024)
    (256, 1792, 1)
    >>> bounded_chunk_records(784, 32, in_groups=True)
    512
    """
    n, group = (_BOUNDED_VALUES << in_groups) // n_values, default_group_records(n_symbols)
    return max(1, min(4096, n - n % group if n > group else n, MAX_CHUNK_SYMBOLS // n_symbols))


def coded_group_records(n_values: int, work: int, *, is_lossless: bool, coded_bytes: float = math.inf) -> int:
    """Return the number of records of a group that a causal network codes: a power of two, at most 256.

    ``work`` is the number of multiplications for a value. Groups are so small that a record is read in about ten
    milliseconds, twenty within a bound, but so large that their fixed bytes are at most 1 % if a record takes
    ``coded_bytes``.

    Examples
    --------
    >>> coded_group_records(784, 9088, is_lossless=True), coded_group_records(3072, 9984, is_lossless=True)
    (32, 8)
    >>> [coded_group_records(784, 9088, is_lossless=False, coded_bytes=n) for n in (60, 15, 5)]
    [64, 128, 256]
    """
    quick = (_LOSSLESS_WORK if is_lossless else _BOUNDED_WORK) // (n_values * (work + _WORK_OF_MIXTURE))
    enough = math.ceil((CRC_BYTES + GROUP_BYTES) / (_MOST_OVERHEAD * max(coded_bytes, 1)))
    n = max(1 << max(quick, 1).bit_length() - 1, 1 << (enough - 1).bit_length())
    most = max(1, min(GROUP_RECORDS[-1], MAX_ROWS // n_values))
    return min(n, 1 << most.bit_length() - 1)


def default_chunk_records(record_bytes: int, n_symbols: int) -> int:
    """Return the number of records of a chunk: those of 393,216 symbols, within 2,048 to 16,384, and at most 32 MiB.

    Examples
    --------
    >>> default_chunk_records(784, 32), default_chunk_records(784, 392), default_chunk_records(1 << 28, 1024)
    (12288, 2048, 1)
    """
    n = max(_USUAL_CHUNK_SYMBOLS // n_symbols, min(_FEWEST_CHUNK_RECORDS, _MOST_CHUNK_SYMBOLS // n_symbols))
    return max(1, min(_USUAL_CHUNK_RECORDS, _USUAL_CHUNK_BYTES // record_bytes, n))


def most_chunk_records(n_values: int, value_bytes: int, n_symbols: int, *, is_bounded: bool) -> int:
    """Return the largest number of records that a chunk may have, by the limits of the format.

    Examples
    --------
    >>> most_chunk_records(784, 1, 32, is_bounded=True), most_chunk_records(4, 1, 4, is_bounded=False)
    (21399, 65536)
    """
    most = min(MAX_CHUNK_RECORDS, MAX_CHUNK_BYTES // (n_values * value_bytes), MAX_CHUNK_SYMBOLS // n_symbols)
    return max(1, min(most, MOST_BOUNDED_VALUES // n_values) if is_bounded else most)


def default_group_records(n_symbols: int) -> int:
    """Return the number of records that share a checksum: 64 for records of 128 symbols or more, otherwise 256.

    Reading one record decodes its whole group. Codes of many symbols are mostly maps, whose decoders are slow and which
    are so large that a checksum for each 64 records adds less than 0.3 %.

    Examples
    --------
    >>> default_group_records(32), default_group_records(392)
    (256, 64)
    """
    return 64 if n_symbols >= _MANY_SYMBOLS else 256
