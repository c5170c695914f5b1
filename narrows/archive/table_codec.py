"""The model of an archive of a table: the one inside, the one that is given, or one that is found by its hash."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from narrows.archive.metadata import Metadata
from narrows.archive.no_model import NoModel
from narrows.archive.table_model import TableModel
from narrows.errors import CorruptArchiveError, InvalidParameterError, WrongModelError
from narrows.io.model_file import read_model_file

__all__ = ["TableCodec", "table_in_file", "table_of"]

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
    if given is None and inside is not None:
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
    if len(table.form.rules) != (metadata.table or {}).get("columns"):
        raise CorruptArchiveError("its model has another number of columns than its metadata declare")
    return TableCodec(metadata, table)
