"""Pieces of texts, which are the records of a model, and the way back to the whole texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.memory import filled
from narrows.data.text.rows import TextRows
from narrows.data.text.texts import Texts, decoded
from narrows.records.symbols import DTYPE, bytes_of, symbols_of

__all__ = ["Pieces", "join_texts", "texts_of"]

LONGEST = 256
_MOST_CUT = 0.005  # share of the texts that may be longer than a record, if its length is chosen
_NEARLY = 1.5  # the longest text is a record if it is at most so many times as long


@dataclass(frozen=True, eq=False)
class Pieces:
    """How texts are cut into records of a fixed length. A record ends with its text, or with symbols 0 after it.

    Attributes
    ----------
    texts : Texts
    length : int
        The largest number of bytes of a record. Longer texts are several records.
    is_chosen : bool
        Whether the length was chosen from the texts.
    """

    texts: Texts
    length: int
    is_chosen: bool = False

    @classmethod
    def of(cls, texts: Texts, length: int | str | None = None) -> Pieces:
        """Return the pieces of texts; by default their length is chosen so that few are cut, up to 256 bytes.

        Examples
        --------
        >>> Pieces.of(Texts.of(["emma", "olivia"])).length
        6
        """
        if length is not None and not isinstance(length, str):
            return cls(texts, length)
        lengths = texts.lengths
        longest = int(lengths.max(initial=1))
        usual = int(np.quantile(lengths, 1 - _MOST_CUT, method="higher")) if len(lengths) else 1
        chosen = longest if longest <= _NEARLY * usual else usual
        return cls(texts, max(1, min(chosen, LONGEST)), is_chosen=True)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """The number of records of each text, at least 1."""
        counts: npt.NDArray[np.int64] = np.maximum(-(-self.texts.lengths // self.length), 1)
        return counts

    @property
    def n_cut(self) -> int:
        """The number of texts that are more than one record."""
        return int((self.texts.lengths > self.length).sum())

    def first(self, n: int) -> Pieces:
        """Return the pieces of the first n texts."""
        return replace(self, texts=self.texts.take(slice(0, n)))

    def rows(self) -> TextRows:
        """Return what a file needs besides the records."""
        return TextRows(self.counts, self.texts.origin)

    def cut(self) -> npt.NDArray[np.uint16]:
        """Return the records (n, length), as symbols; in a temporary file if they are large."""
        counts = self.counts
        last = np.cumsum(counts)
        buffer, starts, stops = self.texts.buffer, self.texts.starts, self.texts.stops
        steps = np.arange(self.length)

        def fill(first: int, block: npt.NDArray[Any]) -> None:
            records = np.arange(first, first + len(block))
            text = np.searchsorted(last, records, side="right")
            start = starts[text] + (records - last[text] + counts[text]) * self.length
            inside = steps < (stops[text] - start)[:, None]
            block[...] = 0
            block[inside] = symbols_of(buffer[(start[:, None] + steps)[inside]])

        return filled((int(counts.sum()), self.length), DTYPE, fill, what="The records of the texts")

    def __str__(self) -> str:
        """Return the pieces in words.

        Examples
        --------
        >>> str(Pieces(Texts.of(["emma", "olivia"]), 4))
        'records of up to 4 bytes; 1 longer text is cut'
        """
        n = self.n_cut
        cut = f"; {n:,} longer {'text is' if n == 1 else 'texts are'} cut" if n else ""
        return f"records of up to {self.length:,} {'byte' if self.length == 1 else 'bytes'}{cut}"


def join_texts(records: Iterable[npt.NDArray[Any]], counts: Sequence[int] | npt.NDArray[np.int64]) -> Iterator[bytes]:
    """Yield the texts of records.

    Parameters
    ----------
    records : iterable of ndarray of shape (m, length)
        The records of all texts, in order.
    counts : sequence of int
        The number of records of each text.

    Examples
    --------
    >>> pieces = Pieces(Texts.of(["emma", "olivia"]), 4)
    >>> list(join_texts([pieces.cut()], pieces.counts))
    [b'emma', b'olivia']
    """
    each = (bytes_of(record) for block in records for record in block)
    for count in counts:
        yield b"".join(next(each) for _ in range(count))


def texts_of(records: npt.NDArray[Any], counts: Sequence[int] | npt.NDArray[np.int64] | None = None) -> list[str]:
    """Return the texts of records (n, length), each of which is one unless ``counts`` are given; see `join_texts`.

    Examples
    --------
    >>> texts_of(np.array([[5, 13, 13, 1, 0], [1, 22, 1, 0, 0]]))
    ['emma', 'ava']
    """
    return [decoded(text) for text in join_texts([records], [1] * len(records) if counts is None else counts)]
