"""Writes records at once or piece by piece. The path decides the format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.arrays import as_array, check_values
from narrows.data.formats import Csv, Format, Npy, RecordStream, Text
from narrows.data.numpy_files import write_npy
from narrows.data.series.rows import SeriesRows
from narrows.data.text.rows import TextRows
from narrows.errors import DataError, InvalidParameterError
from narrows.io.files import as_path, naming_output
from narrows.io.pipes import check_standard_output, is_pipe, to_standard_output

__all__ = ["check_target", "stream", "write"]

_MOST_NAME_BYTES = 255  # of one name of a path, on all common file systems


def write(
    path: str | os.PathLike[str],
    values: npt.ArrayLike,
    *,
    files: Sequence[str] | None = None,
    series: SeriesRows | None = None,
    text: TextRows | None = None,
    force: bool = False,
) -> Path:
    """Write records atomically: as `.npy`, an IDX file, a folder of PNG images, a series as CSV or WAV, or as text.

    Parameters
    ----------
    path : str or path
        The name decides the format: one array if it ends in ``.npy``; an IDX file if it is the name of one, such as
        ``t10k-images-idx3-ubyte`` or ``x.idx``, with or without ``.gz``; a new folder of PNG images if it ends in ``/``
        or has no extension; a CSV file for ``.csv``, whose rows are the records, sound for ``.wav``, and lines of text
        for ``.txt``, ``.log`` and ``.jsonl``. The parent folder must exist. ``"-"`` is standard output, which gets a
        `.npy` file.
    values : array_like of shape (n, *shape)
        For images: (n, H, W) or (n, H, W, 3), uint8 or uint16; `open` reads them back unchanged.
    files : sequence of str, optional
        Relative names of the images (sub-folders allowed), as in `Source.files`; their extension becomes ``.png``.
        None: ``000000.png`` and so on.
    series : SeriesRows, optional
        The values are the steps (steps,) or (steps, channels) of series, with these times, names and origin.
    text : TextRows, optional
        The values are pieces (n, length) of texts; without it, each record is a text.
    force : bool
        Replace an existing output. In a folder, files of the same names are replaced and other files are kept.

    Returns
    -------
    Path
        The path that was written.

    Raises
    ------
    OutputExistsError
        If the output exists and `force` is not set; or, for an IDX file, if there is a file of labels beside it.
    DataNotFoundError
        If the parent folder does not exist.
    OutputError
        If permission is missing, or the disk is full.
    InvalidParameterError
        If the path has another extension or is not valid, or `files` is not allowed.
    DataError
        If the values cannot be records, or the format does not support their shape or dtype.
    """
    records = as_array(values)
    check_values(records[:, None] if series is not None and records.ndim == 1 else records, "The values to write")
    records = records if records.dtype.isnative else records.astype(records.dtype.newbyteorder("="))
    kind = check_target(path, force=force)
    if files is not None:
        if not kind.keeps_names:
            raise InvalidParameterError(
                f"The 'files' can be set only if the output is a folder of images. Got the output {os.fspath(path)!r}."
            )
        _check_names(files)
    _check_records(kind, path, records.shape, records.dtype, text)
    made = RecordStream([records], records.shape, records.dtype, lambda: files, series, text)
    if is_pipe(path):
        _pipe(made)
        return Path("-")
    with naming_output(path):
        kind.write(as_path(path), made, force=force)
    return as_path(path)


def stream(
    path: str | os.PathLike[str],
    pieces: Iterable[npt.NDArray[Any]],
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    files: Callable[[], Sequence[str]] | None = None,
    series: SeriesRows | None = None,
    text: TextRows | None = None,
    force: bool = False,
) -> Path:
    """Write records atomically and piece by piece, so that they need not fit into memory.

    Parameters
    ----------
    path : path-like
        The output. Its name decides the format, as in `write`.
    pieces : iterable of ndarray of shape (m, *shape[1:])
        The records, in order: n in total.
    shape : tuple of int
        (n, *shape of a record).
    dtype : dtype
        Dtype of the records.
    files : callable, optional
        Returns the relative names of the records; called only if the format stores names. A record with an empty name
        gets its number as name. None: all records do.
    series : SeriesRows, optional
        As for `write`.
    text : TextRows, optional
        As for `write`.
    force : bool
        Replace an existing output. In a folder, files of the same names are replaced and other files are kept.

    Returns
    -------
    Path
        The path that was written.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError, DataError
        As for `write`.
    """
    kind = check_target(path, force=force)

    def names() -> list[str] | None:
        given = [] if files is None else files()
        width = max(6, len(str(shape[0] - 1)))
        return [name or f"{i:0{width}d}.png" for i, name in enumerate(given)] if any(given) else None

    _check_records(kind, path, shape, dtype, text)
    made = RecordStream(pieces, shape, dtype, names, series, text)
    if is_pipe(path):
        _pipe(made)
        return Path("-")
    with naming_output(path):
        kind.write(as_path(path), made, force=force)
    return as_path(path)


def check_target(path: str | os.PathLike[str], *, force: bool = False) -> type[Format]:
    """Return the format in which `write` writes to a path, or raise the error that `write` would raise.

    This check comes before long computations.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        As for `write`.
    """
    text = os.fspath(path)
    if is_pipe(path):
        check_standard_output()
        return Npy
    target = as_path(text)
    _check_path(text, target)
    ends_as_folder = text.endswith(("/", os.sep)) or (target.is_dir() and not _names_a_file(target))
    folders = [True] if ends_as_folder else [False, not target.suffix]
    for is_folder in folders if text else []:
        for kind in Format.registry.values():
            if kind.is_target(target, is_folder=is_folder):
                kind.check_target(text, force=force)
                return kind
    targets = [kind.target for kind in Format.registry.values() if kind.target is not None]
    raise InvalidParameterError(f"The output must be {', '.join(targets[:-1])} or {targets[-1]}. Got {text!r}.")


def _check_records(
    kind: type[Format],
    path: str | os.PathLike[str],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    text: TextRows | None,
) -> None:
    """Refuse records that a format cannot hold."""
    if text is not None and kind.keeps_names:
        raise DataError(
            f"Texts cannot be written to a folder of images. Got the output {os.fspath(path)!r}. Name a .txt file."
        )
    kind.check_records(shape, dtype)


def _pipe(records: RecordStream) -> None:
    """Write records to standard output: series of a CSV file as such a file, texts as lines, others as `.npy`."""
    with to_standard_output() as file:
        if records.text is not None:
            file.writelines(Text.contents(records))
        elif records.series is not None and records.series.origin.get("kind") == "csv":
            file.writelines(Csv.contents(records))
        else:
            write_npy(file, records.pieces, records.shape, records.dtype)


def _check_path(text: str, target: Path) -> None:
    """Refuse a path that no file system can have."""
    too_long = next((part for part in target.parts if len(os.fsencode(part)) > _MOST_NAME_BYTES), None)
    if "\0" in text or too_long is not None:
        raise InvalidParameterError(
            f"The output must be a path without NUL, whose names have at most {_MOST_NAME_BYTES} bytes. "
            f"Got {text!r:.80}. Give another name."
        )


def _check_names(files: Sequence[str]) -> None:
    """Refuse names of images that are not a sequence of texts, or that no file system can have."""
    if isinstance(files, str | bytes) or not all(isinstance(file, str) for file in files):
        raise InvalidParameterError(
            f"The 'files' must be a sequence of names, one for each record, such as ['a.png']. Got {files!r:.80}."
        )
    bad = next((file for file in files if "\0" in file), None)
    if bad is not None:
        raise InvalidParameterError(f"The 'files' must be names without NUL. Got {bad!r:.80}. Give another name.")


def _names_a_file(path: Path) -> bool:
    """Return whether a path is the name of a file in one of the formats."""
    return any(kind.is_target(path, is_folder=False) for kind in Format.registry.values())
