"""Restoring tables into files: of text as they were, or Parquet and Feather files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from narrows.archive.table_reader import TableArchive
from narrows.data.tables.arrow_package import arrow_package
from narrows.data.tables.csv_table import CsvForm
from narrows.errors import InvalidParameterError
from narrows.io.files import as_path, write_atomically
from narrows.io.pipes import is_pipe, to_standard_output
from narrows.io.progress import Progress

__all__ = ["restore_table"]

_TEXT, _PARQUET, _FEATHER = (".csv", ".tsv", ".txt"), (".parquet", ".pq"), (".feather", ".arrow", ".ipc")


def restore_table(
    archive: TableArchive,
    rows: range | list[int],
    out: str | os.PathLike[str],
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write rows of an archive to a file, as `restore` does, and return its path.

    Raises
    ------
    InvalidParameterError
        If the name of the file is that of no format for tables.
    """
    if is_pipe(out):
        with to_standard_output() as file:
            _write_text(archive, rows, file, progress)
        return Path("-")
    path = as_path(out)
    ending = path.suffix.lower()
    if ending in _TEXT:
        write_atomically(path, lambda file: _write_text(archive, rows, file, progress), force=force)
    elif ending in _PARQUET:
        write_atomically(path, lambda file: _write_parquet(archive, rows, file, progress), force=force)
    elif ending in _FEATHER:
        write_atomically(path, lambda file: _write_feather(archive, rows, file, progress), force=force)
    else:
        allowed = ", ".join((*_TEXT, *_PARQUET[:1], *_FEATHER[:2]))
        raise InvalidParameterError(
            f"{archive.path} holds a table, which is restored to a file that ends in {allowed}, or to '-'. "
            f"Got {os.fspath(out)!r}."
        )
    return path


def _counted(archive: TableArchive, rows: range | list[int], progress: Progress | None) -> Iterator[Any]:
    done = 0
    for group in archive.groups(rows):
        yield group
        done += len(group)
        if progress is not None:
            progress("restoring", done, len(rows), "rows")


def _write_text(archive: TableArchive, rows: range | list[int], file: BinaryIO, progress: Progress | None) -> None:
    form = archive.table.form
    if not isinstance(form, CsvForm):
        from pyarrow import csv

        arrow_package("Writing a CSV file of this table")
        with csv.CSVWriter(file, archive.to_arrow(rows=range(0)).schema) as writer:
            for group in _counted(archive, rows, progress):
                writer.write_table(form.arrow([group], range(len(form.names))))
        return
    file.write(form.dialect.head)
    is_to_end = len(rows) > 0 and rows[-1] == len(archive) - 1
    held = b""
    for group in _counted(archive, rows, progress):
        file.write(held)
        held = form.text(group).tobytes()
    file.write(held.removesuffix(form.dialect.newline) if is_to_end and form.dialect.open_end else held)
    file.write(form.dialect.tail if is_to_end else b"")


def _write_parquet(archive: TableArchive, rows: range | list[int], file: BinaryIO, progress: Progress | None) -> None:
    arrow_package("Writing a Parquet file")
    from pyarrow import parquet

    parquet.write_table(_table(archive, rows, progress), file, compression="zstd")


def _write_feather(archive: TableArchive, rows: range | list[int], file: BinaryIO, progress: Progress | None) -> None:
    pa = arrow_package("Writing a Feather file")
    table = _table(archive, rows, progress)
    with pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)


def _table(archive: TableArchive, rows: range | list[int], progress: Progress | None) -> Any:
    form = archive.table.form
    return form.arrow(_counted(archive, rows, progress), range(len(form.names)))
