"""Archives: many records in one file, as the coded symbols of a model, with access to single records.

::

    symbols ─► Writer ─► file ─► open_archive, restore ─► records, verified by their checksums
                              ─► verify, recover, inspect, expected_psnr_db

`layout` packs headers and trailer; `index`, `records` and `metadata` pack their contents. docs/format.md specifies
the format. Reading needs only NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrows.archive.reader import Archive, open_archive
from narrows.archive.restore import restore
from narrows.io.packages import names_from

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
    "Description": "narrows.archive.description",
    "FieldArchive": "narrows.archive.field_reader",
    "Problem": "narrows.archive.report",
    "Recovery": "narrows.archive.recovery",
    "Report": "narrows.archive.report",
    "TableArchive": "narrows.archive.table_reader",
    "TextsArchive": "narrows.archive.texts_reader",
    "WindowsArchive": "narrows.archive.windows_reader",
    "Writer": "narrows.archive.writer",
    "embed": "narrows.archive.embedding",
    "expected_psnr_db": "narrows.archive.description",
    "inspect": "narrows.archive.description",
    "is_archive": "narrows.archive.description",
    "recover": "narrows.archive.recovery",
    "verify": "narrows.archive.verification",
}
__getattr__ = names_from(_HOMES, "narrows.archive")


def __dir__() -> list[str]:
    return sorted(__all__)
