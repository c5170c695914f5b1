"""Tables in files of text: series, rows of typed columns, or the texts in one column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from narrows.data.formats.advice import table_to_array
from narrows.data.formats.contract import Format, RecordStream
from narrows.data.formats.series_options import stride_option, window_option
from narrows.data.formats.table_options import columns_option
from narrows.data.formats.text_options import length_option
from narrows.errors import DataError, InvalidParameterError
from narrows.io.files import write_atomically
from narrows.io.progress import Progress
from narrows.parts.options import Text, option, optional

if TYPE_CHECKING:
    from narrows.data.series import WholeSeries
    from narrows.data.source import Source

__all__ = ["Csv"]


_COMPRESSED = (".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst")
_NUMBERS = {"integer", "decimal", "float"}


class Csv(Format, name="csv"):
    """Rows of a CSV file: steps of series if they are numbers at dates, otherwise records of typed columns.

    With ``column``, the records are the texts in a column.
    """

    title: ClassVar[str] = ".csv files"
    reads: ClassVar[str] = "tables and series in .csv files, or texts (--column)"
    target: ClassVar[str] = "a path that ends in .csv (tables, series, or a column of texts)"

    window: int | str | None = window_option()
    stride: int | None = stride_option()
    time: str | None = option(
        optional(Text()), "column of times in a .csv file; by default the first column of dates", default=None
    )
    values: str | None = option(
        optional(Text()), "columns of values in a .csv file, separated by commas; by default all others", default=None
    )
    group: str | None = option(
        optional(Text()), "column in a .csv file that names the series of each row, if there are several", default=None
    )

    column: str | None = option(
        optional(Text()), "column of texts in a .csv file, each of which is a record", default=None
    )
    length: int | str | None = length_option()
    columns: str | None = columns_option()

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        return path.name.lower().endswith((".csv", ".tsv", *_COMPRESSED))

    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        from narrows.data.series.sources import source_of

        if self.column is not None:
            return self._open_column(path, name, limit)
        if self.length is not None:
            raise InvalidParameterError(
                f"The 'length' of records of text (--length) needs the column of texts in {name}: column=NAME "
                "(--column NAME)."
            )
        others = [option for option, value in self.get_params(deep=False).items() if value and option != "columns"]
        if not others:
            table = self._table(path, name, limit)
            if table is not None:
                return table
        elif self.columns is not None:
            raise InvalidParameterError(
                f"The 'columns' (--columns) of {name} are for tables, and '{others[0]}' (--{others[0]}) is for series. "
                "Omit one of them."
            )
        return source_of(self.read(path, name), name, "csv", window=self.window, stride=self.stride)

    def _table(self, path: Path, name: str, limit: int | None) -> Source | None:
        """Return the rows as records; None if they are the steps of a series: numbers, and one column of dates."""
        from narrows.data.tables.opening import open_csv, parse_kinds
        from narrows.data.tables.sources import source_of_table
        from narrows.data.tables.typed import typed_table

        found = open_csv(path, name, limit=limit, kinds=parse_kinds(self.columns))
        if self.columns is not None:
            return source_of_table(typed_table(found), name, "csv")
        kinds = [rule.kind for rule in found.form.rules]
        dates = [kind for kind in kinds if kind in {"date", "datetime"}]
        if len(dates) == 1 and sum(kind in _NUMBERS for kind in kinds) == len(kinds) - 1 > 0:
            return None
        if [kind in _NUMBERS for kind in kinds] == [True]:
            how = "read_csv({})" if path.name.lower().endswith(".csv") else "read_csv({}, sep='\\t')"
            raise DataError(
                f"{name} has one column of numbers, and no column of dates. If its rows are the steps of a series, set "
                f"the length of windows (--window 128, or --window auto).{table_to_array(path, how)}"
            )
        return source_of_table(typed_table(found), name, "csv")

    def _open_column(self, path: Path, name: str, limit: int | None) -> Source:
        """Return the texts in a column."""
        from narrows.data.text.sources import source_of_texts, texts_in_column

        assert self.column is not None, "a column is named"
        given = {option: value for option, value in self.get_params(deep=False).items() if value is not None}
        if others := sorted(given.keys() - {"column", "length"}):
            raise InvalidParameterError(
                f"With 'column' (--column), {name} is read as text, and '{others[0]}' (--{others[0]}) is not for "
                "texts. Omit one of them."
            )
        texts = texts_in_column(path, name, self.column)
        texts = texts if limit is None or limit >= len(texts) else texts.take(slice(0, limit))
        return source_of_texts(texts, name, "csv", length=self.length)

    def read(self, path: Path, name: str) -> WholeSeries:
        """Return the whole series."""
        from narrows.data.series.csv_files import series_in_csv

        return series_in_csv(path, name, time=self.time, values=self.values, group=self.group)

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        return not is_folder and path.name.lower().endswith(".csv")

    @classmethod
    def write(cls, path: Path, records: RecordStream, *, force: bool) -> None:
        contents = cls.contents(records)
        write_atomically(path, lambda file: file.writelines(contents), force=force)

    @classmethod
    def contents(cls, records: RecordStream) -> Iterator[bytes]:
        """Return the bytes of the file, piece by piece.

        Raises
        ------
        DataError
            If the records are no rows of numbers.
        """
        from narrows.data.series.csv_files import csv_pieces

        if records.text is not None:
            from narrows.data.text.lines import column_pieces

            return column_pieces(iter(records.pieces), records.text)
        series, shape = records.series, records.shape
        if series is None and len(shape) > 2:
            raise DataError(f"A CSV file holds rows of numbers. Got records of shape {shape[1:]}. Write a .npy file.")
        n_channels = shape[1] if len(shape) > 1 else 1
        names = tuple(f"x{i}" for i in range(n_channels)) if n_channels > 1 else ("value",)
        return csv_pieces(
            iter(records.pieces),
            origin={} if series is None else series.origin,
            channels=names if series is None or series.channels is None else series.channels,
            times=None if series is None else series.times,
            groups=None if series is None else series.groups,
        )
