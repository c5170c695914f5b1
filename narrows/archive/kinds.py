"""Which class reads an archive. To import all of them takes longer than to restore a few records."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from narrows.archive.metadata import Metadata

__all__ = ["reader_of"]

_READERS = {
    "field": ("narrows.archive.field_reader", "FieldArchive"),
    "table": ("narrows.archive.table_reader", "TableArchive"),
    "text": ("narrows.archive.texts_reader", "TextsArchive"),
    "windows": ("narrows.archive.windows_reader", "WindowsArchive"),
}
"""Module and class by the entry of the metadata that such archives have."""


def reader_of(metadata: Metadata) -> Any:
    """Return the class for archives that are not read as records are, or None."""
    home = next((home for entry, home in _READERS.items() if metadata.more.get(entry) is not None), None)
    return None if home is None else getattr(import_module(home[0]), home[1])
