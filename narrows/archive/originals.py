"""Images from which an archive may have been made must not be overwritten by what is restored from it."""

from __future__ import annotations

import math
import os

from narrows.archive.reader import Archive
from narrows.data.image_names import image_names
from narrows.errors import InvalidParameterError, recorded
from narrows.io.files import as_path

__all__ = ["check_originals"]


def check_originals(archive: Archive, records: range | list[int], out: str | os.PathLike[str]) -> None:
    """Refuse a folder with images of the archive's names that are older than the archive: they may be the originals.

    Images that were restored earlier are newer than the archive.

    Raises
    ------
    InvalidParameterError
        If there is such an image.
    """
    folder = as_path(out)
    if not folder.is_dir():
        return
    files = archive.file_names(records)
    if not files or not all(files):  # numbers, which no original has as its name
        return
    with recorded(held=True):  # the writer repeats the warnings
        names = image_names(len(files), files)
    source = as_path(archive.path)
    written = source.stat().st_mtime if source.is_file() else math.inf  # unknown for standard input
    for name in names:
        file = folder / name
        if file.is_file() and file.stat().st_mtime < written:
            raise InvalidParameterError(
                f"The output '{os.fspath(out)}' contains '{name}', which is older than {archive.path} and may be the "
                "image that was compressed. It would be overwritten. Give another folder."
            )
