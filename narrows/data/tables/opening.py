"""Opens tables: files of text, Parquet and Feather files, data frames and Arrow tables."""

from __future__ import annotations

import gzip
import io
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import zstandard

from narrows.data.source import check_limit
from narrows.data.tables.csv_table import CsvForm, CsvSource, read_as, read_table
from narrows.data.tables.dialect import Dialect, sniff
from narrows.data.tables.inference import KINDS, SKIP, check_kinds
from narrows.data.tables.kernels import Bytes
from narrows.data.tables.rows import OtherNewlineError, find_rows
from narrows.errors import CorruptFileError, DataError, InvalidParameterError
from narrows.io.files import as_path
from narrows.io.pipes import scratch_folder
from narrows.io.remote import fetched

__all__ = ["csv_of_bytes", "open_csv", "open_csv_as", "parse_kinds"]

Found = TypeVar("Found")

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def open_csv(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    kinds: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> CsvSource:
    """Return the table in a file of text, which may be compressed by gzip or zstd.

    Parameters
    ----------
    path : path-like
    name : str, optional
        Its name in messages.
    delimiter, encoding : str, optional
        What they are; by default they are found.
    header : bool, optional
        Whether the first line has the names of the columns; by default it has, unless all its cells are numbers.
    kinds : dict of str to str, optional
        What columns have, by their names: one of `inference.KINDS`, or ``skip`` to leave them out. By default it is
        found.
    limit : int, optional
        Only the first rows up to this number.

    Raises
    ------
    DataError, CorruptFileError
        If it holds no table; names the line.
    UnknownNameError
        If ``kinds`` has no name of a column.
    InvalidParameterError
        If all columns are left out.
    """
    source = os.fspath(path) if name is None else name
    how: dict[str, Any] = {"delimiter": delimiter, "encoding": encoding, "header": header, "kinds": kinds}
    return csv_of_bytes(_bytes_of(fetched(as_path(path)), source), source, limit=limit, **how)


def csv_of_bytes(
    whole: Bytes,
    source: str,
    *,
    limit: int | None = None,
    kinds: Mapping[str, str] | None = None,
    must_fit: bool = True,
    most_columns: int | None = None,
    **options: Any,
) -> CsvSource:
    """Return the table in the bytes of a file of text (n,), as `open_csv` does.

    Parameters
    ----------
    must_fit : bool
        As for `read_table`.
    most_columns : int, optional
        A table with more columns is refused, before its cells are read.
    """
    data, dialect = _sniffed(whole, source, limit, **options)
    if most_columns is not None and len(dialect.names) > most_columns:
        raise DataError(f"{source} may have at most {most_columns:,} columns. Got {len(dialect.names):,}.")
    check_kinds(kinds or {}, dialect.names, source)
    return _read(data, dialect, lambda one: read_table(data, source, one, kinds or {}, must_fit=must_fit))


def open_csv_as(
    path: str | os.PathLike[str], name: str, form: CsvForm, *, limit: int | None = None, **options: Any
) -> tuple[CsvSource, list[int]]:
    """Return the table in a file of text with the columns of another, and for each of these its place in the file.

    Parameters
    ----------
    path, name, limit
        As for `open_csv`.
    form : CsvForm
        The other's.
    **options
        ``delimiter``, ``encoding`` and ``header`` of `open_csv`.

    Raises
    ------
    DataError, CorruptFileError
        As `open_csv`, and if the file has other columns.
    """
    data, dialect = _sniffed(_bytes_of(fetched(as_path(path)), name), name, limit, **options)
    return _read(data, dialect, lambda one: read_as(data, name, one, form))


def _sniffed(data: Bytes, source: str, limit: int | None, **options: Any) -> tuple[Bytes, Dialect]:
    """Return the bytes of a file, of its first rows with a limit, and how they hold a table."""
    dialect = sniff(data, source, **options)
    data = data if limit is None else _first_rows(data, source, dialect, check_limit(limit))
    return data, _with_end(data, dialect)


def _read(data: Bytes, dialect: Dialect, read: Callable[[Dialect], Found]) -> Found:
    """Return what is read; where rows end in several ways, or quotes are no quotes, they are parts of cells."""
    try:
        return read(dialect)
    except OtherNewlineError:
        return _read(data, _with_end(data, replace(dialect, has_returns=False)), read)
    except CorruptFileError:
        if dialect.quote < 0:
            raise
        try:
            return read(replace(dialect, quote=-1))
        except (CorruptFileError, OtherNewlineError):
            pass
        raise


def _first_rows(data: Bytes, source: str, dialect: Dialect, n: int) -> Bytes:
    """Return the beginning of a file, with its first n rows."""
    try:
        rows = find_rows(data, len(dialect.head), dialect, source, n)
    except OtherNewlineError:
        rows = find_rows(data, len(dialect.head), replace(dialect, has_returns=False), source, n)
    return data[: rows.stop]


def _with_end(data: Bytes, dialect: Dialect) -> Dialect:
    """Return the dialect with the end of a file: line ends after the last row, or none."""
    newline = dialect.newline
    end, start = len(data), len(dialect.head)
    while len(dialect.names) > 1 and end - 2 * len(newline) >= start:
        if bytes(data[end - 2 * len(newline) : end]) != 2 * newline:
            break
        end -= len(newline)
    is_open = end > start and bytes(data[end - len(newline) : end]) != newline
    return replace(dialect, tail=bytes(data[end:]), open_end=is_open)


def _bytes_of(path: Path, source: str) -> Bytes:
    """Return the bytes of a file, mapped where that is possible; those of a compressed one from a temporary file."""
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start.startswith(_GZIP):
            return _unpacked(gzip.GzipFile(fileobj=file), source, "gzip")
        if start.startswith(_ZSTD):
            return _unpacked(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True), source, "zstd")
        return _mapped(file)


def _mapped(file: BinaryIO) -> Bytes:
    try:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except (ValueError, OSError, io.UnsupportedOperation):  # empty, or no regular file
        return np.frombuffer(file.read(), np.uint8)


def _unpacked(stream: Any, source: str, kind: str) -> Bytes:
    folder = scratch_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, prefix="narrows-") as file:
        try:
            shutil.copyfileobj(stream, file, 1 << 20)
        except (OSError, EOFError, zstandard.ZstdError) as error:
            raise CorruptFileError(f"{source} cannot be unpacked by {kind}: {error}.") from error
        file.flush()
        return _mapped(file)


def parse_kinds(text: str | None) -> dict[str, str]:
    """Return what columns have, from a text such as ``"price:decimal,id:text"``.

    Raises
    ------
    InvalidParameterError
        If the text has another form.
    """
    found: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in (text or "").split(","))):
        name, colon, kind = part.rpartition(":")
        if not colon or kind not in (*KINDS, SKIP):
            raise InvalidParameterError(
                f"The 'columns' (--columns) are names with what they have, separated by commas: price:decimal,id:text. "
                f"Allowed: {', '.join(KINDS)}, and {SKIP} to leave a column out. Got {part!r:.80}."
            )
        found[name] = kind
    return found
