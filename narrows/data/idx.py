"""IDX files, the format of MNIST and similar sets; plain or gzipped, recognised by content.

::

    offset  bytes
    0       2           zero
    2       1           dtype: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
    3       1           number of axes
    4       4 per axis  their lengths, big-endian
    …                   the values, big-endian, last axis fastest

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from narrows.data.arrays import check_values
from narrows.data.source import Source
from narrows.errors import CorruptFileError, DataError

__all__ = ["is_gzipped_idx", "is_idx", "label_file", "open_idx", "read_idx"]

GZIP_MAGIC = b"\x1f\x8b"
DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
DEFLATE_MAX_RATIO = 1032  # the largest ratio that deflate can reach


def open_idx(path: Path, name: str) -> Source:
    """Return the records of an IDX file, with the labels from the file beside it.

    The labels of ``train-images-idx3-ubyte`` are in ``train-labels-idx1-ubyte``, with or without ``.gz``.

    Raises
    ------
    CorruptFileError
        If the file is not an IDX file, is truncated or too long.
        DataError
        If the numbers of records and labels differ.
    """
    values = check_values(read_idx(path), name)
    partner = label_file(path)
    labels = None if partner is None else read_idx(partner)
    if labels is not None and labels.shape != (len(values),):
        raise DataError(
            f"Each record needs one label. {path} has {len(values):,} records, but the labels in {partner} have the "
            f"shape {labels.shape}. Rename the file of labels to read the records without them."
        )
    return Source(values, labels, name=name, kind="idx")


def is_idx(head: bytes) -> bool:
    """Return whether a file with these first four bytes is an IDX file."""
    return len(head) >= 4 and head[:2] == b"\0\0" and head[2] in DTYPES and head[3] > 0


def is_gzipped_idx(path: Path, head: bytes) -> bool:
    """Return whether a file with these first bytes is a gzipped IDX file.

    Raises
    ------
    CorruptFileError
        If it is gzipped, and damaged.
    """
    if not head.startswith(GZIP_MAGIC):
        return False
    try:
        with gzip.open(path) as stream:
            return is_idx(stream.read(4))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CorruptFileError(f"{path} is damaged or cut off: {error}.") from error


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Return the array in an IDX file, in native byte order.

    Parameters
    ----------
    path : Path
        Plain or gzipped; told apart by content. Plain files of one-byte values are memory-mapped (copy on write).

    Returns
    -------
    ndarray
        With the shape and dtype that the file declares; these are checked against its size before memory is allocated.

    Raises
    ------
    CorruptFileError
        If the file is not an IDX file, is truncated or too long; gives the expected and the found bytes.
    """
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        gzipped = file.read(2) == GZIP_MAGIC
        file.seek(0)
        if not gzipped:
            return _read_plain(file, path, n_bytes)
        with gzip.GzipFile(fileobj=file) as stream:
            try:
                return _read_gzipped(stream, path, n_bytes)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise CorruptFileError(
                    f"{path} is damaged or cut off: its {n_bytes:,} bytes cannot be unzipped ({error})."
                ) from error


def _read_plain(file: IO[bytes], path: Path, n_bytes: int) -> npt.NDArray[Any]:
    dtype, shape = _read_header(file, path)
    offset, expected = file.tell(), math.prod(shape) * dtype.itemsize
    if offset + expected != n_bytes:
        raise _wrong_size(path, shape, dtype, offset + expected, f"{n_bytes:,} bytes")
    if dtype.itemsize == 1:
        return np.memmap(path, dtype, "c", offset, shape)
    return np.fromfile(file, dtype.newbyteorder(">")).reshape(shape).astype(dtype, copy=False)


def _read_gzipped(stream: gzip.GzipFile, path: Path, n_bytes: int) -> npt.NDArray[Any]:
    dtype, shape = _read_header(stream, path)
    offset, expected = stream.tell(), math.prod(shape) * dtype.itemsize
    if expected > n_bytes * DEFLATE_MAX_RATIO:
        found = f"a gzip file of {n_bytes:,} bytes, which is too small for this content"
        raise _wrong_size(path, shape, dtype, offset + expected, found)
    raw = np.empty(expected, np.uint8)
    n_read = 0
    while n_read < expected:
        n_more = stream.readinto(raw.data[n_read : n_read + (1 << 20)])
        if not n_more:
            raise _wrong_size(path, shape, dtype, offset + expected, f"{offset + n_read:,} bytes")
        n_read += n_more
    if stream.read(1):
        raise _wrong_size(path, shape, dtype, offset + expected, "more bytes")
    return raw.view(dtype.newbyteorder(">")).reshape(shape).astype(dtype, copy=False)


def _read_header(stream: IO[bytes] | gzip.GzipFile, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    head = stream.read(4)
    if not is_idx(head):
        raise CorruptFileError(
            f"{path} is not an IDX file. An IDX file must start with the bytes 00 00, a dtype "
            f"({', '.join(f'{code:02x}' for code in DTYPES)}) and the number of axes. Got '{head.hex(' ')}'."
        )
    dtype, n_axes = np.dtype(DTYPES[head[2]]), head[3]
    lengths = stream.read(4 * n_axes)
    if len(lengths) < 4 * n_axes:
        raise CorruptFileError(
            f"{path} is cut off: its header must have {4 + 4 * n_axes:,} bytes. Got {4 + len(lengths):,} bytes."
        )
    shape = struct.unpack(f">{n_axes}I", lengths)
    if 0 in shape:
        raise DataError(f"{path} must contain at least one value. Its shape is {shape}.")
    if n_axes > 64:
        raise CorruptFileError(f"{path} is damaged: its header must declare at most 64 axes. Got {n_axes}.")
    return dtype, shape


def _wrong_size(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], expected: int, found: str
) -> CorruptFileError:
    return CorruptFileError(
        f"{path} is damaged or cut off: its header declares {shape} {dtype}, so its content must have "
        f"{expected:,} bytes. Got {found}."
    )


def label_file(path: Path) -> Path | None:
    """Return the file of labels beside an IDX file of images; None if there is none."""
    stem = path.name.removesuffix(".gz")
    labels, n_changes = re.subn(r"images([-._]?)idx\d", r"labels\1idx1", stem)
    if not n_changes:
        return None
    candidates = [path.with_name(labels + ending) for ending in (path.name[len(stem) :], "", ".gz")]
    return next((candidate for candidate in candidates if candidate.is_file()), None)
