"""Writes a folder of PNG images, all of them or none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.image_names import same_in_any_case
from narrows.data.png_writer import write_png
from narrows.errors import DataError, DataWarning, InvalidParameterError, OutputExistsError, warn
from narrows.io.files import as_path, check_folder, temporary_beside
from narrows.io.remote import refuse_remote

__all__ = ["check_folder_target", "check_images", "write_images"]


def check_folder_target(text: str, *, force: bool) -> None:
    """Refuse a path at which no folder of images can be written.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError
        As for `narrows.data.write`.
    """
    refuse_remote(text, "Images are written to a folder")
    target = as_path(text)
    if _is_taken(target):
        if not target.is_dir():
            kind = "a file" if target.is_file() else "a device or another special file"
            raise OutputExistsError(
                f"The output '{text}' is {kind}, and a name without an extension is that of a folder of images. Choose "
                "another name, for an array one that ends in .npy."
            )
        if not force:
            raise OutputExistsError(
                f"The output '{text}' already exists. Choose another name, or set force (--force) to replace files of "
                "the same names; other files are kept."
            )
    check_folder(Path(os.path.realpath(target)), text)


def _is_taken(folder: Path) -> bool:
    return folder.exists() and not (folder.is_dir() and next(folder.iterdir(), None) is None)


def check_images(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse records (n, ...) that cannot be written as PNG images.

    Raises
    ------
    DataError
        If they are not images of 8 or 16 bits, grey or coloured.
    """
    is_image = len(shape) == 3 or (len(shape) == 4 and shape[-1] == 3)
    if not is_image or dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise DataError(
            "Records in a folder of PNG images must be (n, H, W) or (n, H, W, 3) of dtype uint8 or uint16. "
            f"Got {shape} {dtype}. Write them to a .npy file."
        )


def write_images(folder: Path, pieces: Iterable[npt.NDArray[Any]], names: Sequence[str], *, force: bool) -> None:
    """Write PNG images from pieces (m, H, W) or (m, H, W, 3) under their names; all of them or none.

    Raises
    ------
    InvalidParameterError
        If two names mean one file on a disk that ignores case.
    """
    with temporary_beside(folder, is_folder=True) as temporary:
        _check_case(temporary, names)
        rest = iter(names)
        for piece in pieces:
            for pixels, name in zip(piece, rest, strict=False):
                file = temporary / name
                file.parent.mkdir(parents=True, exist_ok=True)
                write_png(file, pixels)
        check_folder_target(f"{folder}/", force=force)  # another process may have written there meanwhile
        if not folder.exists():
            temporary.replace(folder)
            return
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).replace(folder / name)
    _warn_of_others(folder, names)


def _warn_of_others(folder: Path, names: Sequence[str]) -> None:
    """Warn of files that were in a folder before and were not replaced: whoever opens it gets them as well."""
    written = {folder / name for name in names}
    others = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    others = [name for name in others if folder / name not in written]
    if others:
        kept = f"1 older file ({others[0]})"
        if len(others) > 1:
            kept = f"{len(others):,} older files (the first is {others[0]})"
        text = f"The folder {folder.name}/ still contains {kept} besides the {len(names):,} that were written."
        warn(DataWarning(text, kind="kept-files", count=len(others), first=others[0]))


def _check_case(folder: Path, names: Sequence[str]) -> None:
    """Refuse names that mean one file in an empty folder on a disk that ignores case."""
    same = same_in_any_case(names)
    if same is not None and not _tells_case(folder):
        raise InvalidParameterError(
            f"The file system of '{folder.parent}' ignores upper and lower case, so {same[0]!r} and {same[1]!r} would "
            "be the same file. Write to another disk, or to a .npy file."
        )


def _tells_case(folder: Path) -> bool:
    """Return whether names that differ only in case are two files in an empty folder."""
    probe = folder / "case"
    probe.touch()
    try:
        return not (folder / "CASE").exists()
    finally:
        probe.unlink()
