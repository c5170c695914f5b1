"""Writes records piece by piece, in bounded memory, to `.npy`, IDX, or a folder of PNG images."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from narrows.data.idx_writer import check_idx, write_idx
from narrows.data.write import check_images, check_target, image_names, write_images
from narrows.errors import InvalidParameterError
from narrows.io.files import as_path, check_output, naming_output, write_atomically

__all__ = ["check_stream_target", "stream"]


def stream(
    path: str | os.PathLike[str],
    pieces: Iterable[npt.NDArray[Any]],
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    files: Callable[[], Sequence[str]] | None = None,
    force: bool = False,
) -> Path:
    """Write records piece by piece, atomically.

    Parameters
    ----------
    path : path-like
        Its name decides the format, see `check_stream_target`.
    pieces : iterable of ndarray of shape (m, *shape[1:])
        Pieces that add up to `shape`.
    shape : tuple of int
        (n, *shape of a record).
    dtype : dtype
        Dtype of the records.
    files : callable, optional
        Returns the relative names of the records; called only if images are written. Without it, or if a name is empty,
        images are numbered.
    force : bool
        Overwrite the output. In a folder, files of the same name are replaced and others stay.

    Returns
    -------
    Path
        The path that was written.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        As for `narrows.data.write`.
    DataError
        If such records cannot be written as IDX or as images.
    """
    kind = check_stream_target(path, force=force)
    target = as_path(path)
    if kind == "npy":
        write_atomically(target, lambda file: _write_npy(file, pieces, shape, dtype), force=force)
    elif kind == "idx":
        check_idx(shape, dtype)
        gzipped = target.name.lower().endswith(".gz")
        write_atomically(target, lambda file: write_idx(file, pieces, shape, dtype, gzipped=gzipped), force=force)
    else:
        check_images(shape, dtype)
        with naming_output(path):
            names = _names(files, shape[0])
            write_images(Path(os.path.realpath(target)), pieces, names, force=force)
    return target


def check_stream_target(path: str | os.PathLike[str], *, force: bool = False) -> str:
    """Return the format that `stream` would write to a path, or raise its error before long work starts.

    Returns
    -------
    str
        ``"npy"``; ``"idx"`` for names such as ``t10k-images-idx3-ubyte`` and ``.idx``, with or without ``.gz``; or
        ``"images"`` for a path that ends in ``/`` or has no ending.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        As for `stream`.
    """
    text = os.fspath(path)
    target = as_path(text)
    is_folder = text.endswith(("/", os.sep)) or target.is_dir()
    if not is_folder and re.search(r"idx\d|\.idx(\.gz)?$", target.name.lower()):
        check_output(target, force=force)
        return "idx"
    if not is_folder and target.suffix and target.suffix.lower() != ".npy":
        raise InvalidParameterError(
            "Records are written to a path that ends in .npy, has the name of an IDX file (…-idx3-ubyte, .idx, either "
            f"with .gz), or ends in / (a folder of PNG images). Got {text!r}."
        )
    return "images" if check_target(path, force=force) else "npy"


def _write_npy(
    file: BinaryIO, pieces: Iterable[npt.NDArray[Any]], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for piece in pieces:
        file.write(np.ascontiguousarray(piece, dtype).data)


def _names(files: Callable[[], Sequence[str]] | None, n: int) -> list[str]:
    """Return the names of n images, each with its extension."""
    given = [] if files is None else files()
    if not any(given):
        return image_names(n, None)
    width = max(6, len(str(n - 1)))
    return image_names(n, [name or f"{i:0{width}d}.png" for i, name in enumerate(given)])
