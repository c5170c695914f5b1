"""`open` turns an array, a path or a name into a Source."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

from narrows.data import images, named
from narrows.data.arrays import open_array
from narrows.data.idx import GZIP_MAGIC, is_idx, open_idx
from narrows.data.images import OnImages
from narrows.data.named import OnDownload
from narrows.data.numpy_files import open_npy, open_npz
from narrows.data.source import Source, check_limit
from narrows.errors import CorruptFileError, DataError, DataNotFoundError, InvalidParameterError, NarrowsError
from narrows.io.files import as_path

__all__ = ["open"]

ZIP_MAGIC, NPY_MAGIC = b"PK", b"\x93NUMPY"

_TABLES = {
    ".csv": "read_csv({})",
    ".tsv": "read_csv({}, sep='\\t')",
    ".parquet": "read_parquet({})",
    ".xlsx": "read_excel({})",
}
"""The function of pandas that reads a table, by file extension."""


def open(  # noqa: A001
    data: Any,
    *,
    resize: tuple[int, int] | None = None,
    limit: int | None = None,
    key: str | None = None,
    on_download: OnDownload | None = None,
    on_images: OnImages | None = None,
) -> Source:
    """Return the records of an array, a path or a named data set.

    Parameters
    ----------
    data : array_like, str, path or Source
        - an array ``(n, *shape)`` of any real dtype, or an object that NumPy can view as one;
        - a `.npy` or `.npz` file, an IDX file (gzipped or not), a folder of images, one image, or a glob such as
          ``"photos/*.png"``. Transparent images are put on white, with a `DataWarning`. Images that take more than a
          quarter of the memory are kept in a temporary file, in the folder ``$NARROWS_CACHE`` if that is set, as long
          as the source is used;
        - the name of a data set: ``"digits"``, ``"mnist"``, ``"fashion-mnist"``, with ``":train"`` (the default),
          ``":test"`` or ``":all"``. A name takes precedence over a file of the same name; write ``"./mnist"`` for the
          file. A `pathlib.Path` is always a path;
        - a Source, which is returned unchanged.
    resize : (int, int), optional
        Height and width to which every image is resized. Only for image files.
    limit : int, optional
        Number of records to keep; only so many images are read.
    key : str, optional
        Name of the array of records in a `.npz` file.
    on_download : callable, optional
        Called with file name, bytes so far, and total bytes (or None) while a named set is downloaded.
    on_images : callable, optional
        Called with the activity, images so far, and total images while more than 1,024 images are read.

    Returns
    -------
    Source

    Raises
    ------
    DataError
        If the data cannot be used; DataNotFoundError and CorruptFileError are kinds of it.
    InvalidParameterError
        If an option is not allowed, or has no effect for this kind of data; UnknownNameError if there is
        no such split or key.
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
    resize = None if resize is None else images.check_size(resize)
    if isinstance(data, Source):
        source = data
    elif isinstance(data, str | os.PathLike):
        source = _open_text_or_path(data, resize, limit, key, on_download=on_download, on_images=on_images)
    else:
        source = open_array(data)
    if resize is not None and (source.kind != "images" or source is data):
        raise InvalidParameterError(f"The 'resize' is for image files. {source.name} is of kind '{source.kind}'.")
    if key is not None and (source.kind != "npz" or source is data):
        raise InvalidParameterError(f"The 'key' is for .npz files. {source.name} is of kind '{source.kind}'.")
    return source if limit is None else source.limit(limit)


def _open_text_or_path(
    data: str | os.PathLike[str],
    resize: tuple[int, int] | None,
    limit: int | None,
    key: str | None,
    *,
    on_download: OnDownload | None,
    on_images: OnImages | None,
) -> Source:
    name = os.fspath(data)
    if isinstance(data, str) and named.is_named(data):
        return named.open_named(data, on_download)
    if not name.strip() or "\0" in name:
        raise InvalidParameterError(
            "The data must be an array, a path or the name of a data set "
            f"({', '.join(named.named_sets())}). Got {name!r}."
        )
    path = as_path(name)
    try:
        if not path.exists():
            if isinstance(data, str) and re.search(r"[*?\[]", data):
                return images.open_images(
                    path.parent, name, pattern=str(path), resize=resize, limit=limit, on_images=on_images
                )
            raise _not_found(data, path)
        if path.is_dir():
            return images.open_images(path, name.rstrip("/\\") + "/", resize=resize, limit=limit, on_images=on_images)
        return _open_file(path, name, resize, limit, key)
    except OSError as error:  # missing permission, a failing disk; our own errors pass
        if isinstance(error, NarrowsError):
            raise
        raise DataError(f"{name} cannot be read: {error.strerror or error}.") from error


def _open_file(path: Path, name: str, resize: tuple[int, int] | None, limit: int | None, key: str | None) -> Source:
    """Open a file by its extension if that is known, otherwise by its first bytes."""
    if not path.is_file():
        raise DataError(f"{name} is neither a file nor a folder.")
    if path.stat().st_size == 0:
        raise CorruptFileError(f"{name} is empty (0 bytes).")
    with path.open("rb") as file:
        head = file.read(8)
    ending = path.suffix.lower()
    if ending in images.ENDINGS:
        return images.open_images(path, name, resize=resize, limit=limit)
    if ending == ".npy" or head.startswith(NPY_MAGIC):
        return open_npy(path, name)
    if ending == ".npz" or (not ending and head.startswith(ZIP_MAGIC)):
        return open_npz(path, name, key)
    if is_idx(head) or re.search(r"idx\d|\.idx$", path.name) or (head.startswith(GZIP_MAGIC) and _is_gzipped_idx(path)):
        return open_idx(path, name)
    raise DataError(
        f"narrows cannot read {name}. It reads .npy, .npz and IDX files (gzipped or not), and images "
        f"({', '.join(images.ENDINGS)}): a file, a folder or a glob.{_conversion(path)}"
    )


def _conversion(path: Path) -> str:
    """Return a sentence with Python code that converts a table to a .npy file; empty for other files."""
    reader = _TABLES.get(path.suffix.lower())
    if reader is None:
        return ""
    return (
        " Convert it to an array first, in Python: import numpy, pandas; "
        f"numpy.save({str(path.with_suffix('.npy'))!r}, pandas.{reader.format(repr(str(path)))}.to_numpy('float32'))"
    )


def _is_gzipped_idx(path: Path) -> bool:
    import gzip
    import zlib

    try:
        with gzip.open(path) as stream:
            return is_idx(stream.read(4))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CorruptFileError(f"{path} is damaged or cut off: {error}.") from error


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
