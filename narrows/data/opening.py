"""`open` turns an array, a path or a name into a Source."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from narrows.data import named
from narrows.data.arrays import check_values, open_array
from narrows.data.formats import Format, Images, Text, options_of
from narrows.data.formats.advice import table_to_array
from narrows.data.frames import has_typed_columns, is_frame, open_frame, with_words
from narrows.data.series.sources import source_of_array
from narrows.data.source import Source, check_limit
from narrows.data.tables.arrow_files import arrow_of_frame
from narrows.data.tables.arrow_table import source_of_arrow
from narrows.data.tables.sources import source_of_table, table_of_array
from narrows.data.tables.typed import typed_table
from narrows.data.text.sources import texts_in_list
from narrows.data.text.texts import is_texts
from narrows.errors import (
    CorruptFileError,
    DataError,
    DataNotFoundError,
    DataWarning,
    InvalidParameterError,
    NarrowsError,
    UnknownNameError,
    warn,
)
from narrows.io.files import as_path
from narrows.io.magic import kind_of
from narrows.io.pipes import STANDARD_INPUT, from_standard_input, is_pipe
from narrows.io.progress import Progress
from narrows.io.remote import fetched
from narrows.records import schema_of

__all__ = ["open"]

AnyFormat = TypeVar("AnyFormat", bound=Format)

_HEAD = 16  # bytes by which files are recognised

_TABLES = {
    ".parquet": "read_parquet({})",
    ".xlsx": "read_excel({})",
}
"""The function of pandas that reads a table, by file extension: for advice if no format recognises the file."""


def open(  # noqa: A001
    data: Any,
    *,
    limit: int | None = None,
    record: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Source:
    """Return the records of an array, a path or a named data set.

    Parameters
    ----------
    data : array_like, str, path or Source
        - an array ``(n, *shape)`` of any real dtype, or an object that NumPy can view as one;
        - a data frame of pandas or polars; with columns of texts, categories or dates, its records are rows of typed
          columns, see `docs/tables.md`; missing values become NaN;
        - a list, array or column of texts, `str` or `bytes`; a `.txt`, `.log` or `.jsonl` file, whose lines are texts;
          with `column` the texts in a column of a `.csv` file. Records are symbols for their bytes (n, length), see
          `docs/text.md`;
        - a table of typed columns: a `.csv`, `.tsv`, `.parquet` or `.feather` file;
        - a series: a `.csv` file of numbers with a column of times, a `.wav` file, or with `window` an array or `.npy`
          file of shape (steps,) or (steps, channels). Records are windows of it;
        - a `.npy` or `.npz` file, an IDX file (gzipped or not), a folder of images, one image, or a glob such as
          ``"photos/*.png"``. What is lost in reading images (transparency, all frames of an animation but the first),
          and files that are skipped, cause a `DataWarning` each. Images that take more than a quarter of the memory
          are kept in a temporary file, in the folder ``$NARROWS_CACHE`` if that is set, as long as the source is used;
        - the name of a data set: ``"digits"``, ``"mnist"``, ``"fashion-mnist"``, with ``":train"`` (the default),
          ``":test"`` or ``":all"``. A name takes precedence over a file of the same name; write ``"./mnist"`` for the
          file. A `pathlib.Path` is always a path;
        - ``"-"``: standard input, a `.npy`, `.npz` or IDX file, which is copied to a temporary file first;
        - a Source, which is returned unchanged.
    limit : int, optional
        Number of records to keep; only so many images are read.
    record : {"columns", "image", "series", "text", "vector"}, optional
        What a record is. "series": records are windows (n, steps) or (n, steps, channels) of series. By default the
        shape decides, unless the format does. With "text", a file whose name has another ending, and standard input,
        are lines of text. Models take records for this if their own `record` is "auto".
    progress : callable, optional
        Called as `narrows.data.Progress` with activity, number done, total number and unit: with the bytes of each file
        while a named set is downloaded (``"downloading t10k-images-idx3-ubyte.gz"``), and with the records while more
        than 1,024 images are read (``"checking images"``, then ``"reading images"``).
    **options
        Options of the data's format: ``resize=(height, width)``, ``convert="grey"`` or ``"colour"`` and ``bits=8`` for
        image files, ``key="name"`` of the array of records for `.npz` files. For series: ``window=`` and ``stride=`` in
        steps, for arrays, `.npy`, `.csv` and `.wav` files; ``time=``, ``values=`` and ``group=``, names of columns of
        `.csv` files. See `docs/series.md`. For text: ``length=``, the largest number of bytes of a record, and
        ``column=`` of a `.csv` file.

    Returns
    -------
    Source

    Raises
    ------
    DataError
        If the data cannot be used; DataNotFoundError and CorruptFileError are kinds of it.
    InvalidParameterError
        If an option is not allowed, or has no effect for this kind of data; UnknownNameError if there is
        no such option, split or key.
    DownloadError
        If a named set is missing and cannot be downloaded.
    OutputError
        If images need a temporary file that does not fit on the disk.

    Examples
    --------
    >>> import numpy as np
    >>> open(np.zeros((100, 8, 8), dtype="float32"), limit=10)
    Source(name='array (100, 8, 8) float32', kind='array', n_records=10, shape=(8, 8), dtype=float32)
    """
    limit = None if limit is None else check_limit(limit)
    options = _checked(options)
    if isinstance(data, Source):
        source = data
    elif isinstance(data, str | os.PathLike):
        source = _open_text_or_path(data, options, limit, progress, are_texts=record == "text")
        check_values(source.values, source.name)
    elif is_texts(data):
        source = texts_in_list(data, length=options.pop("length", None))
    else:
        cutting = {name: options.pop(name, None) for name in ("window", "stride")}
        if any(cutting.values()):
            source = source_of_array(data.to_numpy() if is_frame(data) else data, **cutting)
        else:
            source = _open_frame_or_array(data, limit, as_rows=record == "columns")
    _check_used(options, source.name, source.kind, is_open=source is data)
    if record is not None:
        schema_of(record, source.shape, source.dtype, owner="open")
        source = replace(source, record=record)
        if record == "columns" and source.table is None:
            values = source.values.astype(np.float64)
            source = replace(source, values=values, table=table_of_array(values, source.columns))
    return source if limit is None else source.limit(limit)


def _open_frame_or_array(data: Any, limit: int | None, *, as_rows: bool) -> Source:
    """Return a data frame or an array; ``as_rows``: its records are rows of typed columns."""
    if not is_frame(data):
        return open_array(data)
    if not (as_rows or has_typed_columns(data)):
        return open_frame(data)
    found = source_of_arrow(arrow_of_frame(with_words(data), with_labels=False), "data frame", "array", limit)
    return source_of_table(typed_table(found), f"data frame of {found.n_rows:,} rows", "array", as_rows=as_rows)


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are not None, as formats store them."""
    known = options_of(Format.registry.values())
    checked = {}
    for option, value in options.items():
        if option not in known:
            raise UnknownNameError("option of open", option, known)
        allowed = known[option][0]
        if not allowed.accepts(value):
            raise InvalidParameterError(f"The '{option}' must be {allowed}. Got {value!r}.")
        if value is not None:
            checked[option] = allowed.convert(value)
    return checked


