"""The model of an archive of a table: the one inside, the one that is given, or one that is found by its hash."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from narrows.archive.layouts import TableLayout
from narrows.archive.metadata import Metadata
from narrows.archive.no_model import NoModel
from narrows.archive.plain_table import LONG_ROWS, PLAIN_ROWS, PlainTable
from narrows.archive.table_model import TableModel
from narrows.errors import CorruptArchiveError, InvalidParameterError, ModelFileError, WrongModelError
from narrows.io.model_file import read_model_file

__all__ = ["TABLE_KIND", "TableCodec", "is_table_model", "table_in_file", "table_of"]

TABLE_KIND = "table"
"""The kind of models of tables in their files."""

_TENSOR = "frozen"


class TableCodec(NoModel):
    """Stands for the codec of an archive of a table.

    Parameters
    ----------
    metadata : Metadata
        The archive's metadata.
    table : TableModel
        What the archive has of the table besides its rows.
    """

    def __init__(self, metadata: Metadata, table: TableModel) -> None:
        super().__init__(metadata)
        self.table = table


def is_table_model(model: Any) -> bool:
    """Return whether a model is that of a table, or the path of one."""
    if isinstance(model, TableModel):
        return True
    if not isinstance(model, str | os.PathLike) or not os.path.isfile(model):
        return False
    try:
        return read_model_file(model, ())[0].get("kind") == TABLE_KIND
    except ModelFileError:
        return False


def table_in_file(path: str | os.PathLike[str]) -> TableModel:
    """Return the model of a table in a file.

    Raises
    ------
    InvalidParameterError
        If it is a model of something else.
    """
    blob = read_model_file(path, {_TENSOR})[1].get(_TENSOR)
    try:
        if blob is None:
            raise CorruptArchiveError("it has no archive codec")
        return TableModel.from_bytes(blob.tobytes())
    except CorruptArchiveError as error:
        raise InvalidParameterError(
            f"{os.fspath(path)} is not a model of a table: {error}. Give one that `narrows train TABLE.csv` made."
        ) from None


def table_of(metadata: Metadata, path: str, inside: bytes | None, given: Any, found: Callable[[], Any]) -> TableCodec:
    """Return the codec of an archive of a table.

    Parameters
    ----------
    metadata : Metadata
        The archive's metadata.
    path : str
        Its path, for messages.
    inside : bytes or None
        The model in the archive; None if there is none.
    given : TableModel, TableCodec, path to a model file, or None
    found : callable
        Returns a model file with the hash of the archive's model, or raises the error that says that there is none.

    Raises
    ------
    WrongModelError
        If the given model is not the one that the archive was written with.
    CorruptArchiveError
        If the model in the archive is damaged.
    """
    options = metadata.more.get(PLAIN_ROWS)
    if options is not None and inside is not None:
        table: TableModel = PlainTable.read(inside, options, is_long=metadata.more.get(LONG_ROWS) is not None)
    elif given is None and inside is not None:
        table = TableModel.from_bytes(inside)
    else:
        one = found() if given is None else given
        if isinstance(one, TableCodec):
            one = one.table
        table = one if isinstance(one, TableModel) else table_in_file(one)
        if table.digest != metadata.model:
            hint = " Omit 'model' (--model): the archive contains its model." if inside is not None else ""
            raise WrongModelError(
                f"{path} was written with the model {metadata.model[:12]}. "
                f"The model given is {table.digest[:12]}.{hint}"
            )
    layout = TableLayout.from_json(metadata.table or {}, ())
    if len(table.form.rules) != layout.n_columns or table.form.entry != layout.form:
        raise CorruptArchiveError("its model has other columns than its metadata declare")
    return TableCodec(metadata, table if layout.file is None else table.of_file(layout.file, layout.order))
