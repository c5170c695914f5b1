"""The names of PNG files that are written for records, which mostly come from files of other formats."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from pathlib import PurePosixPath, PureWindowsPath

from narrows.errors import DataWarning, InvalidParameterError, OutputError, warn

__all__ = ["image_names", "same_in_any_case"]

_ENDING = ".png"
_MOST_BYTES = 255  # of a file's or a folder's name, on nearly all file systems


def image_names(n: int, files: Sequence[str] | None, *, told: Set[int] | None = None) -> list[str]:
    """Return the names of n PNG files inside a folder: those of ``files`` with the extension .png, or numbers.

    Files whose names would be the same, such as a.jpg and a.bmp, keep their own extension: a.jpg.png, a.bmp.png. Names
    of more than 255 bytes are shortened.

    Parameters
    ----------
    n : int
        The number of files.
    files : sequence of str or None
        Their relative names.
    told : set of int, optional
        The places of the files that are written; others cause no warning. By default all.

    Raises
    ------
    InvalidParameterError
        If the number of files differs from n, a name lies outside the folder, or two names are equal.
    OutputError
        If a name has characters that this system cannot write.

    Warns
    -----
    DataWarning
        Once for names that keep their extension, and once for names that are shortened.

    Notes
    -----
    Names that differ only in case are avoided where possible; `write_images` checks the rest.
    """
    if files is None:
        width = max(6, len(str(n - 1)))
        return [f"{i:0{width}d}{_ENDING}" for i in range(n)]
    if len(files) != n:
        raise InvalidParameterError(
            f"The 'files' must have {n:,} names, one for each record. Got {len(files):,} names."
        )
    for file in files:
        path = PurePosixPath(file)
        if not path.name or path.is_absolute() or ".." in path.parts or PureWindowsPath(file).drive or "\\" in file:
            raise InvalidParameterError(
                f"The 'files' must be relative paths inside the folder, separated by '/'. Got {file!r}."
            )
    _check_encoding(files)
    names = _different_names(files)
    written = [_shortened(name) for name in names]
    usual = [_usual(file) for file in files]
    places = range(n) if told is None else sorted(told)
    _tell(
        files, written, len(places), [i for i in places if names[i] != usual[i]],
        "would have the name of another one with the ending .png, and keep their own ending",
    )  # fmt: skip
    _tell(
        files, written, len(places), [i for i in places if written[i] != names[i]],
        f"have a name that is longer than {_MOST_BYTES} bytes with the ending .png, and get a shorter one",
    )  # fmt: skip
    return written


def same_in_any_case(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two names that differ only in case, or not at all; None if there are no such names."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in seen:
            return seen[folded], name
        seen[folded] = name
    return None


def _usual(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(_ENDING))


def _with_own_ending(file: str) -> str:
    return f"{PurePosixPath(file)}{_ENDING}"


def _different_names(files: Sequence[str]) -> list[str]:
    """Return a name for each file; those that would collide have their own ending before .png."""
    folders = {str(folder).casefold() for file in files for folder in PurePosixPath(file).parents}
    names = [_usual(file) for file in files]
    while True:
        alike: dict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(names):
            alike[name.casefold()].append(i)
        changed = False
        for folded, places in alike.items():
            if folded not in folders and len(places) == 1:
                continue
            longer = [_with_own_ending(files[i]) for i in places]
            is_better = folded in folders or len({name.casefold() for name in longer}) > 1
            is_needed = len({names[i] for i in places}) < len(places)
            if is_better or is_needed:
                changed = changed or longer != [names[i] for i in places]
                for i, name in zip(places, longer, strict=True):
                    names[i] = name
        if not changed:
            break
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise InvalidParameterError(
            f"The 'files' must be unique names. Got {twice.removesuffix(_ENDING)!r} more than once. "
            "Rename the files, or write the records to a .npy file."
        )
    return names


def _check_encoding(files: Sequence[str]) -> None:
    """Refuse names with characters that this system cannot write."""
    for file in files:
        try:
            os.fsencode(file)
        except UnicodeEncodeError as error:
            raise OutputError(
                f"The name {file!a} cannot be written: names of files are in {error.encoding} here. Set the "
                "environment variable PYTHONUTF8=1, or write the records to a .npy file."
            ) from error


def _shortened(name: str) -> str:
    """Return a name whose parts have at most 255 bytes; those that are cut end in digits that depend on all of it."""
    *folders, last = PurePosixPath(name).parts
    parts = [_shortened_part(folder, "") for folder in folders]
    return "/".join([*parts, _shortened_part(last.removesuffix(_ENDING), _ENDING)])


def _shortened_part(stem: str, ending: str) -> str:
    content = os.fsencode(stem)
    if len(content) + len(ending) <= _MOST_BYTES:
        return stem + ending
    mark = f"~{hashlib.sha256(content).hexdigest()[:8]}{ending}"
    return content[: _MOST_BYTES - len(mark)].decode(errors="ignore") + mark


def _tell(files: Sequence[str], written: Sequence[str], n: int, places: Sequence[int], what: str) -> None:
    """Warn that the images at some places, out of n, do not have their usual names."""
    if not places:
        return
    first = places[0]
    text = f"{len(places):,} of {n:,} images {what}: {files[first]} is written as {written[first]}."
    warn(DataWarning(text, kind="names", count=len(places), first=files[first]))
