"""Models of tables in files of their own: learned from one table, for archives of others with the same columns."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from narrows.archive.table_codec import TABLE_KIND, table_in_file
from narrows.archive.table_model import TableModel
from narrows.archive.table_writer import group_rows, learn_table
from narrows.data.tables.csv_table import CsvForm
from narrows.data.tables.form import TableSource
from narrows.data.tables.opening import open_csv_as
from narrows.errors import InvalidParameterError
from narrows.io.files import check_output, write_atomically
from narrows.io.model_file import FORMAT, HEADER
from narrows.io.progress import Progress

__all__ = ["open_for_model", "train_table"]


def train_table(
    source: TableSource, path: str | os.PathLike[str], *, force: bool = False, progress: Progress | None = None
) -> TableModel:
    """Learn from a table, and write the model to a file.

    Parameters
    ----------
    source : TableSource
        The table.
    path : path-like
        The file, usually ``something.safetensors``.
    force : bool
        Replace an existing file.
    progress : callable, optional
        Called as `narrows.io.progress.Progress`.
    """
    import json

    from safetensors.numpy import save

    from narrows import __version__

    check_output(path, force=force)
    table = learn_table(source, group_rows(source), progress)
    header = {"format": FORMAT, "kind": TABLE_KIND, "narrows": __version__, **table.about}
    blob = np.frombuffer(table.blob, np.uint8)
    data = save({"frozen": blob}, {HEADER: json.dumps(header, sort_keys=True)})
    write_atomically(path, lambda file: file.writelines([data]), force=force)
    return table


def open_for_model(
    data: Any, model: str | os.PathLike[str] | TableModel, **options: Any
) -> tuple[TableSource, TableModel]:
    """Return a table in a file of text, and the model for it; other options are those of `open_csv_as`.

    Raises
    ------
    DataError, CorruptFileError
        As `open_csv_as`.
    InvalidParameterError
        If the data are no file of text, or the model's table was none.
    """
    table = model if isinstance(model, TableModel) else table_in_file(model)
    if not isinstance(data, str | os.PathLike) or not isinstance(table.form, CsvForm):
        raise InvalidParameterError(
            "The model of a table is for files of text, and learned from one. Compress other tables without a model: "
            "what is learned from them is then stored in the archive."
        )
    source, order = open_csv_as(data, str(data), table.form, **options)
    return source, table.of_file(source.form.to_json(), order)