def _check_used(options: dict[str, Any], name: str, source_kind: str, *, is_open: bool = False) -> None:
    """Refuse options that have no effect on a kind of source, or on one that is open already."""
    for option in options:
        formats = options_of(Format.registry.values())[option][2]
        if is_open or source_kind not in {kind.name for kind in formats}:
            titles = " and ".join(kind.title for kind in formats)
            raise InvalidParameterError(
                f"The option '{option}' can be set only for {titles}. Got {name}, of kind '{source_kind}'. "
                "Leave the option out."
            )


def _open_text_or_path(
    data: str | os.PathLike[str],
    options: dict[str, Any],
    limit: int | None,
    progress: Progress | None,
    *,
    are_texts: bool = False,
) -> Source:
    name = os.fspath(data)
    if is_pipe(data):
        with from_standard_input() as path:
            kind = _format_of(path, STANDARD_INPUT, is_piped=True, are_texts=are_texts)
            return _reader(kind, options).open(path, STANDARD_INPUT, limit=limit, progress=progress)
    if isinstance(data, str) and named.is_named(data):
        _check_used(options, data, "named")  # before a download
        if os.path.lexists(name):
            text = f"'{name}' is read as the named data set. To read the file or folder of this name, write './{name}'."
            warn(DataWarning(text, kind="name", first=name))
        return named.open_named(data, progress)
    if not name.strip() or "\0" in name:
        raise InvalidParameterError(
            "The data must be an array, a path or the name of a data set "
            f"({', '.join(named.named_sets())}). Got {name!r}."
        )
    path = fetched(as_path(name)) if isinstance(data, str) else as_path(name)
    try:
        if not path.exists():
            if isinstance(data, str) and re.search(r"[*?\[]", data):
                return _reader(Images, options).open_glob(path, name, limit=limit, progress=progress)
            raise _not_found(data, path)
        kind = _format_of(path, name, are_texts=are_texts)
        shown = name.rstrip("/\\") + "/" if path.is_dir() else name
        return _reader(kind, options).open(path, shown, limit=limit, progress=progress)
    except OSError as error:  # missing permission, a failing disk; our own errors pass
        if isinstance(error, NarrowsError):
            raise
        raise DataError(f"{name} cannot be read: {error.strerror or error}.") from error


