"""Archives: many records in one file, as the coded symbols of a model, with access to single records.

::

    symbols ─► Writer ─► file ─► open_archive, restore ─► records, verified by their checksums
                              ─► verify, recover, inspect, expected_psnr_db

`layout` packs headers and trailer; `index`, `records` and `metadata` pack their contents. docs/format.md specifies
the format. Reading needs only NumPy.
"""

from narrows.archive.description import Description, expected_psnr_db, inspect, is_archive
from narrows.archive.embedding import embed
from narrows.archive.field_reader import FieldArchive
from narrows.archive.reader import Archive, open_archive
from narrows.archive.recovery import Recovery, recover
from narrows.archive.report import Problem, Report
from narrows.archive.restore import restore
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
