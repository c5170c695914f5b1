"""Files with one label for each record: .npy, IDX, or lines of text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.data.idx import is_gzipped_idx, is_idx, read_idx
from narrows.data.labels import plain_labels
from narrows.data.numpy_files import map_npy
from narrows.errors import CorruptFileError, DataNotFoundError
from narrows.io.files import as_path

__all__ = ["read_label_file"]


def read_label_file(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return the labels (n,) in a file: an array of one axis, or one label on each line of a text file.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    CorruptFileError
        If it is none of these, or damaged.
    """
    file = as_path(path)
    if not file.is_file():
        raise DataNotFoundError(f"The file of labels {os.fspath(path)} does not exist.")
    with file.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(b"\x93NUMPY"):
        return plain_labels(_flat(np.asarray(map_npy(file, os.fspath(path))), path))
    if is_idx(head) or is_gzipped_idx(file, head):
        return _flat(read_idx(file), path)
    return _lines(file, path)


def _flat(array: NDArray[Any], path: str | os.PathLike[str]) -> NDArray[Any]:
    if array.ndim != 1:
        raise CorruptFileError(f"A file of labels has one axis. {os.fspath(path)} has the shape {array.shape}.")
    return array


def _lines(file: Path, path: str | os.PathLike[str]) -> NDArray[Any]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CorruptFileError(
            f"Labels are in a .npy or an IDX file, or on the lines of a text. {os.fspath(path)} is none of these."
        ) from error
    try:
        return np.array([int(line) for line in lines], np.int64)
    except ValueError:
        return np.array(lines, str)