def _reader(kind: type[AnyFormat], options: dict[str, Any]) -> AnyFormat:
    """Return a format with those of the options that it has."""
    own = options_of([kind])
    return kind(**{option: value for option, value in options.items() if option in own})


def _format_of(path: Path, name: str, *, is_piped: bool = False, are_texts: bool = False) -> type[Format]:
    """Return the format of a file or folder: the first that recognises it; ``is_piped``: it is standard input.

    If records are to be texts, a file that no format recognises has one in each line.
    """
    head = b""
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"{name} must be a regular file or a folder.")
        if path.stat().st_size == 0:
            raise CorruptFileError(f"{name} is empty (0 bytes).")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    for kind in Format.registry.values():
        if kind.recognises(path, head):
            return kind
    if are_texts and not path.is_dir() and kind_of(head.ljust(_HEAD, b"\0")) is None:
        return Text
    if is_piped:
        raise _not_piped(head)
    reads = [kind.reads for kind in Format.registry.values()]
    raise DataError(f"The format of {name} is unknown. narrows reads {', '.join(reads)}.{_conversion(path)}")


def _not_piped(head: bytes) -> DataError:
    """Return the error for standard input whose first bytes are of no format that is read there."""
    found = kind_of(head.ljust(_HEAD, b"\0"))
    what = "The format of standard input is unknown" if found is None else f"Standard input is {found}"
    reads = [kind.reads for kind in Format.registry.values() if kind is not Images]
    return DataError(
        f"{what}. narrows reads there: {', '.join(reads)}. Images are read from files and folders: "
        "give the name of one."
    )


def _conversion(path: Path) -> str:
    """Return a sentence with Python code that converts a table to a .npy file; empty for other files."""
    reader = _TABLES.get(path.suffix.lower())
    if reader is None:
        return ""
    return table_to_array(path, reader)


def _not_found(data: str | os.PathLike[str], path: Path) -> DataNotFoundError:
    names = named.named_sets()
    if isinstance(data, str) and data == str(path) and len(path.parts) == 1:
        word, colon, split = data.partition(":")
        near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
        if near and not path.suffix:
            return DataNotFoundError(
                f"There is no file, folder or data set '{data}'. Did you mean '{near[0]}{colon}{split}'? "
                f"Named data sets: {', '.join(names)}."
            )
    parent = path.absolute().parent
    hint = "" if parent.is_dir() else f" The folder {parent} does not exist either."
    return DataNotFoundError(
        f"There is no file or folder '{os.fspath(data)}'.{hint} Named data sets: {', '.join(names)}."
    )
