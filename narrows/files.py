"""Writing a file whole or not at all: readers never see half of one, and nothing is overwritten unasked."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from narrows.errors import DataNotFoundError, InvalidParameterError, NarrowsError, OutputError, OutputExistsError

__all__ = [
    "as_path",
    "check_folder",
    "check_output",
    "naming_output",
    "replacing",
    "temporary_name",
    "write_atomically",
]


def as_path(text: str | os.PathLike[str]) -> Path:
    """Return a path as people type it: ``~`` is their home, unless there is no home of that name.

    Examples
    --------
    >>> as_path("~nobody-of-that-name/a.npy").as_posix()
    '~nobody-of-that-name/a.npy'
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], None], *, force: bool = False) -> Path:
    """Write a file under another name in the same folder, then rename it into place.

    Whatever happens (an exception in `write`, Ctrl-C, a full disk), `path` holds either what it held before or
    everything that `write` wrote, and the temporary file is gone. Only a process that is killed outright can leave
    one behind: it is called ``.narrows-….tmp``.

    Parameters
    ----------
    path : path-like
        The file to write. A symbolic link is followed: the file that it points at is replaced, the link stays.
    write : callable
        Gets the open binary file and writes the content.
    force : bool
        Replace a file that is already there, keeping its permissions.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputExistsError
        `path` exists and `force` is False. It is checked before `write` runs, and the last step replaces nothing, so
        that of two writers at once only one succeeds.
    DataNotFoundError
        The folder that should hold the file does not exist.
    OutputError
        The file cannot be written: a folder without permission, a full disk.
    InvalidParameterError
        `path` is a folder, or something else that is no regular file.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = write_atomically(Path(folder.name) / "greeting.txt", lambda file: None if file.write(b"hello") else None)
    >>> path.read_bytes()
    b'hello'
    >>> folder.cleanup()
    """
    check_output(path, force=force)
    with naming_output(path), replacing(Path(os.path.realpath(path)), force=force) as file:
        write(file)
        check_output(path, force=force)
    return Path(path)


@contextmanager
def replacing(target: Path, *, force: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the target's place if the block ends well, and is removed if not.

    Raises
    ------
    OutputExistsError
        If `force` is False and the target is there by then.
    """
    temporary = temporary_name(target)
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if not force:
            _put_in_free_place(temporary, target)
            return
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _put_in_free_place(temporary: Path, target: Path) -> None:
    """Give a file a second name that nobody has; where there are no hard links, look first and then rename."""
    try:
        os.link(temporary, target)
    except OSError:
        if os.path.lexists(target):
            raise OutputExistsError(_is_there(target)) from None
        os.replace(temporary, target)


@contextmanager
def naming_output(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the operating system says in the block into an error that names the output that was asked for.

    Raises
    ------
    OutputError
        Instead of an OSError; narrows' own errors pass.
    """
    try:
        yield
    except NarrowsError:
        raise
    except OSError as error:
        what = error.strerror or str(error) or type(error).__name__
        if re.fullmatch(r"[0-9]+ requested and [0-9]+ written", what):  # as NumPy says it
            what = "Not all of it could be written; the disk may be full"
        raise OutputError(f"The output '{os.fspath(path)}' could not be written: {what}.") from error


def temporary_name(target: Path) -> Path:
    """Return a hidden name in the target's folder that nobody else uses."""
    return target.with_name(f".narrows-{secrets.token_hex(8)}.tmp")


def check_output(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse an output that could not be written, so that long work can ask before it starts.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        As `write_atomically`.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "no regular file"
        raise InvalidParameterError(f"The output '{path}' is {kind}. Give the name of a file.")
    if target.exists() and not force:
        raise OutputExistsError(_is_there(path))
    check_folder(target, path)


def check_folder(target: Path, path: str | os.PathLike[str]) -> None:
    """Refuse a target whose folder does not exist or may not be written to; `path` is what the person called it.

    Raises
    ------
    DataNotFoundError, OutputError
        As `write_atomically`.
    """
    if not target.parent.is_dir():
        raise DataNotFoundError(f"There is no folder '{target.parent}' to write '{target.name}' into. Create it first.")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"The folder '{target.parent}' may not be written to, so there is no place for '{path}'.")


def _is_there(path: str | os.PathLike[str]) -> str:
    return f"The output '{path}' is already there. Give another name, or set force (--force) to replace it."
