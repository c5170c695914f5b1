"""Reading of texts, of which only the records that hold them are read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.archive.header import naming
from narrows.archive.layouts import TextLayout
from narrows.archive.nameless import NamelessArchive
from narrows.archive.selection import Selection
from narrows.archive.texts import ArchivedTexts, read_texts
from narrows.data.text.pieces import join_texts
from narrows.data.text.rows import TextRows
from narrows.data.text.texts import decoded

__all__ = ["TextsArchive"]

_PIECE_RECORDS = 4096


class TextsArchive(NamelessArchive):
    """An archive of texts. Its items are the texts, as `str`; bytes that are no UTF-8 are as PEP 383 has them.

    ``archive.read()`` is the list of all texts, ``archive[5]`` is one, and ``archive[100:200]`` are a hundred. A few
    texts that a model of bytes codes are returned after the checksum of their chunk was verified, but not that of their
    group.
    """

    items: TextLayout

    @cached_property
    def texts(self) -> ArchivedTexts:
        """The number of records of each text, and the format that they were read from.

        Raises
        ------
        CorruptArchiveError
            If they are damaged.
        """
        with naming(self.path):
            return read_texts(self._source, self.items, self._index)

    def __len__(self) -> int:
        return self.items.n_items(self._index.n_records)

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), _PIECE_RECORDS):
            yield from self.read((start, min(start + _PIECE_RECORDS, len(self))))

    def read(self, items: Selection = None) -> Any:
        """Return texts as a list of `str`; all of them by default."""
        chosen = self._within(items)
        return [decoded(text) for text in join_texts(self.pieces(chosen), self.rows(chosen).counts)]

    def rows(self, items: Selection = None) -> TextRows:
        """Return what a file of some texts needs besides their records."""
        chosen = self._within(items)
        texts = self.texts
        return TextRows(texts.counts[np.array(chosen, np.int64)], texts.origin)

    def pieces(self, items: Selection = None) -> Iterator[npt.NDArray[Any]]:
        """Iterate over the records of texts, as symbols, in arrays of bounded size."""
        chosen = np.array(self._within(items), np.int64)
        if not len(chosen):
            return
        counts, firsts = self.texts.counts[chosen], self.texts.firsts[chosen]
        before = np.cumsum(counts) - counts
        records = np.repeat(firsts - before, counts) + np.arange(int(counts.sum()))
        for start in range(0, len(records), _PIECE_RECORDS):
            part = records[start : start + _PIECE_RECORDS]
            is_run = bool((np.diff(part) == 1).all())
            yield from self._stream(range(int(part[0]), int(part[-1]) + 1) if is_run else part.tolist())

    def _one(self, item: int) -> Any:
        return self.read([item])[0]
