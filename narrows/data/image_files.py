"""Finds the image files of a folder or a glob, and tells what else lies there."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from narrows.errors import DataError, DataNotFoundError, DataWarning
from narrows.io.magic import IMAGE_ENDINGS

__all__ = ["Found", "classes_of", "find_images"]

_REASONS = {
    "passed-over": ("file", "its extension is not that of an image", "their extensions are not those of images"),
    "hidden": (
        "image",
        "its name or that of its folder begins with a dot",
        "their names or those of their folders begin with a dot",
    ),
    "no-file": (
        "entry",
        "it is a named pipe, a socket, a device or a broken link",
        "they are named pipes, sockets, devices or broken links",
    ),
}
"""For each kind of warning what is skipped, and why: of one, and of several."""


class Found(NamedTuple):
    """The contents of a folder; all names are relative to it, in natural order.

    Attributes
    ----------
    root : Path
        The folder.
    files : list of str
        Files that are read as images.
    unread : list of str
        Other files; hidden ones are left out.
    no_files : list of str
        Named pipes, sockets, devices, and broken links. They are never opened.
    hidden : list of str
        Images with names that begin with a dot, and those in folders with such names.
    """

    root: Path
    files: list[str]
    unread: list[str]
    no_files: list[str]
    hidden: list[str]

    def warnings(self, name: str) -> list[DataWarning]:
        """Return a warning for each kind of things that are not read; ``name`` is that of the folder."""
        found = []
        for kind, skipped in (("passed-over", self.unread), ("hidden", self.hidden), ("no-file", self.no_files)):
            if not skipped:
                continue
            what, of_one, of_several = _REASONS[kind]
            text = f"1 {what} in {name} was skipped, since {of_one} ({skipped[0]})."
            if len(skipped) > 1:
                n = f"{len(skipped):,} {_plural(what)}"
                text = f"{n} in {name} were skipped, since {of_several} (the first is {skipped[0]})."
            found.append(DataWarning(text, kind=kind, count=len(skipped), first=skipped[0]))
        return found


def find_images(path: Path, name: str, pattern: str | None = None) -> Found:
    """Return the images of a folder with its sub-folders, of a glob, or a single file.

    Parameters
    ----------
    path : Path
        A folder or a file.
    name : str
        Name of the data, for messages.
    pattern : str, optional
        A glob, instead of all files below `path`.

    Raises
    ------
    DataNotFoundError
        If there are no images.
    DataError
        If a folder cannot be read.
    """
    if pattern is not None:
        root = Path(re.split(r"[*?\[]", pattern, maxsplit=1)[0] + "_").parent
        entries: Iterable[Path] = (Path(match) for match in glob.glob(pattern, recursive=True))
    elif path.is_dir():
        root, entries = path, _walk(path)
    else:
        return Found(path.parent, [path.name], [], [], [])
    endings = _readable_endings()
    files: list[str] = []
    unread: list[str] = []
    no_files: list[str] = []
    hidden: list[str] = []
    for entry in entries:
        mode = _mode(entry)
        if mode is not None and stat.S_ISDIR(mode):
            continue
        if any(part.startswith(".") for part in entry.relative_to(root).parts):
            if mode is None or not stat.S_ISREG(mode) or entry.suffix.lower() not in endings:
                continue
            kind = hidden
        elif mode is None or not stat.S_ISREG(mode):
            kind = no_files
        else:
            kind = files if entry.suffix.lower() in endings else unread
        kind.append(entry.relative_to(root).as_posix())
    found = Found(root, *(sorted(names, key=_natural) for names in (files, unread, no_files, hidden)))
    if not files:
        others = " ".join(["", *map(str, found.warnings(name))])
        raise DataNotFoundError(
            f"No images found in {name}. Images are files that end in {', '.join(endings)}.{others}"
        )
    return found


def classes_of(files: Sequence[str]) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...] | None]:
    """Return labels and names of the classes: the sub-folders, if all files lie in at least two of them."""
    folders = [file.split("/", 1)[0] if "/" in file else None for file in files]
    names = tuple(sorted({folder for folder in folders if folder is not None}, key=_natural))
    if None in folders or len(names) < 2:
        return None, None
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[folder] for folder in folders if folder is not None], np.int64), names


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder that is no folder; links are followed once, those to hidden folders never."""

    def refuse(error: OSError) -> None:
        if any(part.startswith(".") for part in Path(error.filename).relative_to(folder).parts):
            return
        raise DataError(f"The folder {error.filename} cannot be read: {error.strerror}.") from error

    seen = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        seen.add(os.path.realpath(here))
        folders[:] = [
            sub
            for sub in folders
            if os.path.realpath(os.path.join(here, sub)) not in seen
            and not (sub.startswith(".") and os.path.islink(os.path.join(here, sub)))
        ]
        yield from (Path(here, file) for file in files)


def _mode(path: Path) -> int | None:
    """Return the kind of a file, following links; None if it is a broken link."""
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _readable_endings() -> tuple[str, ...]:
    """Return the endings of images that this installation of Pillow decodes."""
    from PIL import features

    lacking = () if "avif" in features.modules and features.check("avif") else (".avif",)
    return tuple(ending for ending in IMAGE_ENDINGS if ending not in lacking)


def _plural(what: str) -> str:
    return f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key with numbers as numbers: ``img2`` before ``img10``."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)], name
