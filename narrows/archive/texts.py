"""What an archive stores of texts besides their records: how many each has, and the file that they come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.columns import Column, Columns, column_blocks
from narrows.archive.index import Index
from narrows.archive.layout import MAX_CHUNK_SYMBOLS
from narrows.archive.layouts.texts import TextLayout
from narrows.data.text import Pieces
from narrows.errors import CorruptArchiveError

__all__ = ["ArchivedTexts", "read_texts", "text_chunk_records"]

_CHUNK_BYTES, _LEAST_RECORDS, _MOST_RECORDS = 1 << 20, 64, 1 << 14
_MOST_VALUES = 1 << 23  # of the records of a chunk


@dataclass(frozen=True, eq=False)
class ArchivedTexts:
    """Texts in an archive.

    Attributes
    ----------
    counts : ndarray of int64, shape (n,)
        The number of records of each text.
    origin : dict
        The format that the texts were read from; see `Texts`.
    """

    counts: npt.NDArray[np.int64]
    origin: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, pieces: Pieces) -> ArchivedTexts:
        """Return what is stored of texts."""
        return cls(pieces.counts, pieces.texts.origin)

    @property
    def are_cut(self) -> bool:
        """Whether a text has more than one record."""
        return bool((self.counts > 1).any())

    @property
    def firsts(self) -> npt.NDArray[np.int64]:
        """The first record of each text."""
        return np.cumsum(self.counts) - self.counts

    def layout(self, shape: tuple[int, ...]) -> TextLayout:
        """Return the layout of the texts, for records of a shape."""
        return TextLayout(shape, len(self.counts) if self.are_cut else None, self.origin)

    def blocks(self) -> Iterator[tuple[Column, int, bytes]]:
        """Yield the column of the numbers of records, if there is one: content, number of texts, and payload."""
        if self.are_cut:
            yield from column_blocks(Column.PIECES, self.counts)

    def left(self, kept: npt.NDArray[np.bool_]) -> ArchivedTexts:
        """Return what is left of the texts with only some of the records: those that have any."""
        counts = np.add.reduceat(kept.astype(np.int64), self.firsts)
        origin = {name: value for name, value in self.origin.items() if name != "open_end"}
        return ArchivedTexts(counts[counts > 0], origin)


def text_chunk_records(pieces: Pieces, n_symbols: int) -> int:
    """Return the number of records of a lossless chunk of texts: those of about a mebibyte of text."""
    records = int(pieces.counts.sum())
    per_record = pieces.texts.n_bytes / max(1, records) + 1
    wanted = max(_LEAST_RECORDS, int(_CHUNK_BYTES / per_record))
    return max(1, min(wanted, _MOST_RECORDS, _MOST_VALUES // pieces.length, MAX_CHUNK_SYMBOLS // n_symbols))


def read_texts(source: ByteFile, layout: TextLayout, index: Index) -> ArchivedTexts:
    """Return what an archive has of texts.

    Raises
    ------
    CorruptArchiveError
        If the column of the numbers of records is missing or damaged, or they are not those of the archive.
    """
    if layout.n_cut is None:
        return ArchivedTexts(np.ones(index.n_records, np.int64), layout.origin)
    counts = Columns(source, index, layout.n_cut).read(Column.PIECES).astype(np.int64)
    if counts.min() < 1 or int(counts.sum()) != index.n_records:
        raise CorruptArchiveError(f"it has {index.n_records:,} records, but its texts consist of {int(counts.sum()):,}")
    return ArchivedTexts(counts, layout.origin)
