"""Series in a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from narrows.data.formats.advice import table_to_array
from narrows.data.formats.contract import Format, RecordStream
from narrows.data.formats.series_options import stride_option, window_option
from narrows.errors import DataError
from narrows.io.files import write_atomically
from narrows.io.progress import Progress
from narrows.parts.options import Text, option, optional

if TYPE_CHECKING:
    from narrows.data.series import WholeSeries
    from narrows.data.source import Source

__all__ = ["Csv"]


class Csv(Format, name="csv"):
    """Series whose steps are the rows of a CSV file."""

    title: ClassVar[str] = ".csv files"
    reads: ClassVar[str] = "series in .csv files"
    target: ClassVar[str] = "a path that ends in .csv (series)"

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

    @classmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        return path.name.lower().endswith((".csv", ".tsv"))

    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        from narrows.data.series.csv_files import has_times
        from narrows.data.series.sources import source_of

        how = "read_csv({})" if path.name.lower().endswith(".csv") else "read_csv({}, sep='\\t')"
        if not any(self.get_params(deep=False).values()) and not has_times(path, name):
            raise DataError(
                f"{name} has no column of dates. If its rows are the steps of a series, name its column of times "
                "(--time COLUMN), or the length of windows (--window 128, or --window auto)."
                f"{table_to_array(path, how)}"
            )
        return source_of(self.read(path, name), name, "csv", window=self.window, stride=self.stride)

    def read(self, path: Path, name: str) -> WholeSeries:
        """Return the whole series."""
        from narrows.data.series.csv_files import series_in_csv

        return series_in_csv(path, name, time=self.time, values=self.values, group=self.group)

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        return not is_folder and path.name.lower().endswith(".csv")

    @classmethod
    def write(cls, path: Path, records: RecordStream, *, force: bool) -> None:
        from narrows.data.series.csv_files import csv_pieces

        series, shape = records.series, records.shape
        if series is None and len(shape) > 2:
            raise DataError(f"A CSV file holds rows of numbers. Got records of shape {shape[1:]}. Write a .npy file.")
        n_channels = shape[1] if len(shape) > 1 else 1
        names = tuple(f"x{i}" for i in range(n_channels)) if n_channels > 1 else ("value",)
        pieces = csv_pieces(
            iter(records.pieces),
            origin={} if series is None else series.origin,
            channels=names if series is None or series.channels is None else series.channels,
            times=None if series is None else series.times,
            groups=None if series is None else series.groups,
        )
        write_atomically(path, lambda file: file.writelines(pieces), force=force)
