"""Sequences of whole numbers as few bytes: `fields.leb128`, compressed with Zstandard where that is shorter."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.leb128 import NumberReader, pack_number, pack_signed
from narrows.errors import CorruptArchiveError

__all__ = ["pack_bytes", "pack_signed_numbers", "take_bytes", "take_signed_numbers"]

_LEVEL, _PLAIN, _ZSTANDARD = 19, 0, 1
_MOST_BYTES = 1 << 30
_DIGITS_OF_63_BITS = 9
_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1


def pack_bytes(data: bytes) -> bytes:
    """Return bytes behind their length, compressed if that is shorter."""
    import zstandard

    small = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
    if len(small) + len(pack_number(len(data))) >= len(data):
        return bytes((_PLAIN,)) + pack_number(len(data)) + data
    return bytes((_ZSTANDARD,)) + pack_number(len(data)) + pack_number(len(small)) + small


def take_bytes(reader: NumberReader, most: int = _MOST_BYTES) -> bytes:
    """Return the bytes of `pack_bytes`, at most ``most``.

    Raises
    ------
    CorruptArchiveError
        If they are damaged.
    """
    import zstandard

    way, n = reader.number(_PLAIN, _ZSTANDARD), reader.number(0, most)
    if way == _PLAIN:
        return reader.take(n)
    try:
        small = reader.take(reader.number(0, most))
        found: bytes = zstandard.ZstdDecompressor().decompress(small, max_output_size=n, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptArchiveError(f"Compressed numbers are damaged: {error}.") from error
    if len(found) != n:
        raise CorruptArchiveError(f"Compressed numbers have {len(found):,} bytes and declare {n:,}.")
    return found


def pack_signed_numbers(numbers: Iterable[int]) -> bytes:
    """Return whole numbers behind their count."""
    packed = [pack_signed(int(number)) for number in numbers]
    return pack_number(len(packed)) + pack_bytes(b"".join(packed))


def take_signed_numbers(reader: NumberReader, most: int, lowest: int = _LOWEST, highest: int = _HIGHEST) -> list[int]:
    """Return the numbers of `pack_signed_numbers`, at most ``most``, each within its limits.

    Raises
    ------
    CorruptArchiveError
        If they are damaged.
    """
    n = reader.number(0, most)
    data = take_bytes(reader, 10 * n)
    if (found := _all_signed(data, n)) is not None and (not n or (found.min() >= lowest and found.max() <= highest)):
        whole: list[int] = found.tolist()
        return whole
    inner = NumberReader(data)
    numbers = [inner.signed(lowest, highest) for _ in range(n)]
    if inner.rest:
        raise CorruptArchiveError(f"{n:,} numbers are followed by {len(inner.rest):,} bytes too many.")
    return numbers


def _all_signed(data: bytes, n: int) -> NDArray[np.int64] | None:
    """Return the n numbers of `pack_signed` in data; None if there are others, or some have more than 63 bits."""
    digits = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(digits < 128) + 1
    if len(ends) != n or (n and ends[-1] != len(digits)):
        return None
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64) if n else ends
    lengths = ends - starts
    if not n or lengths.max() > _DIGITS_OF_63_BITS:
        return None if len(digits) else np.zeros(0, np.int64)
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    found = np.add.reduceat((digits & 127).astype(np.int64) << 7 * places, starts)
    return found >> 1 ^ -(found & 1)
