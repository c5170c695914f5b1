"""Standard streams that may be closed, full or gone while a command runs."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["open_closed_streams", "unfailing_messages"]


def open_closed_streams() -> None:
    """Open the null device in place of closed standard streams.

    Otherwise the next file that is opened gets the number of the closed stream, and what a C library prints to standard
    error would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


@contextmanager
def unfailing_messages() -> Iterator[None]:
    """Drop messages that standard error cannot take in the block, so that they do not end the work.

    The terminal of a remote session can disappear during a training of hours, and a disk with a log file can be full.
    """
    before = sys.stderr
    buffer = getattr(before, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # an unbuffered stream has none between
    if before is not None and not isinstance(raw, io.FileIO):
        yield  # not the stream of this process: one in memory, for example
        return
    encoding = None if before is None else before.encoding
    messages = io.TextIOWrapper(
        io.BufferedWriter(_Dropping(raw)), encoding=encoding, errors="replace", line_buffering=True
    )
    if before is not None:
        with suppress(OSError, ValueError):
            before.flush()
    sys.stderr = messages
    try:
        yield
    finally:
        messages.flush()
        sys.stderr = before


class _Dropping(io.RawIOBase):
    """Passes bytes to a file, and drops those that it does not take; None: drops all."""

    def __init__(self, file: io.FileIO | None) -> None:
        self.file = file

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.file is not None and self.file.isatty()

    def fileno(self) -> int:
        return super().fileno() if self.file is None else self.file.fileno()

    def write(self, data: Any) -> int:
        written = None
        if self.file is not None:
            with suppress(OSError, ValueError):
                written = self.file.write(data)
        return len(data) if written is None else written
