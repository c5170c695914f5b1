"""Whole numbers of few bytes, and reading of bytes from untrusted files."""

from __future__ import annotations

from narrows.errors import ModelFileError

__all__ = ["ByteReader", "pack_number"]

_MOST_DIGITS = 9  # of a number: 63 bits


def pack_number(value: int) -> bytes:
    r"""Return a whole number ≥ 0 in base 128, lowest digit first; all bytes but the last have the highest bit set.

    Examples
    --------
    >>> pack_number(5), pack_number(300)
    (b'\x05', b'\xac\x02')
    """
    assert 0 <= value < 1 << 7 * _MOST_DIGITS
    digits = bytearray()
    while value >= 128:
        digits.append(value & 127 | 128)
        value >>= 7
    digits.append(value)
    return bytes(digits)


class ByteReader:
    """Takes bytes one after the other.

    All methods raise ModelFileError if there are too few bytes, or a number is out of its range.

    Parameters
    ----------
    data : bytes
        The bytes.
    what : str
        A description for messages.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._what, self._at = data, what, 0

    @property
    def n_left(self) -> int:
        """The number of bytes that are not taken yet."""
        return len(self._data) - self._at

    def take(self, n: int) -> bytes:
        """Return the next n bytes."""
        if n > self.n_left:
            raise ModelFileError(f"{self._what} is damaged: it declares {n:,} bytes and has {self.n_left:,}.")
        self._at += n
        return self._data[self._at - n : self._at]

    def number(self, lowest: int, highest: int) -> int:
        """Return the next number of `pack_number`."""
        value = 0
        for digit in range(_MOST_DIGITS):
            byte = self.take(1)[0]
            value |= (byte & 127) << 7 * digit
            if byte < 128:
                break
        else:
            raise ModelFileError(f"{self._what} is damaged: a number has more than {_MOST_DIGITS} bytes.")
        if not lowest <= value <= highest:
            raise ModelFileError(f"{self._what} is damaged: a number is {value}. Allowed: {lowest} to {highest}.")
        return value

    def finish(self) -> None:
        """Check that all bytes are taken."""
        if self.n_left:
            raise ModelFileError(f"{self._what} is damaged: it has {self.n_left:,} bytes too many.")
