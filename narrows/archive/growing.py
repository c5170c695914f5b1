"""A file that grows at its end, and is cut back if that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from narrows.archive.byte_file import ByteFile
from narrows.errors import ArchiveError
from narrows.io.files import lock, replacing

__all__ = ["GrowingFile", "growing", "unpack_in_place"]


@dataclass
class GrowingFile:
    """A locked file that is appended to.

    Attributes
    ----------
    file : binary file
        Open for reading and writing.
    end : int
        The size that the file gets if appending fails.
    """

    file: BinaryIO
    end: int

    def begin_at(self, end: int) -> None:
        """Cut off what follows `end`, the rest of an interrupted append, and continue there."""
        self.file.truncate(end)
        self.file.seek(end)
        self.end = end


def unpack_in_place(path: Path) -> None:
    """Replace a packed archive by the archive that it stands for, which can be appended to.

    Raises
    ------
    DataNotFoundError, ArchiveError
        If there is no such file, or it cannot be read.
    """
    with ByteFile(path) as source:
        if source.is_packed:
            with replacing(Path(os.path.realpath(path))) as file:
                file.write(source.read(0, source.size))


@contextmanager
def growing(path: Path, name: str) -> Iterator[GrowingFile]:
    """Open and lock a file to append to; cut it back if the block ends in an exception.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name in messages.

    Raises
    ------
    ArchiveError
        If another process is appending to the file.
    """
    with open(path, "r+b") as file:
        if lock(file.fileno()) is False:
            raise ArchiveError(f"Another process is appending to {name}. Try again later.")
        if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            raise ArchiveError(f"{name} was replaced while it was being opened. Try again.")
        held = GrowingFile(file, file.seek(0, os.SEEK_END))
        descriptor = os.dup(file.fileno())
        try:
            yield held
            file.flush()
            os.fsync(descriptor)
        except BaseException:
            with suppress(OSError):  # a full disk: what is still to be written must go before the file is cut
                file.close()
            os.ftruncate(descriptor, held.end)
            os.fsync(descriptor)
            raise
        finally:
            os.close(descriptor)
