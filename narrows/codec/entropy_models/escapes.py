"""Bytes of escaped symbols, which are not in their tables.

A symbol s is mapped to 2·s (s ≥ 0) or -2·s - 1 (s < 0) (zigzag). The result is written in base 128, lowest digit
first, one digit per byte, with the highest bit set in all bytes but the last (LEB128): one byte for -64..63, at most
three for any symbol.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.errors import CorruptArchiveError

__all__ = ["MAX_SYMBOL", "Escapes", "pack", "packed_bytes", "unpack"]

MAX_SYMBOL = 32767
"""Symbols are within -32767 … 32767."""

_MAX_BYTES = 3  # of a symbol


def pack(symbols: NDArray[np.int32]) -> bytes:
    """Return the bytes of symbols of shape (n,)."""
    zigzag = _zigzag(symbols)
    digits = zigzag[:, None] >> np.array([0, 7, 14])
    more = digits >> 7 > 0
    written = np.concatenate([np.ones((len(symbols), 1), np.bool_), more[:, :-1]], axis=1)
    return bytes(((digits & 127) | (more << 7)).astype(np.uint8)[written])


def packed_bytes(symbols: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the number of bytes of each of the symbols (n,)."""
    zigzag = _zigzag(symbols)
    return 1 + (zigzag >= 1 << 7).astype(np.int64) + (zigzag >= 1 << 14)


def unpack(data: bytes) -> NDArray[np.int32]:
    """Return the symbols of `pack`; raises CorruptArchiveError if `pack` does not produce these bytes."""
    values = np.frombuffer(data, np.uint8).astype(np.int64)
    ends = np.flatnonzero(values < 128)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    lengths = ends - starts + 1
    if len(values) and (not len(ends) or ends[-1] != len(values) - 1 or lengths.max() > _MAX_BYTES):
        raise CorruptArchiveError("The escaped symbols of a coded message are damaged or truncated.")
    if np.any((values[ends] == 0) & (lengths > 1)):
        raise CorruptArchiveError("The escaped symbols of a coded message take more bytes than necessary.")
    within = np.arange(len(values)) - np.repeat(starts, lengths)
    zigzag = np.add.reduceat((values & 127) << (7 * within), starts) if len(starts) else values
    if np.any(zigzag > 2 * MAX_SYMBOL):
        raise CorruptArchiveError(f"An escaped symbol of a coded message is beyond ±{MAX_SYMBOL}.")
    return np.where(zigzag & 1, -(zigzag + 1) // 2, zigzag // 2).astype(np.int32)


def _zigzag(symbols: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.where(symbols < 0, -2 * symbols - 1, 2 * symbols).astype(np.int64)


class Escapes:
    """The escaped symbols of a message, taken in decoding order."""

    def __init__(self, data: bytes) -> None:
        self._symbols = unpack(data)
        self._n_taken = 0

    def take(self, n: int) -> NDArray[np.int32]:
        """Return the next n symbols; raises CorruptArchiveError if there are fewer."""
        taken = self._symbols[self._n_taken : self._n_taken + n]
        if len(taken) < n:
            raise CorruptArchiveError("A coded message has more escapes than escaped symbols.")
        self._n_taken += n
        return taken

    def finish(self) -> None:
        """Raise CorruptArchiveError if symbols are left."""
        if self._n_taken != len(self._symbols):
            left = len(self._symbols) - self._n_taken
            raise CorruptArchiveError(f"A coded message has {left} escaped symbols too many.")
