"""Archives whose items have no stored names: fields, tables, texts and series."""

from __future__ import annotations

from narrows.archive.names import file_names
from narrows.archive.reader import Archive
from narrows.archive.selection import Selection

__all__ = ["NamelessArchive"]


class NamelessArchive(Archive):
    """An archive whose items are known by their number alone."""

    def names(self, items: Selection = None) -> list[str]:
        return [""] * len(self._within(items))

    def file_names(self, items: Selection = None) -> list[str]:
        return file_names([""] * len(self), self._within(items))
