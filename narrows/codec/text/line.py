"""The line so far, from which contexts are made. All are hashes (`tables.mix`), 0 of nothing.

==========  ===========================================================================================================
window      the last 8 bytes after the line end before the line
word        the letters and digits since any other byte; before it, the words `word_1` and `word_2`
field       the bytes since a space, a comma or a tab, and the number of these in the line
skeleton    the line, with 0 for each run of digits
key         the word before the last colon or equals sign; `since`, the bytes since this sign
shape       the field, with 1 for digits and 2 for letters; its separator is its first byte
number      the skeleton, with the digits of the number that is being read and the word before it
==========  ===========================================================================================================

Letters are those of ASCII, and all bytes from 128.
"""

from __future__ import annotations

from dataclasses import dataclass

from narrows.codec.text.tables import mix

__all__ = ["Line", "class_of", "is_digit", "is_letter"]

NEWLINE, SPACE = 10, 32
_SEPARATORS, _AFTER_KEYS = b" ,\t", b":="
_WINDOW = (1 << 64) - 1


def is_digit(byte: int) -> bool:
    """Return whether a byte is a digit."""
    return 48 <= byte <= 57


def is_letter(byte: int) -> bool:
    """Return whether a byte is a letter."""
    return 97 <= byte <= 122 or 65 <= byte <= 90 or byte >= 128


def class_of(byte: int) -> int:
    """Return the class of a byte: line end, digit, letter, space, other."""
    if byte == NEWLINE:
        return 0
    if is_digit(byte):
        return 1
    if is_letter(byte):
        return 2
    return 3 if byte == SPACE else 4


@dataclass
class Line:
    """A line that starts at a position of the text."""

    start: int
    window: int = NEWLINE
    word: int = 0
    word_1: int = 0
    word_2: int = 0
    field: int = 0
    n_fields: int = 0
    skeleton: int = 0
    key: int = 0
    shape: int = 0
    number: int = 0
    since: int = 0

    def extend(self, byte: int) -> None:
        """Add a byte that is not a line end."""
        digit, after_digit = is_digit(byte), is_digit(self.window & 255)
        self.window = (self.window << 8 | byte) & _WINDOW
        if digit or is_letter(byte):
            self.word = mix(self.word, byte + 1)
        else:
            if self.word:
                self.word_2, self.word_1, self.word = self.word_1, self.word, 0
            if byte in _AFTER_KEYS:
                self.key = self.word_1
        self.since = 0 if byte in _AFTER_KEYS else self.since + 1
        if byte in _SEPARATORS:
            self.n_fields += 1
            self.field = self.shape = 0
        else:
            self.field = mix(self.field, byte + 1)
        if not (digit and after_digit):
            self.skeleton = mix(self.skeleton, 48 if digit else byte)
        if not digit:
            self.number = mix(self.skeleton, 1)
        else:
            self.number = mix(self.number if after_digit else mix(self.word_1, self.skeleton), byte)
        self.shape = mix(self.shape, 1 if digit else 2 if is_letter(byte) else byte)

    def contexts(self, following: tuple[int, int, int]) -> list[int]:
        """Return the contexts of the next byte.

        Parameters
        ----------
        following : tuple of int
            The byte that follows each match, plus 256; 0 without one.
        """
        window, byte = self.window, self.window & 255
        return [
            *(window & (1 << 8 * order) - 1 for order in range(1, 7)),
            0,
            mix(self.word, 0 if self.word else byte),
            mix(self.word, self.word_1),
            mix(mix(self.word, self.word_1), self.word_2),
            mix(self.field, self.n_fields),
            self.skeleton,
            mix(mix(self.key, self.word), self.field),
            mix(self.shape, self.word),
            mix(self.number, byte),
            window & 0xFFFF00,
            mix(following[0], byte),
            mix(following[2], following[1]),
            mix(self.key, self.since),
            mix(self.key, window & 0xFFFF),
        ]
