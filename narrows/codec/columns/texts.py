"""Texts of columns: words of a dictionary that the model has, and others by the model of bytes.

The model of bytes codes about 300 kB a second. With a limit, texts of more bytes than that are compressed by Zstandard
instead. Columns get a limit if some of their texts are long, and 0 if all of them together are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.packing import pack_bytes, pack_signed_numbers, take_bytes, take_signed_numbers
from narrows.codec.fields.leb128 import NumberReader, pack_number
from narrows.codec.text.frozen import FrozenBytes
from narrows.errors import CorruptArchiveError

__all__ = ["TextModel", "limited"]

_LEAST_USES, _MOST_WORDS = 3, 1 << 16
_MOST_SAMPLE, _LEAST_SAMPLE = 1 << 17, 1 << 20
_SHARE_OF_SAMPLE = 16
_BITS = 18
_LONG, _MUCH = 1 << 16, 1 << 23
_MOST_UNLIMITED = 1 << 22
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
    limit : int or None
        Other texts of more bytes are compressed by Zstandard; None: none are.
    """

    words: list[bytes]
    others: FrozenBytes
    limit: int | None = None
    _numbers: dict[bytes, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._numbers = {word: k for k, word in enumerate(self.words)}

    @classmethod
    def of(cls, texts: Sequence[bytes], missing: NDArray[np.bool_] | None, n_rows: int | None = None) -> TextModel:
        """Learn from texts, which may be some of those of a column of ``n_rows``."""
        present = list(texts) if missing is None else [one for one, no in zip(texts, missing, strict=True) if not no]
        uses = Counter(present).most_common(_MOST_WORDS)
        words = sorted(word for word, n in uses if n >= _LEAST_USES)
        known = set(words)
        rare = [one for one in present if one not in known]
        limit = _limit_of(rare, 1.0 if n_rows is None else n_rows / max(len(texts), 1))
        rare = rare if limit is None else [one for one in rare if len(one) <= limit]
        n_bytes = sum(map(len, rare)) + len(rare)
        most = min(_MOST_SAMPLE, n_bytes // _SHARE_OF_SAMPLE)
        if n_bytes < _LEAST_SAMPLE or not most:
            return cls(words, FrozenBytes(b"", 0, 0, _BITS), limit)
        step = -(-n_bytes // most)
        return cls(words, FrozenBytes.of(rare[::step]), limit)

    def numbers(self, texts: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the number of each text, shaped (n,); the number of words for a text that is none of them."""
        n = len(self.words)
        return np.array([self._numbers.get(text, n) for text in texts], np.int64)

    def encode(self, texts: Sequence[bytes]) -> bytes:
        """Return texts that are no words."""
        if self.limit is None:
            return self._encode(texts)
        long = [place for place, text in enumerate(texts) if len(text) > self.limit]
        numbers = [*np.diff(long, prepend=0).tolist(), *(len(texts[place]) for place in long)]
        data = pack_bytes(b"".join(texts[place] for place in long))
        return pack_signed_numbers(numbers) + data + self._encode([one for one in texts if len(one) <= self.limit])

    def decode(self, reader: NumberReader, n: int) -> list[bytes]:
        """Return the n texts of `encode`.

        Raises
        ------
        CorruptArchiveError
            If they are damaged.
        """
        if self.limit is None:
            return self._decode(reader, n)
        numbers = np.array(take_signed_numbers(reader, 2 * n, 0, _MOST_BYTES), np.int64)
        n_long, data = len(numbers) // 2, take_bytes(reader)
        steps, ends = numbers[:n_long], np.cumsum(numbers[n_long:])
        places = np.cumsum(steps)
        is_in_order = len(numbers) == 2 * n_long and (not n_long or (places[-1] < n and (steps[1:] > 0).all()))
        if not is_in_order or (ends[-1] if n_long else 0) != len(data):
            raise CorruptArchiveError("The long texts of a group of rows are damaged.")
        found = self._decode(reader, n - n_long)
        for place, end, length in zip(places.tolist(), ends.tolist(), numbers[n_long:].tolist(), strict=True):
            found.insert(place, data[end - length : end])
        return found

    def _encode(self, texts: Sequence[bytes]) -> bytes:
        coded = self.others.encode(list(texts), max(len(texts), 2)) if texts else [b""]
        return pack_number(sum(map(len, texts))) + pack_number(len(coded[0])) + coded[0]

    def _decode(self, reader: NumberReader, n: int) -> list[bytes]:
        n_bytes = reader.number(0, _MOST_BYTES)
        coded = reader.take(reader.number(0, _MOST_BYTES))
        return self.others.decode([coded], n, n_bytes, max(n, 2)) if n else []

    def to_bytes(self) -> bytes:
        """Return what `take` reads, with the limit if there is one."""
        shared, parts, last = bytearray(), [], b""
        for word in self.words:
            n = next((k for k, (a, b) in enumerate(zip(word, last, strict=False)) if a != b), min(len(word), len(last)))
            shared += pack_number(n) + pack_number(len(word) - n)
            parts.append(word[n:])
            last = word
        head = pack_number(len(self.words)) + pack_bytes(bytes(shared)) + pack_bytes(b"".join(parts))
        others = self.others
        numbers = others.n_bytes, others.n_records, others.bits, len(others.coded)
        limit = b"" if self.limit is None else pack_number(self.limit)
        return head + b"".join(map(pack_number, numbers)) + others.coded + limit

    @classmethod
    def take(cls, reader: NumberReader, *, is_limited: bool = False) -> TextModel:
        """Return the model of `to_bytes`, which has a limit or none.

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
        limit = reader.number(0, _MOST_BYTES) if is_limited else None
        return cls(words, FrozenBytes(coded, n_bytes, n_records, bits), limit)


def limited(models: Sequence[TextModel | None]) -> list[TextModel | None]:
    """Return models of columns that all have a limit, if one of them has."""
    if all(one is None or one.limit is None for one in models):
        return list(models)
    return [one and replace(one, limit=_LONG if one.limit is None else one.limit) for one in models]


def _limit_of(texts: Sequence[bytes], share: float) -> int | None:
    """Return the limit of a column, of whose rare texts these are some; ``share`` is of all rows to theirs."""
    n_bytes = share * sum(map(len, texts))
    if n_bytes > _MUCH:
        return 0
    is_unknown = share > 1 and n_bytes > 0
    return _LONG if is_unknown or n_bytes > _MOST_UNLIMITED or max(map(len, texts), default=0) > _LONG else None
