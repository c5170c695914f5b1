"""Paths of other places than this machine: ``s3://``, ``gs://``, ``memory://`` and what else fsspec knows.

An object has a stand-in, a file in a temporary folder of this process: `fetched` fills it, and what is written to it is
uploaded as a whole once it is complete (`narrows.io.files.replacing`). Everything between works with local files. Only
archives are read in place, since a few of their records need a few of their bytes (`open_remote`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from narrows.errors import DataError, DataNotFoundError, InvalidParameterError, MissingPackageError, NarrowsError

__all__ = [
    "exists_remotely",
    "fetched",
    "is_remote",
    "open_remote",
    "refuse_remote",
    "size_of",
    "stand_in",
    "upload",
    "url_of",
]

_URL = re.compile(r"[a-z][a-z0-9+.-]+://.", re.IGNORECASE)  # two letters at least: C:/ is a drive
_URLS: dict[str, str] = {}  # by the paths of stand-ins
_FETCHED: dict[str, Any] = {}  # what the objects were when they were fetched, by their URLs


class RemotePath(type(Path())):  # type: ignore[misc]
    """The path of a stand-in, shown as the URL that it stands for."""

    def __str__(self) -> str:
        return _URLS.get(self.__fspath__(), self.__fspath__())

    def __fspath__(self) -> str:
        return cast("str", super().__str__())


def is_remote(path: object) -> bool:
    """Return whether a path is a URL; a `pathlib.Path` never is, unless it is a stand-in.

    Examples
    --------
    >>> is_remote("s3://bucket/x.npy"), is_remote("C:/x.npy"), is_remote("folder/x.npy")
    (True, False, False)
    """
    return url_of(path) is not None


def url_of(path: object) -> str | None:
    """Return the URL that a text or the path of a stand-in is; None for other paths."""
    if isinstance(path, str) and _URL.match(path):
        return path
    return _URLS.get(os.fspath(path)) if isinstance(path, str | os.PathLike) else None


def stand_in(url: str) -> Path:
    """Return the path of the file that stands for an object. It exists if the object was fetched."""
    folder = _folder() / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(exist_ok=True)
    path = RemotePath(folder / (url.rstrip("/").rpartition("/")[2] or "object"))
    _URLS[path.__fspath__()] = url
    return cast("Path", path)


def fetched(path: str | os.PathLike[str]) -> Path:
    """Return a path that can be read: for a URL its stand-in, with the object or the files below it as they are now.

    Raises
    ------
    DataNotFoundError
        If there is no such object.
    DataError
        If it cannot be read, or the kind of URL is not known.
    MissingPackageError
        If a package is missing.
    """
    url = url_of(path)
    if url is None:
        return Path(path)
    target = stand_in(url)
    with _naming(url):
        system, key = _opened(url)
        if not system.exists(key):
            raise DataNotFoundError(f"There is no file or folder '{url}'.")
        now = system.checksum(key) if system.isfile(key) else None
        if now is None or _FETCHED.get(url) != now or not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                new = os.path.join(folder, target.name)
                system.get(key.rstrip("/") + "/" if now is None else key, new, recursive=now is None)
                _replace(new, target)
            _FETCHED[url] = now
    return target


def _replace(new: str, target: Path) -> None:
    """Put a file or a folder in the place of another. Arrays that are mapped from the other file stay as they are."""
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(new, target)


def open_remote(url: str) -> Any:
    """Return an object as an open file with ``size``, of which parts are read when they are needed.

    Raises
    ------
    DataNotFoundError, DataError, MissingPackageError
        As `fetched`.
    """
    with _naming(url):
        system, key = _opened(url)
        return system.open(key, "rb")


def exists_remotely(url: str) -> bool:
    """Return whether there is an object; raises DataError or MissingPackageError as `fetched`."""
    with _naming(url):
        system, key = _opened(url)
        return bool(system.exists(key))


def size_of(path: str | os.PathLike[str]) -> int:
    """Return the number of bytes of a file or an object; raises OSError, or as `fetched`."""
    url = url_of(path)
    if url is None:
        return os.path.getsize(os.path.expanduser(path))
    with _naming(url):
        system, key = _opened(url)
        return int(system.size(key))


def upload(file: Path, url: str) -> None:
    """Write an object from a complete file; raises DataError or MissingPackageError as `fetched`."""
    with _naming(url):
        system, key = _opened(url)
        system.put_file(os.fspath(file), key)


def refuse_remote(path: object, why: str) -> None:
    """Refuse a URL where a file of this machine is needed.

    Raises
    ------
    InvalidParameterError
        If it is one.
    """
    if is_remote(path):
        raise InvalidParameterError(
            f"{why}, which needs a file on this machine. Got '{path}'. Give the name of a file."
        )


@cache
def _folder() -> Path:
    """Return the folder of the stand-ins, which is removed when the process ends."""
    _folder.made = tempfile.TemporaryDirectory(prefix="narrows-", dir=os.environ.get("NARROWS_CACHE") or None)  # type: ignore[attr-defined]
    return Path(os.path.realpath(_folder.made.name))  # type: ignore[attr-defined]


def _opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it."""
    try:
        from fsspec.core import url_to_fs

        system, key = url_to_fs(url)
        system.invalidate_cache()  # other processes write too
    except ImportError as error:
        raise MissingPackageError(
            f"'{url}' needs a package that is not installed: {str(error).rstrip('.')}. "
            "For s3:// and gs:// install pip install 'narrows[cloud]'.",
            name=error.name or "fsspec",
        ) from error
    except ValueError as error:
        raise DataError(f"'{url}' is no path that can be read: {str(error).rstrip('.')}.") from error
    return system, key


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Turn errors of file systems, which have classes of their own, into one that names the URL."""
    try:
        yield
    except NarrowsError:
        raise
    except FileNotFoundError as error:
        raise DataNotFoundError(f"There is no file or folder '{url}'.") from error
    except Exception as error:
        what = str(error).rstrip(".") or type(error).__name__
        raise DataError(f"'{url}' cannot be read or written: {what}.") from error
