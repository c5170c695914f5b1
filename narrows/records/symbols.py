"""The symbols of text records: whole numbers for bytes, and one for the end of a text.

Symbol 0 is the end, and fills the rest of a record. The bytes follow in a fixed order, in which those of plain text
come first: small letters, space, digits, capital letters, other printable characters of ASCII, tab, the bytes from 128
on, and last the other control characters, with carriage return, NUL and line feed at the very end. A model has an
output for each symbol up to the largest that its training records have, so that names of small letters need 27 instead
of 124.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["DTYPE", "END", "N_SYMBOLS", "bytes_of", "symbols_of"]

END = 0
"""The symbol after the last byte of a text."""

DTYPE = np.dtype(np.uint16)
"""The dtype of records of text."""


def _order() -> bytes:
    first = b"abcdefghijklmnopqrstuvwxyz 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    printable = bytes(byte for byte in range(33, 127) if byte not in first)
    last = b"\r\x00\n"
    control = bytes(byte for byte in (*range(32), 127) if byte not in b"\t" + last)
    return first + printable + b"\t" + bytes(range(128, 256)) + control + last


_BYTES = np.frombuffer(_order(), np.uint8)
_SYMBOLS = np.zeros(256, DTYPE)
_SYMBOLS[_BYTES] = np.arange(1, 257)

N_SYMBOLS = 257
"""The number of symbols."""


def symbols_of(text: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Return the symbols of bytes, in their shape.

    Examples
    --------
    >>> symbols_of(np.frombuffer(b"az 09A", np.uint8)).tolist()
    [1, 26, 27, 28, 37, 38]
    """
    return _SYMBOLS[text]


def bytes_of(symbols: npt.NDArray[Any]) -> bytes:
    """Return the bytes of the symbols of one record, up to the first end.

    Examples
    --------
    >>> bytes_of(np.array([5, 13, 13, 1, 0, 0, 3]))
    b'emma'
    """
    ends = np.flatnonzero(symbols == END)
    inside = symbols[: ends[0]] if len(ends) else symbols
    return _BYTES[inside.astype(np.int64) - 1].tobytes()
