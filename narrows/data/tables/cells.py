"""Cells of text, as places in a buffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from narrows.data.tables import kernels
from narrows.data.tables.kernels import Bytes, Places

__all__ = ["Cells", "in_quotes", "without_quotes"]


class Cells(NamedTuple):
    """Cells ``data[starts[i]:ends[i]]``.

    Attributes
    ----------
    data : ndarray of uint8
    starts, ends : ndarray of int64, shape (n,)
    """

    data: Bytes
    starts: Places
    ends: Places

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Self:
        """Return texts as cells."""
        ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
        return cls.together(np.frombuffer(b"".join(texts), np.uint8), ends)

    @classmethod
    def together(cls, data: Bytes, ends: Places) -> Self:
        """Return cells that follow each other."""
        return cls(data, np.concatenate([[0], ends[:-1]]).astype(np.int64) if len(ends) else ends, ends)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> Places:
        """The number of bytes of each cell."""
        return self.ends - self.starts

    def take(self, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Cells:
        """Return some of the cells."""
        return Cells(self.data, self.starts[which], self.ends[which])

    def texts(self) -> list[bytes]:
        """Return the bytes of each cell."""
        raw = memoryview(self.data.data)
        return [bytes(raw[start:end]) for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    def equal(self, text: bytes) -> npt.NDArray[np.bool_]:
        """Return whether each cell is a text."""
        found: npt.NDArray[np.bool_] = self.lengths == len(text)
        at = np.flatnonzero(found)
        if len(text) and len(at):
            starts = np.zeros(len(at), np.int64)
            some = self.take(at)
            found[at] = ~kernels.differ(*some, np.frombuffer(text, np.uint8), starts, starts + len(text))
        return found

    def differ(self, other: Cells) -> npt.NDArray[np.bool_]:
        """Return whether each cell differs from that of others."""
        return kernels.differ(*self, *other)

    def replaced(self, which: npt.NDArray[np.bool_], by: bytes) -> Cells:
        """Return the cells with one text in the place of some."""
        if not which.any():
            return self
        end = len(self.data)
        data = np.concatenate([self.data, np.frombuffer(by, np.uint8)])
        return Cells(data, np.where(which, end, self.starts), np.where(which, end + len(by), self.ends))

    def with_texts(self, rows: npt.NDArray[np.int64], texts: Sequence[bytes]) -> Cells:
        """Return the cells with other texts in some rows."""
        if not len(rows):
            return self
        other = Cells.of(texts)
        starts, ends = self.starts.copy(), self.ends.copy()
        starts[rows], ends[rows] = other.starts + len(self.data), other.ends + len(self.data)
        return Cells(np.concatenate([self.data, other.data]), starts, ends)


def without_quotes(cells: Cells, quote: int) -> tuple[Cells, npt.NDArray[np.bool_]]:
    """Return cells without the quotes around them, and which of them have some."""
    is_long = cells.lengths >= 2
    last = max(len(cells.data) - 1, 0)
    if not len(cells.data):
        return cells, is_long
    are_quotes = cells.data[np.minimum(cells.starts, last)] == quote
    are_quotes &= (cells.data[np.clip(cells.ends - 1, 0, last)] == quote) & is_long
    return Cells(cells.data, cells.starts + are_quotes, cells.ends - are_quotes), are_quotes


def in_quotes(cells: Cells, quote: int) -> Cells:
    """Return cells in quotes."""
    ends = np.cumsum(cells.lengths + 2)
    data = np.full(int(ends[-1]) if len(ends) else 0, quote, np.uint8)
    found = Cells.together(data, ends)
    kernels.scatter(*cells, found.starts + 1, data)
    return found
