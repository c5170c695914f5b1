"""Archives: many records in one file, as the coded symbols of a model, with access to single records.

::

    symbols ─► Writer ─► file ─► open_archive, restore ─► records, verified by their checksums
                              ─► verify, recover, inspect, expected_psnr_db

`layout` packs headers and trailer; `index`, `records` and `metadata` pack their contents. docs/format.md specifies
the format. Reading needs only NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from narrows.archive.reader import Archive, open_archive
from narrows.archive.restore import restore

if TYPE_CHECKING:
    from narrows.archive.description import Description, expected_psnr_db, inspect, is_archive
    from narrows.archive.embedding import embed
    from narrows.archive.field_reader import FieldArchive
    from narrows.archive.recovery import Recovery, recover
    from narrows.archive.report import Problem, Report
    from narrows.archive.table_reader import TableArchive
    from narrows.archive.texts_reader import TextsArchive
    from narrows.archive.verification import verify
    from narrows.archive.windows_reader import WindowsArchive
    from narrows.archive.writer import Writer

__all__ = [
    "Archive",
    "Description",
    "FieldArchive",
    "Problem",
    "Recovery",
    "Report",
    "TableArchive",
    "TextsArchive",
    "WindowsArchive",
    "Writer",
    "embed",
    "expected_psnr_db",
    "inspect",
    "is_archive",
    "open_archive",
    "recover",
    "restore",
    "verify",
]

# To restore an archive of a few records takes less time than to import what reads tables, texts and fields, so all but
# that is imported at first use.
_HOMES = {
    "Description": "description",
    "FieldArchive": "field_reader",
    "Problem": "report",
    "Recovery": "recovery",
    "Report": "report",
    "TableArchive": "table_reader",
    "TextsArchive": "texts_reader",
    "WindowsArchive": "windows_reader",
    "Writer": "writer",
    "embed": "embedding",
    "expected_psnr_db": "description",
    "inspect": "description",
    "is_archive": "description",
    "recover": "recovery",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'narrows.archive' has no attribute '{name}'")
    return getattr(import_module(f"narrows.archive.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
