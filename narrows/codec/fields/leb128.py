"""Whole numbers as bytes: in base 128, lowest digit first, with the highest bit set in all digits but the last.

A number w that may be negative is written as 2 w for w >= 0 and -2 w - 1 for w < 0.
"""

from __future__ import annotations

from narrows.errors import CorruptArchiveError

__all__ = ["NumberReader", "pack_number", "pack_signed"]

_MOST_DIGITS = 10


def pack_number(number: int) -> bytes:
    """Return a number of at least 0 as bytes.

    Examples
    --------
    >>> pack_number(300).hex(), pack_signed(-1).hex()
    ('ac02', '01')
    """
    digits = bytearray()
    while number >= 128:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes(digits) + bytes((number,))


def pack_signed(number: int) -> bytes:
    """Return a number that may be negative as bytes."""
    return pack_number(2 * number if number >= 0 else -2 * number - 1)


class NumberReader:
    """Reads numbers one after the other, as `pack_number` and `pack_signed` write them.

    Parameters
    ----------
    data : bytes
        The numbers, and what follows them.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def rest(self) -> bytes:
        """The bytes after the numbers that were read."""
        return self._data[self._at :]

    def take(self, n: int) -> bytes:
        """Return the next n bytes.

        Raises
        ------
        CorruptArchiveError
            If there are fewer.
        """
        found = self._data[self._at : self._at + n]
        if len(found) < n:
            raise CorruptArchiveError(f"A chunk declares {n:,} bytes, but only {len(found):,} are left.")
        self._at += n
        return found

    def number(self, lowest: int, highest: int) -> int:
        """Return the next number.

        Raises
        ------
        CorruptArchiveError
            If the bytes end, or the number is outside its limits.
        """
        found = 0
        for digit in range(_MOST_DIGITS):
            if self._at >= len(self._data):
                break
            byte = self._data[self._at]
            found, self._at = found | (byte & 127) << 7 * digit, self._at + 1
            if byte < 128:
                return self._checked(found, lowest, highest)
        raise CorruptArchiveError("The numbers at the start of a chunk are cut off.")

    def signed(self, lowest: int, highest: int) -> int:
        """Return the next number that may be negative.

        Raises
        ------
        CorruptArchiveError
            As for `number`.
        """
        found = self.number(0, (1 << 65) - 1)
        return self._checked(-(found + 1) // 2 if found & 1 else found // 2, lowest, highest)

    def _checked(self, found: int, lowest: int, highest: int) -> int:
        if lowest <= found <= highest:
            return found
        raise CorruptArchiveError(f"A chunk declares the number {found:,}. Allowed: {lowest:,} to {highest:,}.")
