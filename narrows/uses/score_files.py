"""Tables of scores as files: CSV, JSON and Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from narrows.data.csv_reader import quoted
from narrows.errors import InvalidParameterError, MissingPackageError
from narrows.io.files import check_output, write_atomically
from narrows.io.pipes import check_standard_output, is_pipe, to_standard_output

__all__ = ["check_table_output", "write_rows"]

Rows = Iterable[Sequence[Sequence[Any]]]
"""The columns of some rows, then of the next: lists of numbers, booleans, texts, or None."""

_ENDINGS = (".csv", ".json", ".parquet")


def check_table_output(path: str, *, force: bool) -> None:
    """Refuse an output that cannot be written, before any work is done; ``-`` is standard output.

    Raises
    ------
    InvalidParameterError
        If the name does not end in .csv, .json or .parquet.
    MissingPackageError
        If it ends in .parquet, and pyarrow is not installed.
    OutputExistsError, OutputError
        As for `narrows.io.files.check_output`.
    """
    if is_pipe(path):
        check_standard_output()
        return
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        raise InvalidParameterError(
            "Scores are written as CSV, JSON or Parquet, to a path that ends in .csv, .json or .parquet, or as CSV to "
            f"'-'. Got '{path}'."
        )
    if ending == ".parquet":
        _pyarrow()
    check_output(path, force=force)


def write_rows(path: str, names: Sequence[str], rows: Rows, *, force: bool = False) -> None:
    """Write a table.

    Parameters
    ----------
    path : str
        A path that ends in .csv, .json (a list with one object for each row) or .parquet; or ``-``, CSV on standard
        output. In CSV, numbers have six digits, True and False are 1 and 0, and None is empty.
    names : sequence of str
        Names of the columns.
    rows : iterable of columns
        The columns of some rows at a time.
    force : bool
        Replace an existing file.
    """
    check_table_output(path, force=force)
    if is_pipe(path):
        with to_standard_output() as file:
            file.writelines(_csv_lines(names, rows))
        return
    ending = Path(path).suffix.lower()
    if ending == ".parquet":
        write_atomically(path, lambda file: _write_parquet(file, names, rows), force=force)
        return
    lines = _csv_lines(names, rows) if ending == ".csv" else _json_lines(names, rows)
    write_atomically(path, lambda file: file.writelines(lines), force=force)


def _csv_lines(names: Sequence[str], rows: Rows) -> Iterator[bytes]:
    yield (",".join(quoted(name, ",") for name in names) + "\n").encode()
    for columns in rows:
        texts = [[_as_text(one) for one in column] for column in columns]
        yield "".join(",".join(row) + "\n" for row in zip(*texts, strict=True)).encode()


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return quoted(value, ",") if isinstance(value, str) else str(int(value))


def _json_lines(names: Sequence[str], rows: Rows) -> Iterator[bytes]:
    yield b"["
    separator = "\n"
    for columns in rows:
        for row in zip(*columns, strict=True):
            line = json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, allow_nan=False)
            yield f"{separator}{line}".encode()
            separator = ",\n"
    yield b"\n]\n"


def _write_parquet(file: BinaryIO, names: Sequence[str], rows: Rows) -> None:
    pa, parquet = _pyarrow()
    every = [list(columns) for columns in rows]
    joined = [[value for columns in every for value in columns[i]] for i in range(len(names))]
    parquet.write_table(pa.table(dict(zip(names, joined, strict=True))), file)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(
            "Parquet files need the package pyarrow: pip install 'narrows[tables]'. Or write a .csv file."
        ) from error
    return pa, parquet
