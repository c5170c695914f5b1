"""Reading of Parquet and Feather (Arrow IPC) files, and of data frames, as Arrow tables."""

from __future__ import annotations

import os
from typing import Any

from narrows.data.tables.arrow_package import arrow_package
from narrows.errors import CorruptFileError, DataError

__all__ = ["arrow_of_frame", "is_arrow_file", "read_arrow"]

_PARQUET, _FEATHER = b"PAR1", b"ARROW1"


def is_arrow_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins as Parquet and Feather files do."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(6).startswith((_PARQUET, _FEATHER))


def read_arrow(path: str | os.PathLike[str], name: str) -> Any:
    """Return the `pyarrow.Table` in a Parquet or Feather file.

    Raises
    ------
    CorruptFileError
        If it cannot be read.
    MissingPackageError
        If PyArrow is not installed.
    """
    pa = arrow_package(f"Reading {name}")
    with open(path, "rb") as file:
        is_parquet = file.read(4) == _PARQUET
    try:
        if is_parquet:
            from pyarrow import parquet

            return parquet.read_table(path)
        with pa.memory_map(os.fspath(path)) as source:
            return pa.ipc.open_file(source).read_all()
    except (pa.ArrowException, OSError) as error:
        raise CorruptFileError(f"{name} cannot be read: {str(error).splitlines()[0]:.200}") from error


def arrow_of_frame(frame: Any, *, with_labels: bool = True) -> Any:
    """Return a data frame of pandas or polars, or an Arrow table, as a `pyarrow.Table`.

    Parameters
    ----------
    with_labels : bool
        Whether an index of pandas without a name becomes a column. Of some rows of a frame it has their numbers.

    Raises
    ------
    DataError
        If Arrow has no type for a column.
    """
    pa = arrow_package("A table of a data frame")
    if isinstance(frame, pa.Table):
        return frame
    if hasattr(frame, "to_arrow"):
        return frame.to_arrow()
    try:
        is_left_out = not with_labels and set(frame.index.names) == {None}
        return pa.Table.from_pandas(frame, preserve_index=False if is_left_out else None)
    except (pa.ArrowException, TypeError, ValueError) as error:
        why = ". ".join(str(one).splitlines()[0] for one in error.args) or str(error)
        raise DataError(
            f"The data frame cannot be read as a table: {why:.200}. Convert it, or leave it out."
        ) from error
