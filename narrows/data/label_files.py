"""Files with one label for each record: .npy, IDX, or lines of text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.data.idx import is_gzipped_idx, is_idx, read_idx
from narrows.data.labels import missing_labels, plain_labels
from narrows.data.numpy_files import map_npy
from narrows.errors import CorruptFileError, DataNotFoundError
from narrows.io.files import as_path
from narrows.io.remote import fetched

__all__ = ["read_label_file"]

_EXACT = 1 << 53  # up to which floats are whole numbers without gaps


def read_label_file(path: str | os.PathLike[str], *, may_miss: bool = False) -> NDArray[Any]:
    """Return the labels (n,) in a file: an array of one axis, or one label on each line of a text file.

    Parameters
    ----------
    path : path-like
        The file.
    may_miss : bool
        Whether labels may be missing: empty lines of a text and NaN of an array, which are None in an array of objects.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    CorruptFileError
        If it is none of these, or damaged.
    """
    file = fetched(as_path(path))
    if not file.is_file():
        raise DataNotFoundError(f"The file of labels {os.fspath(path)} does not exist.")
    with file.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(b"\x93NUMPY"):
        found = _whole(_flat(np.asarray(map_npy(file, os.fspath(path), may_be_text=True)), path), may_miss=may_miss)
        return found if may_miss and missing_labels(found).any() else plain_labels(found)
    if is_idx(head) or is_gzipped_idx(file, head):
        return _flat(read_idx(file), path)
    lines = _lines(file, path)
    if not may_miss or all(line.strip() for line in lines):
        return _as_labels(lines)
    known = iter(_as_labels([line for line in lines if line.strip()]).tolist())
    return np.array([next(known) if line.strip() else None for line in lines], object)


def _flat(array: NDArray[Any], path: str | os.PathLike[str]) -> NDArray[Any]:
    if array.ndim != 1:
        raise CorruptFileError(f"A file of labels has one axis. {os.fspath(path)} has the shape {array.shape}.")
    return array


def _whole(labels: NDArray[Any], *, may_miss: bool) -> NDArray[Any]:
    """Return floats as whole numbers if all of them are some, NaN as None; all else as it is."""
    if labels.dtype.kind != "f":
        return labels
    missing = np.isnan(labels)
    known: NDArray[Any] = labels[~missing]
    if (missing.any() and not may_miss) or not len(known) or np.abs(known).max() > _EXACT or (known % 1 != 0).any():
        return labels
    if not missing.any():
        return known.astype(np.int64)
    whole = np.full(len(labels), None, object)
    whole[~missing] = known.astype(np.int64)
    return whole


def _lines(file: Path, path: str | os.PathLike[str]) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CorruptFileError(
            f"Labels are in a .npy or an IDX file, or on the lines of a text. {os.fspath(path)} is none of these."
        ) from error


def _as_labels(lines: list[str]) -> NDArray[Any]:
    """Return whole numbers if all lines are some, otherwise texts."""
    try:
        return np.array([int(line) for line in lines], np.int64)
    except ValueError:
        return np.array(lines, str)
