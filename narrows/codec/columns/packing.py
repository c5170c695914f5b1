"""Sequences of whole numbers as few bytes: `fields.leb128`, compressed with Zstandard where that is shorter."""

from __future__ import annotations

from collections.abc import Iterable

from narrows.codec.fields.leb128 import NumberReader, pack_number, pack_signed
from narrows.errors import CorruptArchiveError

__all__ = ["pack_bytes", "pack_signed_numbers", "take_bytes", "take_signed_numbers"]

_LEVEL, _PLAIN, _ZSTANDARD = 19, 0, 1
_MOST_BYTES = 1 << 30
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
    inner = NumberReader(take_bytes(reader, 10 * n))
    numbers = [inner.signed(lowest, highest) for _ in range(n)]
    if inner.rest:
        raise CorruptArchiveError(f"{n:,} numbers are followed by {len(inner.rest):,} bytes too many.")
    return numbers
