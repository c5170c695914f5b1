"""Atomic writes: readers never see an incomplete file, and nothing is overwritten without ``force``."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from narrows.errors import DataNotFoundError, InvalidParameterError, NarrowsError, OutputError, OutputExistsError
from narrows.io.remote import exists_remotely, stand_in, upload, url_of

__all__ = [
    "as_path",
    "check_folder",
    "check_output",
    "lock",
    "naming_output",
    "replacing",
    "temporary_beside",
    "write_atomically",
]


def as_path(text: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` expanded to the home folder, unless there is no home folder of that name.

    For a URL such as ``s3://bucket/a.npy`` it is the path of its stand-in, see `narrows.io.remote`.

    Examples
    --------
    >>> as_path("~nobody-of-that-name/a.npy").as_posix()
    '~nobody-of-that-name/a.npy'
    """
    url = url_of(text)
    if url is not None:
        return stand_in(url)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], None], *, force: bool = False) -> Path:
    """Write a file under another name in the same folder, then rename it into place.

    After an exception in `write`, Ctrl-C or a full disk, `path` has either its previous content or everything that
    `write` wrote, and the temporary file is removed. Only a killed process can leave a temporary file: it is called
    ``.narrows-….tmp``, and is removed when the same path is written the next time.

    Parameters
    ----------
    path : path-like
        The file to write. A symbolic link is followed: its target is replaced, the link stays.
    write : callable
        Gets the open binary file and writes the content.
    force : bool
        Replace an existing file, keeping its permissions.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputExistsError
        `path` exists and `force` is False. This is checked before `write` runs, and again in the last step, so that
        only one of two concurrent writers succeeds.
    DataNotFoundError
        The folder that should hold the file does not exist.
    OutputError
        The file cannot be written: a folder without permission, a full disk.
    InvalidParameterError
        `path` is a folder, or something else that is not a regular file.

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
    local = path if url_of(path) is None else as_path(path)
    with naming_output(path), replacing(Path(os.path.realpath(local)), force=force) as file:
        write(file)
        check_output(path, force=force)
    return Path(local)


@contextmanager
def replacing(target: Path, *, force: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces the target if the block succeeds, and is removed otherwise.

    The stand-in of a URL stays as it is: the file is uploaded.

    Raises
    ------
    OutputExistsError
        If `force` is False and the target exists at the end of the block.
    """
    with temporary_beside(target) as temporary:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        url = url_of(target)
        if url is not None:
            check_output(url, force=force)
            upload(temporary, url)
            return
        if not force:
            _put_in_free_place(temporary, target)
            return
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)


def _put_in_free_place(temporary: Path, target: Path) -> None:
    """Give a file a second, unused name; without hard links, check that it is unused and rename the file."""
    try:
        os.link(temporary, target)
    except OSError:
        if os.path.lexists(target):
            raise OutputExistsError(_is_there(target)) from None
        os.replace(temporary, target)


@contextmanager
def naming_output(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of the operating system in the block into an error that names the requested output.

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
        if re.fullmatch(r"[0-9]+ requested and [0-9]+ written", what):  # the message of NumPy
            what = "Only a part of the data was written; the disk may be full"
        raise OutputError(f"The output '{os.fspath(path)}' could not be written: {what}.") from error


@contextmanager
def temporary_beside(target: Path, *, is_folder: bool = False) -> Iterator[Path]:
    """Make an empty file or folder with a hidden name in the target's folder, and remove it at the end.

    It is locked until then. An unlocked one was left by a killed process, and those of the same target are removed
    first. On systems without locks they are kept.
    """
    hidden = f".narrows-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]}-"
    for left in target.parent.glob(f"{hidden}*.tmp"):
        with _held(left) as is_ours, suppress(OSError):
            if is_ours:
                _remove(left)
    while True:
        temporary = target.with_name(f"{hidden}{secrets.token_hex(8)}.tmp")
        try:
            if is_folder:
                temporary.mkdir()
            else:
                temporary.touch(exist_ok=False)
            with _held(temporary) as is_ours:
                if is_ours is False or not temporary.exists():
                    continue  # another process removed it before it was locked
                yield temporary
                return
        finally:
            _remove(temporary)


@contextmanager
def _held(path: Path) -> Iterator[bool | None]:
    """Lock a file or folder for the block; yield the result of `lock`."""
    with ExitStack() as stack:
        is_ours = None
        with suppress(OSError):  # removed meanwhile, or owned by another user
            descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
            stack.callback(os.close, descriptor)
            is_ours = lock(descriptor)
        if is_ours is None:
            stack.close()  # Windows cannot rename open files
        yield is_ours


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def lock(descriptor: int) -> bool | None:
    """Lock an open file until it is closed, or its process ends.

    Returns
    -------
    bool or None
        False if another process has locked it; None if the system or the file system has no locks.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def check_output(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse an output that cannot be written, before long work starts.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        As for `write_atomically`.
    """
    url = url_of(path)
    if url is not None:
        if not force and exists_remotely(url):
            raise OutputExistsError(_is_there(url))
        return
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "not a regular file"
        raise InvalidParameterError(f"The output '{path}' is {kind}. Give the name of a file.")
    if target.exists() and not force:
        raise OutputExistsError(_is_there(path))
    check_folder(target, path)


def check_folder(target: Path, path: str | os.PathLike[str]) -> None:
    """Refuse a target whose folder does not exist or is not writable; `path` is its name for messages.

    Raises
    ------
    DataNotFoundError, OutputError
        As for `write_atomically`.
    """
    if not target.parent.is_dir():
        raise DataNotFoundError(f"The folder '{target.parent}' of the output '{path}' does not exist. Create it first.")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(
            f"No permission to write to the folder '{target.parent}' of the output '{path}'. Choose another folder."
        )


def _is_there(path: str | os.PathLike[str]) -> str:
    return f"The output '{path}' already exists. Choose another name, or set force (--force) to replace it."
