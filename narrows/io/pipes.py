"""Standard input and output as files: the name ``-``."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from narrows.errors import DataError, InvalidParameterError, OutputError
from narrows.io.files import as_path

__all__ = [
    "check_standard_output",
    "from_standard_input",
    "is_pipe",
    "scratch_folder",
    "through_file",
    "to_standard_output",
]


def is_pipe(path: Any) -> bool:
    """Return whether a name means standard input or output: the text ``-``; ``./-`` and a `pathlib.Path` are files."""
    return isinstance(path, str) and path == "-"


def check_standard_output() -> None:
    """Refuse to write binary data to a terminal.

    Raises
    ------
    InvalidParameterError
        If standard output is a terminal.
    """
    if sys.stdout is None or sys.stdout.isatty():
        raise InvalidParameterError(
            "The output '-' is standard output, and a terminal cannot show binary data. "
            "Redirect it, for example to a file (> FILE) or to another command, or give the name of a file."
        )


@contextmanager
def to_standard_output() -> Iterator[BinaryIO]:
    """Open standard output for binary data, which are complete after the block.

    Raises
    ------
    InvalidParameterError
        If standard output is a terminal.
    OutputError
        If it cannot be written. If its reader has ended, BrokenPipeError.
    """
    check_standard_output()
    try:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"Standard output could not be written: {error.strerror or error}.") from error


@contextmanager
def through_file(output: str) -> Iterator[str]:
    """Yield the path of an output; for ``-`` that of a temporary file, which is copied to standard output at the end.

    Raises
    ------
    InvalidParameterError, OutputError, BrokenPipeError
        As for `to_standard_output`.
    """
    if not is_pipe(output):
        yield output
        return
    check_standard_output()
    folder = scratch_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="narrows-") as name:
        path = os.path.join(name, "output")
        yield path
        with to_standard_output() as out, open(path, "rb") as file:
            shutil.copyfileobj(file, out, 1 << 20)


@contextmanager
def from_standard_input() -> Iterator[Path]:
    """Copy standard input to a temporary file, since formats are read by seeking.

    The file lies in `scratch_folder` and is deleted after the block. On systems that keep deleted files as long as they
    are open, arrays that are mapped from it stay valid.

    Raises
    ------
    DataError
        If standard input is a terminal, or is empty.
    OutputError
        If the file cannot be written.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError(
            "The data '-' are standard input, which is a terminal. "
            "Send a file there (narrows … - < FILE, or COMMAND | narrows … -), or give the name of a file."
        )
    folder = scratch_folder()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix="narrows-")
    path = Path(name)
    try:
        with open(descriptor, "wb") as file:
            try:
                shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
            except OSError as error:
                raise OutputError(
                    f"Standard input could not be copied to the folder '{folder}': {error.strerror or error}. "
                    "Free space there, or set the environment variable NARROWS_CACHE to a folder on a larger disk."
                ) from error
        if path.stat().st_size == 0:
            raise DataError("Standard input is empty (0 bytes). It can be read only once.")
        yield path
    finally:
        _delete(path)


def scratch_folder() -> Path:
    """Return the folder of temporary files: ``$NARROWS_CACHE``, by default that of the system."""
    chosen = os.environ.get("NARROWS_CACHE")
    return as_path(chosen) if chosen else Path(tempfile.gettempdir())


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # Windows deletes no file that is mapped: at the end, then
        atexit.register(_try_to_delete, path)


def _try_to_delete(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
