"""Texts of columns: words of a dictionary that the model has, and others by the model of bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.packing import pack_bytes, take_bytes
from narrows.codec.fields.leb128 import NumberReader, pack_number
from narrows.codec.text.frozen import FrozenBytes
from narrows.errors import CorruptArchiveError

__all__ = ["TextModel"]

_LEAST_USES, _MOST_WORDS = 3, 1 << 16
_MOST_SAMPLE, _LEAST_SAMPLE = 1 << 17, 1 << 20
_SHARE_OF_SAMPLE = 16
_BITS = 18
_MOST_BYTES = 1 << 30


@dataclass(eq=False)
class TextModel:
    """What is known of a column of texts.

    Attributes
    ----------
    words : list of bytes
        Texts that occur often, in order.
    others : FrozenBytes
        The model of other texts.
    """

    words: list[bytes]
    others: FrozenBytes
    _numbers: dict[bytes, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._numbers = {word: k for k, word in enumerate(self.words)}

    @classmethod
    def of(cls, texts: Sequence[bytes], missing: NDArray[np.bool_] | None) -> TextModel:
        """Learn from texts."""
        present = list(texts) if missing is None else [one for one, no in zip(texts, missing, strict=True) if not no]
        uses = Counter(present).most_common(_MOST_WORDS)
        words = sorted(word for word, n in uses if n >= _LEAST_USES)
        known = set(words)
        rare = [one for one in present if one not in known]
        n_bytes = sum(map(len, rare)) + len(rare)
        most = min(_MOST_SAMPLE, n_bytes // _SHARE_OF_SAMPLE)
        if n_bytes < _LEAST_SAMPLE or not most:
            return cls(words, FrozenBytes(b"", 0, 0, _BITS))
        step = -(-n_bytes // most)
        return cls(words, FrozenBytes.of(rare[::step]))

    def numbers(self, texts: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the number of each text, shaped (n,); the number of words for a text that is none of them."""
        n = len(self.words)
        return np.array([self._numbers.get(text, n) for text in texts], np.int64)

    def encode(self, texts: Sequence[bytes]) -> bytes:
        """Return texts that are no words."""
        coded = self.others.encode(list(texts), max(len(texts), 2)) if texts else [b""]
        return pack_number(sum(map(len, texts))) + pack_number(len(coded[0])) + coded[0]

    def decode(self, reader: NumberReader, n: int) -> list[bytes]:
        """Return the n texts of `encode`.

        Raises
        ------
        CorruptArchiveError
            If they are damaged.
        """
        n_bytes = reader.number(0, _MOST_BYTES)
        coded = reader.take(reader.number(0, _MOST_BYTES))
        return self.others.decode([coded], n, n_bytes, max(n, 2)) if n else []

    def to_bytes(self) -> bytes:
        """Return what `take` reads."""
        shared, parts, last = bytearray(), [], b""
        for word in self.words:
            n = next((k for k, (a, b) in enumerate(zip(word, last, strict=False)) if a != b), min(len(word), len(last)))
            shared += pack_number(n) + pack_number(len(word) - n)
            parts.append(word[n:])
            last = word
        head = pack_number(len(self.words)) + pack_bytes(bytes(shared)) + pack_bytes(b"".join(parts))
        others = self.others
        numbers = others.n_bytes, others.n_records, others.bits, len(others.coded)
        return head + b"".join(map(pack_number, numbers)) + others.coded

    @classmethod
    def take(cls, reader: NumberReader) -> TextModel:
        """Return the model of `to_bytes`.

        Raises
        ------
        CorruptArchiveError
            If it is damaged.
        """
        n = reader.number(0, _MOST_WORDS)
        shared, parts = NumberReader(take_bytes(reader)), NumberReader(take_bytes(reader))
        words: list[bytes] = []
        for _ in range(n):
            last = words[-1] if words else b""
            kept = shared.number(0, len(last))
            words.append(last[:kept] + parts.take(shared.number(0, _MOST_BYTES)))
        if len(set(words)) < n or shared.rest or parts.rest:
            raise CorruptArchiveError("The dictionary of a column of texts is damaged.")
        n_bytes, n_records, bits = reader.number(0, 1 << 24), reader.number(0, 1 << 24), reader.number(1, 22)
        coded = reader.take(reader.number(0, _MOST_BYTES))
        return cls(words, FrozenBytes(coded, n_bytes, n_records, bits))
