"""The labels of the items of an open archive."""

from __future__ import annotations

from narrows.archive.byte_file import ByteFile
from narrows.archive.index import Index
from narrows.archive.labels import Label, read_labels
from narrows.archive.metadata import Metadata
from narrows.archive.naming import naming
from narrows.archive.selection import Selection, select
from narrows.archive.with_series import WithSeries

__all__ = ["WithLabels"]


class WithLabels(WithSeries):
    """What an archive says of the labels of its items."""

    path: str
    metadata: Metadata
    _source: ByteFile
    _index: Index

    def labels(self, items: Selection = None) -> list[Label] | None:
        """Return the stored labels of items, None for one without a label; None if the archive has none.

        Raises
        ------
        IndexError
            If an item does not exist.
        CorruptArchiveError
            If labels are damaged.
        """
        with naming(self.path):
            labels = read_labels(self._source, self.metadata, self._index)
        return None if labels is None else [labels[item] for item in select(items, len(labels))]
