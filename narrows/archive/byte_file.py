"""Bounds-checked reading of a file in pieces."""

from __future__ import annotations

import io
import os
import threading
import zlib
from types import TracebackType
from typing import Any, Self

from narrows.archive.packing import MOST_PACKED_BYTES, PACKED, unpack
from narrows.errors import ArchiveError, CorruptArchiveError, DataNotFoundError
from narrows.io.files import as_path
from narrows.io.pipes import StandardInput
from narrows.io.remote import is_remote, open_remote

__all__ = ["ByteFile"]

_STEP = 1 << 20


class ByteFile:
    """The bytes of a file, safe to read from several threads and processes.

    Parameters
    ----------
    path : path-like
        A regular file, or a URL, of which parts are read when they are needed. Its size is read when it is opened;
        bytes appended later are ignored. Messages call a copy of standard input by that name.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ArchiveError
        If it is not a regular file, or cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path) if isinstance(path, StandardInput) else os.fspath(path)
        target = as_path(path)
        self._lock = threading.Lock()
        self._file: Any
        self._failures: tuple[type[Exception], ...] = (OSError, ValueError)
        if is_remote(path):
            self._failures = (Exception,)  # each kind of place has classes of its own
            self._file = open_remote(self.path)
            self.size = self.stored_bytes = int(self._file.size)
            self._unpacked = self._unpack()
            return
        try:
            if not target.is_file():  # opening a pipe would block
                if target.exists():
                    raise ArchiveError(
                        f"{self.path} is {'a folder' if target.is_dir() else 'not a regular file'}. "
                        "Give the path of an archive."
                    )
                raise DataNotFoundError(f"There is no file {self.path}. Give the path of an archive.")
            self._file = target.open("rb", buffering=0)
        except (ValueError, OSError) as error:
            if isinstance(error, DataNotFoundError):
                raise
            raise ArchiveError(f"{self.path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
        self.size = self.stored_bytes = os.fstat(self._file.fileno()).st_size
        self._unpacked = self._unpack()

    @property
    def is_packed(self) -> bool:
        """Whether the file is a packed archive; `size` and `read` are of what it stands for."""
        return self._unpacked is not None

    def _unpack(self) -> bytes | None:
        """Return what a packed archive stands for; None for other files, and for damaged ones."""
        if not len(PACKED) <= self.size <= MOST_PACKED_BYTES or self._read(0, len(PACKED)) != PACKED:
            return None
        try:
            unpacked = unpack(self._read(0, self.size))
        except (ArchiveError, CorruptArchiveError):
            return None
        self.size = len(unpacked)
        return unpacked

    def end_at(self, size: int) -> None:
        """Ignore all bytes from `size` on."""
        self.size = min(size, self.size)

    def read(self, offset: int, n: int) -> bytes:
        """Return `n` bytes from `offset`.

        Raises
        ------
        CorruptArchiveError
            If the file is too short; checked before memory is allocated.
        """
        if offset < 0 or n < 0 or offset + n > self.size:
            raise CorruptArchiveError(f"it is truncated: it has {self.size:,} bytes, but needs {offset + n:,}")
        return self._read(offset, n) if self._unpacked is None else self._unpacked[offset : offset + n]

    def _read(self, offset: int, n: int) -> bytes:
        """Return bytes of the file as they are stored."""
        pieces = []
        while n > 0:
            piece = self._read_some(offset, n)
            if not piece:
                raise CorruptArchiveError(f"it was truncated to {offset:,} bytes while it was read")
            pieces.append(piece)
            offset, n = offset + len(piece), n - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def crc(self, offset: int, n: int) -> int:
        """Return the CRC-32 of `n` bytes from `offset`, in bounded memory."""
        crc = 0
        while n > 0:
            piece = self.read(offset, min(n, _STEP))
            crc, offset, n = zlib.crc32(piece, crc), offset + len(piece), n - len(piece)
        return crc

    def _read_some(self, offset: int, n: int) -> bytes:
        if self._file.closed:
            raise ArchiveError(f"The archive {self.path} is closed. Open it again with narrows.open_archive.")
        try:
            if hasattr(os, "pread") and isinstance(self._file, io.FileIO):
                return os.pread(self._file.fileno(), n, offset)
            with self._lock:
                self._file.seek(offset)
                found: bytes = self._file.read(n)
                return found
        except self._failures as error:
            raise ArchiveError(f"{self.path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
