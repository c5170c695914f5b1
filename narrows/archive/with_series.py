"""The series of an open archive."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.header import naming
from narrows.archive.index import Index
from narrows.archive.metadata import Metadata

if TYPE_CHECKING:
    from narrows.archive.series import ArchivedSeries

__all__ = ["WithSeries"]


class WithSeries:
    """What an open archive has of series besides their values; see `Archive`."""

    path: str
    metadata: Metadata
    shape: tuple[int, ...]
    _source: ByteFile
    _index: Index

    @cached_property
    def series(self) -> ArchivedSeries | None:
        """Lengths, names, times and origin of series, if the items are their steps; otherwise None.

        Raises
        ------
        CorruptArchiveError
            If a part of them is damaged.
        """
        described = self.metadata.more
        if self.metadata.windows is None and "series" not in described and "decimals" not in described:
            return None
        from narrows.archive.series import read_series

        with naming(self.path):
            return read_series(self._source, self.metadata, self._index, self.shape[0], self.shape[1:])

    @property
    def times(self) -> npt.NDArray[Any] | None:
        """The times of all steps, as NumPy's dates or numbers; None if the archive has none."""
        series = self.series
        return None if series is None or series.times is None else series.times.values()
