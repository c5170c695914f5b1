"""Writing a file whole or not at all: readers never see half of one, and nothing is overwritten unasked."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from narrows.errors import DataNotFoundError, InvalidParameterError, OutputExistsError

__all__ = ["check_output", "replacing", "temporary_name", "write_atomically"]


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
        `path` exists and `force` is False. It is checked before `write` runs, and once more after.
    DataNotFoundError
        The folder that should hold the file does not exist.
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
    with replacing(Path(os.path.realpath(path))) as file:
        write(file)
        check_output(path, force=force)
    return Path(path)


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the target's place if the block ends well, and is removed if not."""
    temporary = temporary_name(target)
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(target: Path) -> Path:
    """Return a hidden name in the target's folder that nobody else uses."""
    return target.with_name(f".narrows-{secrets.token_hex(8)}.tmp")


def check_output(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse an output that could not be written, so that long work can ask before it starts.

    Raises
    ------
    OutputExistsError, DataNotFoundError, InvalidParameterError
        As `write_atomically`.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "no regular file"
        raise InvalidParameterError(f"The output '{path}' is {kind}. Give the name of a file.")
    if target.exists() and not force:
        raise OutputExistsError(
            f"The output '{path}' is already there. Give another name, or --force (force=True in Python) to replace it."
        )
    if not target.parent.is_dir():
        raise DataNotFoundError(f"There is no folder '{target.parent}' to write '{target.name}' into. Create it first.")
