"""Parquet and Feather (Arrow IPC) files, whose columns of numbers are records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from narrows.data.formats.contract import Format, RecordStream
from narrows.data.formats.table_options import columns_option
from narrows.errors import DataError
from narrows.io.progress import Progress

if TYPE_CHECKING:
    from narrows.data.source import Source

__all__ = ["Parquet"]


class Parquet(Format, name="parquet"):
    """Tables in Parquet and Feather files."""

    title: ClassVar[str] = "Parquet and Feather files"
    reads: ClassVar[str] = "tables in .parquet, .feather and .arrow files"
    target: ClassVar[str] = "a path that ends in .parquet, .feather or .arrow (tables)"

    columns: str | None = columns_option()

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        return head.startswith((b"PAR1", b"ARROW1"))

    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        from narrows.data.frames import open_frame
        from narrows.data.tables.arrow_files import read_arrow
        from narrows.data.tables.arrow_table import source_of_arrow
        from narrows.data.tables.opening import parse_kinds
        from narrows.data.tables.sources import source_of_table
        from narrows.data.tables.typed import typed_table

        found = source_of_arrow(read_arrow(path, name), name, "parquet", limit, parse_kinds(self.columns))
        table = typed_table(found)
        return open_frame(found.table.to_pandas()) if table.is_plain else source_of_table(table, name, "parquet")

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        return not is_folder and path.suffix.lower() in {".parquet", ".pq", ".feather", ".arrow", ".ipc"}

    @classmethod
    def write(cls, path: Path, records: RecordStream, *, force: bool) -> None:
        raise DataError(f"Only tables are written to {cls.title}. Write these records to a .npy file.")
