"""Reading of CSV files as columns of text, by PyArrow. What the columns mean is decided by those who call it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from narrows.errors import CorruptFileError, DataError, MissingPackageError, UnknownNameError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MISSING", "CsvTable", "read_csv"]

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "none", "#N/A", "<NA>")
"""Texts that stand for missing values."""

_DELIMITERS = ",;\t|"
_HEAD = 1 << 16
_BLOCK = 1 << 24


@dataclass(frozen=True, eq=False)
class CsvTable:
    """The columns of a CSV file, as text.

    Attributes
    ----------
    source : str
        Name of the file, for messages.
    names : tuple of str
        Names of the columns; "0", "1", … if the file has no line of names.
    table : pyarrow.Table
        The columns, of strings; empty fields are empty texts.
    delimiter, newline : str
        The letter between fields, and the end of a line.
    has_names : bool
        Whether the first line has the names of the columns.
    ends_with_newline : bool
        Whether the last line ends like all others.
    """

    source: str
    names: tuple[str, ...]
    table: pa.Table
    delimiter: str
    newline: str
    has_names: bool
    ends_with_newline: bool

    @property
    def n_rows(self) -> int:
        """The number of rows, without the names."""
        return int(self.table.num_rows)

    @property
    def first_row(self) -> int:
        """The number of the line of the first row, from 1."""
        return 2 if self.has_names else 1

    def check_name(self, name: str) -> str:
        """Return the name of a column, or raise UnknownNameError if there is no such column."""
        if name not in self.names:
            raise UnknownNameError(f"column of {self.source}", name, self.names)
        return name

    def texts(self, name: str) -> list[str]:
        """Return a column as texts."""
        texts: list[str] = self.table.column(self.names.index(name)).to_pylist()
        return texts

    def is_number(self, name: str) -> bool:
        """Return whether all texts of a column are numbers or stand for missing values."""
        try:
            self.numbers(name)
        except DataError:
            return False
        return True

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column as numbers, NaN where a value is missing.

        Raises
        ------
        DataError
            If a text is neither a number nor stands for a missing value; names its row.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = pc.utf8_trim_whitespace(self.table.column(self.names.index(name)))
        texts = pc.if_else(pc.is_in(texts, pa.array(MISSING, pa.string())), pa.scalar(None, pa.string()), texts)
        try:
            found = pc.cast(pc.replace_substring_regex(texts, r"^\+", ""), pa.float64())
        except pa.ArrowInvalid:
            for row, text in enumerate(texts.to_pylist()):
                if text is not None and not _is_float(text):
                    raise DataError(
                        f"Row {self.first_row + row:,}, column {name!r} of {self.source} is {text!r:.80}, which is no "
                        "number. Choose columns of numbers (--values), or correct it; missing values are empty or NA."
                    ) from None
            raise
        numbers: npt.NDArray[np.float64] = found.to_numpy(zero_copy_only=False)
        return np.where(np.isnan(numbers), np.nan, numbers)  # one kind of NaN


def _is_float(text: str) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.cast(pa.array([text.removeprefix("+")], pa.string()), pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def read_csv(path: Path, source: str) -> CsvTable:
    """Return the columns of a CSV file.

    The delimiter is that of , ; tab and | which is most frequent in the first line. That line has the names of the
    columns, unless all its fields are numbers.

    Raises
    ------
    CorruptFileError
        If rows have different numbers of fields, or the file is no text in UTF-8.
    DataError
        If it has no rows, or a name occurs twice.
    MissingPackageError
        If PyArrow is not installed.
    """
    try:
        from pyarrow import ArrowInvalid, string
        from pyarrow import csv as arrow
    except ImportError as error:
        raise MissingPackageError(
            "Reading CSV files needs PyArrow. To install it: pip install 'narrows[tables]'", name="pyarrow"
        ) from error
    head, ends_with_newline = _ends(path)
    line, newline, delimiter = _first_line(head, source)
    fields = next(csv.reader([line], delimiter=delimiter), [])
    has_names = not all(_is_float(field.strip()) or field.strip() in MISSING for field in fields)
    names = [field.strip() for field in fields] if has_names else [str(i) for i in range(len(fields))]
    repeated = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if repeated is not None:
        raise DataError(f"{source} has more than one column named {repeated!r}. Rename them.")
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "skip"

    try:
        table = arrow.read_csv(
            path,
            read_options=arrow.ReadOptions(
                use_threads=False, block_size=_BLOCK, column_names=names, skip_rows=int(has_names)
            ),
            parse_options=arrow.ParseOptions(
                delimiter=delimiter,
                invalid_row_handler=refuse,
                ignore_empty_lines=len(names) > 1,  # of a single column, an empty line is a missing value
            ),
            convert_options=arrow.ConvertOptions(
                column_types=dict.fromkeys(names, string()), strings_can_be_null=False, null_values=[]
            ),
        )
    except ArrowInvalid as error:
        if "Empty CSV" in str(error) or "Could not skip" in str(error):
            raise DataError(f"{source} has no rows below the names of its columns.") from None
        text = str(error).split("\n", 1)[0]
        raise CorruptFileError(f"{source} cannot be read as a CSV file: {text:.200}") from error
    if wrong:
        row = wrong[0]
        at = "" if row.number is None else f" {row.number:,}"
        raise CorruptFileError(
            f"Row{at} of {source} has {row.actual_columns} fields, and the first line has {row.expected_columns}: "
            f"{row.text!r:.100}. All rows must have as many fields."
        )
    if not table.num_rows:
        raise DataError(f"{source} has no rows below the names of its columns.")
    return CsvTable(source, tuple(names), table, delimiter, newline, has_names, ends_with_newline)


def _ends(path: Path) -> tuple[bytes, bool]:
    """Return the first bytes of a file, and whether it ends with a line feed."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(-1, 2)
        return head, file.read(1) == b"\n"


def _first_line(head: bytes, source: str) -> tuple[str, str, str]:
    """Return the first line, the end of a line, and the delimiter."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            raise CorruptFileError(
                f"{source} is no text in UTF-8 (byte {error.start:,}). Save it as CSV in UTF-8."
            ) from error
        text = head[: error.start].decode("utf-8-sig")
    line = text.split("\n", 1)[0]
    newline = "\r\n" if line.endswith("\r") else "\n"
    line = line.removesuffix("\r")
    if not line.strip():
        raise DataError(f"The first line of {source} is empty. It must have the names of the columns, or numbers.")
    return line, newline, max(_DELIMITERS, key=line.count)


def quoted(text: str, delimiter: str) -> str:
    """Return a field as it is written into a CSV file: in quotes if it has a delimiter, a quote or a line end.

    Examples
    --------
    >>> quoted("a,b", ","), quoted("a", ",")
    ('"a,b"', 'a')
    """
    if any(letter in text for letter in (delimiter, '"', "\n", "\r")):
        return '"' + text.replace('"', '""') + '"'
    return text


def join_rows(columns: Sequence[Sequence[str]], delimiter: str, newline: str) -> str:
    """Return rows of texts as lines of a CSV file, each with its end."""
    return "".join(delimiter.join(row) + newline for row in zip(*columns, strict=True))
