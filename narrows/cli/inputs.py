"""Opens data and models for the verbs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import click

from narrows.cli.console import count, note
from narrows.cli.file_names import refuse_other_kinds
from narrows.cli.outputs import split_record
from narrows.cli.progress import show_progress
from narrows.io.pipes import check_standard_output, is_pipe, spooled_standard_input

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = [
    "archive_file",
    "check_archive_output",
    "check_file_output",
    "check_record",
    "load_model",
    "open_data",
    "open_record",
]


def open_data(
    data: str, *, shape: tuple[int, ...] | None = None, limit: int | None = None, quiet: bool = False, **reading: Any
) -> Source:
    """Return the records of a path or a name; show the progress of downloads and of reading images.

    Parameters
    ----------
    shape : tuple of int, optional
        The shape of a model's records, whose channels images get where that is exact.
    reading : dict
        Options of the data's format, as `narrows.data.open` has them.
    """
    import narrows.data
    from narrows.data.for_model import as_needed

    with show_progress(quiet=quiet) as progress:
        source = narrows.data.open(data, limit=limit, progress=progress, **reading)
    if shape is not None:
        return as_needed(source, shape)
    if source.text is not None and (source.text.is_chosen or source.text.n_cut):
        note(f"{source.name} is text, {count(len(source.text.texts), 'record')}, read as {source.text}.", quiet=quiet)
    if source.windows is not None and source.windows.is_chosen[0]:
        note(
            f"{source.name} is a series of {source.windows.series.n_steps:,} steps, read as {source.windows}.",
            quiet=quiet,
        )
    return source


def open_record(data: str, *, shape: tuple[int, ...] | None = None, quiet: bool = False) -> NDArray[Any]:
    """Return one record (*shape): ``DATA#INDEX``, counted from 0, or DATA with one record.

    Raises
    ------
    DataError
        If the data have no such record, or more than one without an index.
    """
    from narrows.errors import DataError

    where, index = split_record(data)
    source = open_data(where, shape=shape, limit=None if index is None else index + 1, quiet=quiet)
    if index is None and len(source) != 1:
        raise DataError(
            f"One record is needed, but {source.name} has {len(source):,} records. "
            f"Append '#' and the index of a record, for example '{data}#0'."
        )
    if index is not None:
        check_record(source, index, data)
    record: NDArray[Any] = source.values[index or 0]
    return record


def check_record(source: Source, index: int, given: str) -> None:
    """Raise DataError if data have no record with an index; ``given`` is what was typed."""
    from narrows.errors import DataError

    if len(source) <= index:
        raise DataError(f"The index of a record of {source.name} must be from 0 to {len(source) - 1:,}. Got '{given}'.")


def archive_file(path: str) -> str | os.PathLike[str]:
    """Return the path of an archive; for ``-`` that of a copy of standard input, which is kept until the verb ends."""
    if not is_pipe(path):
        return path
    return click.get_current_context().with_resource(spooled_standard_input())


def load_model(path: str, device: str = "auto") -> Autoencoder:
    """Return the model in a file."""
    import narrows
    from narrows.errors import ModelFileError

    model = narrows.load(path, device=device)
    if model.kind != "autoencoder":
        what = "a model of bytes" if model.kind == "bytes" else f"the model of a {model.kind}"
        raise ModelFileError(f"This command needs the model of an autoencoder. {path} is {what}.")
    return cast("Autoencoder", model)


def check_file_output(path: str, *, force: bool) -> None:
    """Refuse an output file that cannot be written, before any work is done.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        As for `narrows.io.files.check_output`.
    """
    from narrows.io.files import check_output

    check_output(path, force=force)


def check_archive_output(path: str, *, force: bool) -> None:
    """Refuse an archive that cannot be written, or whose name has the extension of another kind of file.

    ``-`` is standard output.

    Raises
    ------
    click.UsageError
        If the name has the extension of another kind of file.
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        As for `narrows.io.files.check_output`.
    """
    if is_pipe(path):
        check_standard_output()
        return
    refuse_other_kinds(path, "an archive", ".narrows")
    check_file_output(path, force=force)
