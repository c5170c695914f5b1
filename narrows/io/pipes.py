"""Standard input and output as files: the name ``-``."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from narrows.errors import DataError, InvalidParameterError, NarrowsError, OutputError
from narrows.io.files import as_path, temporary_beside

__all__ = [
    "STANDARD_INPUT",
    "StandardInput",
    "check_standard_output",
    "from_standard_input",
    "is_pipe",
    "scratch_folder",
    "spooled_standard_input",
    "through_file",
    "to_standard_output",
]

STANDARD_INPUT = "standard input"
"""Its name in messages."""


class StandardInput(os.PathLike[str]):
    """The file that standard input was copied to; as a text it is called ``standard input``.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return STANDARD_INPUT


def is_pipe(path: Any) -> bool:
    """Return whether a name means standard input or output: the text ``-``; ``./-`` and a `pathlib.Path` are files."""
    return isinstance(path, str) and path == "-"


def check_standard_output() -> None:
    """Refuse to write binary data to a terminal, or to nothing.

    Raises
    ------
    InvalidParameterError
        If standard output is a terminal, or is closed.
    """
    if sys.stdout is None:
        raise InvalidParameterError(
            "The output '-' is standard output, which is closed. Redirect it to a file (> FILE) or to another command, "
            "or give the name of a file."
        )
    if sys.stdout.isatty():
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
    # A killed process leaves the folder; the next one removes it.
    with temporary_beside(folder / "standard-output", is_folder=True) as made:
        made.chmod(0o700)
        path = os.path.join(made, "output")
        yield path
        with to_standard_output() as out, open(path, "rb") as file:
            shutil.copyfileobj(file, out, 1 << 20)


@contextmanager
def from_standard_input() -> Iterator[Path]:
    """Copy standard input to a temporary file, since formats are read by seeking; errors of the block name it rightly.

    The file lies in `scratch_folder` and is deleted after the block. On systems that keep deleted files as long as they
    are open, arrays that are mapped from it stay valid. On Linux it has no name in any folder, so that not even a
    killed process leaves it behind.

    Raises
    ------
    DataError
        If standard input is a terminal, is closed, or is empty.
    OutputError
        If the file cannot be written.
    """
    with _spooled() as path:
        try:
            yield path
        except NarrowsError as error:
            error.args = tuple(_renamed(text, path) for text in error.args)
            raise
        except OSError as error:
            raise DataError(f"Standard input cannot be read: {error.strerror or error}.") from error


@contextmanager
def spooled_standard_input() -> Iterator[StandardInput]:
    """Copy standard input to a temporary file, as `from_standard_input` does, and yield it with its name for messages.

    Raises
    ------
    DataError, OutputError
        As for `from_standard_input`.
    """
    with _spooled() as path:
        yield StandardInput(path)


@contextmanager
def _spooled() -> Iterator[Path]:
    """Yield the path of a file with the bytes of standard input."""
    if sys.stdin is None:
        raise DataError("The data '-' are standard input, which is closed. Send a file there, or give its name.")
    if sys.stdin.isatty():
        raise DataError(
            "The data '-' are standard input, which is a terminal. "
            "Send a file there (narrows … - < FILE, or COMMAND | narrows … -), or give the name of a file."
        )
    folder = scratch_folder()
    with _naming_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _temporary(folder) as (file, path):
        with _naming_folder(folder):
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
            file.flush()
        if file.tell() == 0:
            raise DataError("Standard input is empty (0 bytes). It can be read only once.")
        yield path


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a temporary file, and yield it with a path that it can be opened by, where possible without a name."""
    with ExitStack() as stack:
        with _naming_folder(folder):
            unnamed = stack.enter_context(tempfile.TemporaryFile(dir=folder, prefix="narrows-"))
        path = Path(f"/proc/self/fd/{unnamed.fileno()}")
        if sys.platform == "linux" and os.access(path, os.R_OK):
            yield unnamed, path
            return
    with _naming_folder(folder):
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="narrows-")
    try:
        with open(descriptor, "wb") as file:
            yield file, Path(name)
    finally:
        _delete(Path(name))


@contextmanager
def _naming_folder(folder: Path) -> Iterator[None]:
    """Turn errors of the operating system in the block into an error with the folder of temporary files."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"Standard input could not be copied to the folder '{folder}': {error.strerror or error}. "
            "Free space there, or set the environment variable NARROWS_CACHE to a folder on a larger disk."
        ) from error


def _renamed(text: Any, path: Path) -> Any:
    """Return a text of an error with the name of standard input in place of the file that it was copied to."""
    if not isinstance(text, str):
        return text
    named = text.replace(str(path), STANDARD_INPUT)
    return named[0].upper() + named[1:] if named.startswith(STANDARD_INPUT) else named


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
