"""Data and models as the verbs open them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from narrows.cli.progress import on_download

if TYPE_CHECKING:
    from narrows.autoencoder import Autoencoder
    from narrows.data import Source

__all__ = ["check_file_output", "check_not_read", "load_model", "open_data"]


def open_data(
    data: str,
    *,
    limit: int | None = None,
    resize: str | None = None,
    key: str | None = None,
    quiet: bool = False,
) -> Source:
    """Return the records at a path or of a name, showing a download if there is one."""
    import narrows.data

    size = None if resize is None else narrows.data.parse_size(resize)
    with on_download(quiet=quiet) as tell:
        return narrows.data.open(data, limit=limit, resize=size, key=key, on_download=tell)


def load_model(path: str, device: str = "auto") -> Autoencoder:
    """Return the model in a file."""
    import narrows

    return narrows.load(path, device=device)


def check_file_output(path: str, *, force: bool) -> None:
    """Refuse an output file that could not be written, before any work is done.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        As `narrows.files.check_output`.
    """
    from narrows.files import check_output

    check_output(path, force=force)


def check_not_read(output: str, inputs: Sequence[str | None]) -> None:
    """Refuse an output that would take the place of what it is made from.

    Raises
    ------
    click.UsageError
        If it is the same file as one of the inputs.
    """
    for given in inputs:
        if given is not None and os.path.exists(output) and os.path.exists(given) and os.path.samefile(output, given):
            raise click.UsageError(f"The output '{output}' is what is read. Give another name.")
