"""Writing IDX files, plain or gzipped, record by record; the inverse of `idx.read_idx`."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from narrows.data.idx import DTYPES
from narrows.errors import DataError

__all__ = ["check_idx", "write_idx"]


def check_idx(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return the IDX code of a dtype, or raise an error if an array cannot be an IDX file.

    Raises
    ------
    DataError
        If IDX has no such dtype, or an axis is too long.

    Examples
    --------
    >>> check_idx((60_000, 28, 28), np.dtype("uint8"))
    8
    """
    codes = {np.dtype(name): code for code, name in DTYPES.items()}
    if dtype not in codes:
        known = ", ".join(known.name for known in codes)
        raise DataError(
            f"Records in IDX files must have one of the dtypes {known}. Got {dtype}. Write them to a .npy file."
        )
    if len(shape) > 64 or max(shape) >= 1 << 32:
        raise DataError(
            f"Arrays in IDX files must have at most 64 axes, all shorter than 2^32. Got the shape {shape}. "
            "Write the records to a .npy file."
        )
    return codes[dtype]


def write_idx(
    file: BinaryIO,
    pieces: Iterable[npt.NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    gzipped: bool = False,
) -> None:
    """Write an array given in pieces along its first axis.

    Parameters
    ----------
    file : binary file
    pieces : iterable of ndarray of shape (m, *shape[1:])
        Pieces that add up to `shape`.
    shape : tuple of int
        Shape of the whole array.
    dtype : dtype
        A dtype of IDX.
    gzipped : bool
        Compress the file. Equal values give equal bytes.

    Raises
    ------
    DataError
        If IDX does not allow the shape or the dtype.
    """
    if gzipped:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as stream:
            _write(stream, pieces, shape, dtype)
    else:
        _write(file, pieces, shape, dtype)


def _write(
    file: BinaryIO | gzip.GzipFile, pieces: Iterable[npt.NDArray[Any]], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    code = check_idx(shape, dtype)
    file.write(struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape))
    for piece in pieces:
        file.write(np.ascontiguousarray(piece, dtype.newbyteorder(">")).data)
