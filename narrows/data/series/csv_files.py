"""Series in CSV files: reading, and writing the same text again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.csv_reader import MISSING, CsvTable, join_rows, quoted, read_csv
from narrows.data.series.decimals import decimals_of
from narrows.data.series.number_texts import number_texts, style_of
from narrows.data.series.times import Times
from narrows.data.series.wav_files import is_same_wav
from narrows.data.series.whole import WholeSeries
from narrows.errors import CorruptFileError, DataError

__all__ = ["csv_pieces", "has_times", "is_same_text", "series_in_csv"]

NO_TIMES = "none"
_STYLE = re.compile(r"repr|short|\.\d{1,2}f")
_ROWS = 1 << 15  # that are written at a time


def series_in_csv(
    path: Path,
    source: str,
    *,
    time: str | None = None,
    values: str | None = None,
    group: str | None = None,
) -> WholeSeries:
    """Return the series in a CSV file.

    Parameters
    ----------
    path : Path
    source : str
        Its name in messages.
    time : str, optional
        The column of times, which must not decrease. By default the first column of dates; "none": there are no times.
    values : str, optional
        The columns of values, separated by commas. By default all others.
    group : str, optional
        The column with the name of the series that a row belongs to.

    Raises
    ------
    DataError, CorruptFileError, UnknownNameError
        If there is no such column, a value is no number, or times decrease; names the row.
    """
    table = read_csv(path, source)
    group = None if group is None else table.check_name(group)
    if time == NO_TIMES and time not in table.names:
        time, without = None, [time_column(table, group)]
    else:
        time, without = time_column(table, group) if time is None else table.check_name(time), []
    others = [name for name in table.names if name not in {time, group, *without}]
    channels = others if values is None else _chosen(values, table)
    if not channels or set(channels) & {time, group}:
        raise DataError(
            f"{source} needs at least one column of values besides its times and groups. "
            f"Its columns are {', '.join(table.names)}. Got {values or 'none'}."
        )
    columns = [table.numbers(name) for name in channels]
    found = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
    times = None if time is None else Times.parse(table.texts(time), time, source, first_row=table.first_row)
    order, lengths, names = _grouped(None if group is None else table.texts(group), table.n_rows)
    _check_sorted(times, order, lengths, table)
    if order is not None:
        found, times = found[order], None if times is None else times.take(order)
    kept = [name for name in table.names if name in {time, group, *channels}]
    texts = [table.texts(name) for name in channels]
    missing = [_missing_text(column) for column in texts]
    styles = [style_of(column, one) for column, one in zip(texts, columns, strict=True)]
    origin = {
        "kind": "csv",
        **({} if kept == _usual_order(group, time, channels) else {"columns": kept}),
        **({} if group is None else {"group": group}),
        **({} if set(styles) == {"repr"} else {"styles": styles}),
        **({"missing": missing} if any(missing) else {}),
        **({"delimiter": table.delimiter} if table.delimiter != "," else {}),
        **({"newline": table.newline} if table.newline != "\n" else {}),
        **({} if table.has_names else {"names": False}),
        **({} if table.ends_with_newline else {"open_end": True}),
    }
    return WholeSeries(found, lengths, names, tuple(channels), times, decimals_of(found), origin, path)


def time_column(table: CsvTable, group: str | None = None) -> str | None:
    """Return the first column that begins with a date; None if there is none."""
    for name in table.names:
        if name == group:
            continue
        first = table.table.column(table.names.index(name)).slice(0, 1).to_pylist()
        try:
            if Times.parse(first, name, table.source).unit:
                return name
        except DataError:
            continue
    return None


def has_times(path: Path, source: str) -> bool:
    """Return whether a CSV file has a column of dates."""
    return time_column(read_csv(path, source)) is not None


def _chosen(values: str, table: CsvTable) -> list[str]:
    """Return the names of columns in a text, separated by commas; a name may have commas itself."""
    if values in table.names:
        return [values]
    chosen = [table.check_name(name.strip()) for name in values.split(",")]
    if len(set(chosen)) < len(chosen):
        raise DataError(f"The columns of values must differ. Got {values!r}.")
    return chosen


def _grouped(
    texts: list[str] | None, n_rows: int
) -> tuple[npt.NDArray[np.int64] | None, tuple[int, ...], tuple[str, ...] | None]:
    """Return the order of the rows by series, the lengths of the series, and their names, as they first occur."""
    if texts is None:
        return None, (n_rows,), None
    number: dict[str, int] = {}
    members = np.array([number.setdefault(text, len(number)) for text in texts], np.int64)
    lengths = np.bincount(members).tolist()
    return np.argsort(members, kind="stable"), tuple(lengths), tuple(number)


def _check_sorted(
    times: Times | None, order: npt.NDArray[np.int64] | None, lengths: Sequence[int], table: CsvTable
) -> None:
    """Raise DataError if the times of a series decrease; names the row."""
    if times is None:
        return
    ticks = times.ticks if order is None else times.ticks[order]
    falls = np.flatnonzero(np.diff(ticks) < 0) + 1
    falls = falls[~np.isin(falls, np.cumsum(lengths))]
    if not len(falls):
        return
    at = int(falls[0])
    row = at if order is None else int(order[at])
    before, now = (times if order is None else times.take(order)).take(slice(at - 1, at + 1)).texts()
    advice = "" if order is not None else " If the file has several series, name the column that tells them (--group)."
    raise DataError(
        f"The times in column {times.name!r} of {table.source} must not decrease. Row {table.first_row + row:,} has "
        f"{now}, after {before}. Sort the rows by time, or leave the times out (--time {NO_TIMES}).{advice}"
    )


def _usual_order(group: str | None, time: str | None, channels: Sequence[str]) -> list[str]:
    """Return the columns in the order in which they are written if nothing else is known."""
    return [name for name in (group, time, *channels) if name is not None]


def _missing_text(texts: list[str]) -> str:
    """Return the text that most often stands for a missing value."""
    found = [text for text in texts if text in MISSING]
    return max(set(found), key=found.count) if found else ""


def csv_pieces(
    pieces: Iterator[npt.NDArray[Any]],
    *,
    origin: dict[str, Any],
    channels: Sequence[str],
    times: Times | None,
    groups: Sequence[str] | None,
) -> Iterator[bytes]:
    """Yield the bytes of a CSV file.

    Parameters
    ----------
    pieces : iterator of ndarray of shape (m,) or (m, channels)
        The values, in order.
    origin : dict
        How the file was written; see `series_in_csv`.
    channels : sequence of str
        Names of the columns of values.
    times : Times, optional
        Times of all rows.
    groups : sequence of str, optional
        The series of all rows.
    """
    _check_origin(origin, len(channels))
    delimiter, newline = origin.get("delimiter", ","), origin.get("newline", "\n")
    time = times.name if times is not None else None
    group = origin.get("group", "series") if groups is not None else None
    usual = _usual_order(group, time, channels)
    names = origin.get("columns") or usual
    if sorted(names) != sorted(usual):
        what = f"The columns of the CSV file do not match its values: {names!r:.100}."
        raise CorruptFileError(f"{what} Write a .npy file.")
    styles = origin.get("styles") or ["repr"] * len(channels)
    missing = origin.get("missing") or [""] * len(channels)
    done, last = 0, b""
    if origin.get("names", True):
        last = (delimiter.join(quoted(name, delimiter) for name in names) + newline).encode()
    for piece in pieces:
        columns = piece.reshape(len(piece), -1)
        for start in range(0, len(piece), _ROWS):
            rows = slice(done + start, done + min(start + _ROWS, len(piece)))
            texts: dict[str, Sequence[str]] = {}
            for i, name in enumerate(channels):
                texts[name] = number_texts(columns[start : start + _ROWS, i], styles[i], missing[i])
            if times is not None:
                texts[times.name] = times.take(rows).texts()
            if groups is not None and group is not None:
                texts[group] = [quoted(text, delimiter) for text in groups[rows]]
            yield last
            last = join_rows([texts[name] for name in names], delimiter, newline).encode()
        done += len(piece)
    yield last.removesuffix(newline.encode()) if origin.get("open_end") else last


def _check_origin(origin: dict[str, Any], n_channels: int) -> None:
    """Raise CorruptFileError if a description, which may come from a forged archive, is of no CSV file."""

    def is_list(name: str, n: int | None = None) -> bool:
        given = origin.get(name) or [""] * (n or 0)
        texts = isinstance(given, list) and all(isinstance(text, str) for text in given)
        return texts and (n is None or len(given) == n)

    are_lists = is_list("styles", n_channels) and is_list("missing", n_channels) and is_list("columns")
    is_valid = (
        are_lists
        and all(_STYLE.fullmatch(style) for style in origin.get("styles") or [])
        and origin.get("delimiter", ",") in tuple(",;\t|")
        and origin.get("newline", "\n") in ("\n", "\r\n")
        and isinstance(origin.get("group", ""), str)
    )
    if not is_valid:
        raise CorruptFileError(f"The description of the CSV file is not valid: {origin!r:.120}. Write a .npy file.")


def is_same_text(series: WholeSeries, path: Path | None = None) -> bool | None:
    """Return whether the CSV or WAV file that is written for a series is that which it was read from, byte for byte.

    None if it was not read from such a file, or that is no longer there.
    """
    path = series.path if path is None else path
    if path is None or not path.is_file() or series.origin.get("kind") not in {"csv", "wav"}:
        return None
    if series.origin["kind"] == "wav":
        return is_same_wav(series, path)
    rendered = csv_pieces(
        iter([series.values]),
        origin=series.origin,
        channels=series.channels or (),
        times=series.times,
        groups=series.groups(),
    )
    with path.open("rb") as file:
        return all(file.read(len(piece)) == piece for piece in rendered) and not file.read(1)
