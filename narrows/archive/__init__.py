"""Archives: many records in one file, as the coded symbols of a model, each record within reach.

::

    symbols ─► Writer ─► file ─► open_archive, restore ─► records, checked against their checksums
                              ─► verify, recover, inspect, expected_psnr_db

`layout` has the bytes, `index`, `records` and `metadata` what is in them; docs/format.md describes all of it. Reading
needs NumPy alone.
"""

from narrows.archive.description import Description, expected_psnr_db, inspect, is_archive
from narrows.archive.reader import Archive, open_archive
from narrows.archive.recovery import Recovery, recover
from narrows.archive.restore import restore
from narrows.archive.verification import Problem, Report, verify
from narrows.archive.writer import Writer

__all__ = [
    "Archive",
    "Description",
    "Problem",
    "Recovery",
    "Report",
    "Writer",
    "expected_psnr_db",
    "inspect",
    "is_archive",
    "open_archive",
    "recover",
    "restore",
    "verify",
]
