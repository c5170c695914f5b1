"""Opens an array with any number of axes, as the values of a field."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.frames import is_frame
from narrows.data.opening import open as open_data
from narrows.data.source import Source
from narrows.errors import DataError

__all__ = ["FieldSource", "open_field"]


@dataclass(frozen=True, eq=False)
class FieldSource:
    """An array, and the same values as a source of records along the first axis.

    Attributes
    ----------
    values : ndarray
        The array, memory-mapped where the file allows it.
    source : Source
        The same values; those of an array with one axis have a second axis of length 1.
    """

    values: npt.NDArray[Any]
    source: Source


def open_field(data: Any, *, limit: int | None = None, **options: Any) -> FieldSource:
    """Return the values of an array or a file.

    Parameters
    ----------
    data : array_like, path, name or Source
        As for `narrows.data.open`; arrays and `.npy` files may also have one axis.
    limit : int, optional
        The largest number of slices along the first axis.
    **options
        Others of `narrows.data.open`.

    Raises
    ------
    DataError
        As `narrows.data.open`.
    """
    line = _line(data)
    if line is None:
        source = open_data(data, limit=limit, **options)
        return FieldSource(source.values, source)
    source = open_data(line[:, None], limit=limit)
    if isinstance(data, str | os.PathLike):
        source = replace(source, name=os.fspath(data), kind="npy")
    return FieldSource(source.values[:, 0], source)


def _line(data: Any) -> npt.NDArray[Any] | None:
    """Return an array or a `.npy` file with one axis; None for all other data."""
    if isinstance(data, Source) or is_frame(data):
        return None
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        if path.suffix.lower() != ".npy" or not path.is_file():
            return None
        try:
            found = np.load(path, mmap_mode="c", allow_pickle=False)
        except (ValueError, OSError, EOFError):  # `narrows.data.open` has better messages
            return None
    else:
        try:
            found = np.asarray(data)
        except ValueError as error:
            raise DataError(f"The array cannot be read: {error}.") from error
    return found if isinstance(found, np.ndarray) and found.ndim == 1 else None
