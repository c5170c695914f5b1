"""Decides whether data are a table, and opens them as one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from narrows.data.csv_reader import MISSING
from narrows.data.frames import is_frame
from narrows.data.tables.arrow_files import arrow_of_frame, is_arrow_file, read_arrow
from narrows.data.tables.arrow_table import source_of_arrow
from narrows.data.tables.bounds import parse_bounds
from narrows.data.tables.csv_table import CsvSource
from narrows.data.tables.form import TableSource
from narrows.data.tables.opening import open_csv, parse_kinds
from narrows.data.tables.rules import FloatRule, unordered
from narrows.errors import UnknownNameError
from narrows.io.pipes import is_pipe, spooled_standard_input

__all__ = ["is_table_file", "is_text_table", "open_table", "steps_of_series", "table_of"]

_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst")
_ROWS = 1 << 14
_OPTIONS = {"columns", "delimiter", "encoding", "header", "limit"}
_NUMBERS = {"integer", "decimal", "float"}


def is_text_table(path: Any) -> bool:
    """Return whether a path is that of a file of text with a table, by its name."""
    return isinstance(path, str | os.PathLike) and os.fspath(path).lower().endswith(_ENDINGS) and Path(path).is_file()


def is_table_file(path: Any) -> bool:
    """Return whether a path is that of a file with a table: of text, by its name, or a Parquet or Feather file."""
    return is_text_table(path) or is_arrow_file(path)


def open_table(
    data: Any, *, columns: str | None = None, any_name: bool = False, max_error: str | None = None, **options: Any
) -> TableSource | None:
    """Return data as a table; None if they are something else.

    Parameters
    ----------
    data : path, data frame, pyarrow.Table, or others
        Paths are those of files of text, by their names, and of Parquet and Feather files, by their first bytes.
    columns : str, optional
        What columns have; see `parse_kinds`.
    any_name : bool
        Whether a file of any name is a table, and ``-``, standard input.
    max_error : str, optional
        Bounds on errors by columns; see `parse_bounds`.
    **options
        Others of `open_csv`.

    Raises
    ------
    DataError, CorruptFileError, UnknownNameError, InvalidParameterError
        As `open_csv` and `source_of_arrow`.
    """
    if max_error is not None:
        return _with_bounds(open_table(data, columns=columns, any_name=any_name, **options), max_error)
    limit = options.get("limit")
    if isinstance(data, TableSource):
        return data
    if is_frame(data) or type(data).__module__.startswith("pyarrow"):
        return source_of_arrow(arrow_of_frame(data), "data frame", "frame", limit, parse_kinds(columns))
    if not isinstance(data, str | os.PathLike) or not (any_name or is_table_file(data)):
        return None
    if is_arrow_file(data):
        return source_of_arrow(read_arrow(data, str(data)), str(data), "parquet", limit, parse_kinds(columns))
    with spooled_standard_input() if is_pipe(data) else nullcontext(data) as path:
        return open_csv(path, str(path), kinds=parse_kinds(columns), **options)


def _with_bounds(source: TableSource | None, max_error: str) -> TableSource | None:
    """Return a table with bounds on the errors of some columns."""
    if source is None:
        return None
    source.bounds = parse_bounds(max_error)
    for name in source.bounds:
        if name not in source.form.names:
            raise UnknownNameError(f"column of {source.name}", name, source.form.names)
    return source


def table_of(data: Any, *, max_error: Any = None, as_records: bool = False, **reading: Any) -> TableSource | None:
    """Return data that are compressed without a model as a table; None if they are an array, series or texts.

    Files of text are tables, unless their rows are numbers at a date each, which are series, or an option says that
    they are series or texts. Data with a bound for all of their values are arrays or series.

    Parameters
    ----------
    data : path, data frame, pyarrow.Table, or others
    max_error, as_records
        As for `narrows.compress`.
    **reading
        Options of `open_table`, and of formats.
    """
    given = {name: value for name, value in reading.items() if value is not None}
    has_bounds = isinstance(max_error, str) and "=" in max_error
    if as_records or (max_error is not None and not has_bounds) or given.keys() - _OPTIONS:
        return None
    given |= {"max_error": max_error} if has_bounds else {}
    source = open_table(data, **given)
    return None if source is None or (not given.keys() - {"limit"} and steps_of_series(source)) else source


def steps_of_series(source: TableSource) -> bool:
    """Return whether the rows of a file of text are the steps of a series.

    These are numbers, each at a date that is not before the last, or a single column of numbers.
    """
    if not isinstance(source, CsvSource) or not _are_known(rule.null for rule in source.form.rules):
        return False
    are_dates = [rule.kind in {"date", "datetime"} for rule in source.form.rules]
    are_numbers = [rule.kind in _NUMBERS for rule in source.form.rules]
    if are_numbers == [True]:
        return not any(group.n_exceptions for group in source.groups(_ROWS)) or _are_shortest(source)
    if sum(are_dates) != 1 or sum(are_numbers) != len(are_numbers) - 1 or not any(are_numbers):
        return False
    place, last = are_dates.index(True), None
    for group in source.groups(_ROWS):
        dates = group.columns[place]
        values = np.asarray(dates.column.values)
        if group.n_exceptions or dates.column.missing is not None or (np.diff(values) < 0).any():
            return False
        if last is not None and values[0] < last:
            return False
        last = values[-1]
    return True


def _are_known(missing: Iterable[bytes | None]) -> bool:
    """Return whether series know the texts that stand for missing values."""
    return all(text is None or text.decode("latin-1") in MISSING for text in missing)


def _are_shortest(source: CsvSource) -> bool:
    """Return whether all cells of a single column are floats as Python writes them, such as 0.25 and 1e-05, or missing.

    A series is written so if its numbers are no decimals. It would not give other cells back byte for byte.
    """
    rule = FloatRule(kind="float", null=source.form.rules[0].null)
    for group in source.groups(_ROWS):
        floats = rule.encode(source.form.cells(group, 0))
        is_missing = False if floats.column.missing is None else floats.column.missing
        is_number = np.isfinite(unordered(np.asarray(floats.column.values)))
        if len(floats.rows) or not (is_number | is_missing).all():
            return False
    return True
