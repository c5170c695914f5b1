"""The log of a call of a verb: with ``--log FILE``, lines with a time and a kind are appended to a file.

Everything that the command line says passes here (`tell` and the functions of `narrows.cli.console`), so that the log
has it even if it is not printed because of ``--quiet``.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import datetime
from typing import IO

import click

from narrows.io.magic import kind_of
from narrows.io.text import is_text, printable

__all__ = ["Log", "current_log", "logged", "start_log", "tell", "why_no_log"]

_LOG = "narrows.log"
_HEAD = 4096  # bytes by which a text is told from other files
_DATA_ENDINGS = (".narrows", ".safetensors", ".npy", ".npz", ".idx", ".onnx", ".csv", ".tsv", ".json")
"""Endings of files that text must not be appended to, even if they are texts."""


def why_no_log(path: str) -> str | None:
    """Return why text must not be appended to a file: the end of a sentence on it; None if it may.

    A file of data is damaged by text at its end. Files that do not exist, or that are not regular, such as the null
    device, have nothing to be damaged.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending in _DATA_ENDINGS:
        return f"has the ending of a file of data, {ending}"
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if is_text(head):
        return None
    return f"is {kind_of(head.ljust(16, bytes(1))) or 'not a text in UTF-8'}"


class Log:
    """A file that lines are appended to.

    Each line is ``TIME  KIND  TEXT`` and is written at once. A disk that becomes full does not end the work.

    Parameters
    ----------
    path : str
        The file.

    Raises
    ------
    OSError
        If it cannot be opened for appending.
    """

    def __init__(self, path: str) -> None:
        self.began = time.monotonic()
        self.file: IO[str] | None = open(path, "a", encoding="utf-8", errors="replace")  # noqa: SIM115

    def write(self, kind: str, text: str) -> None:
        """Append a text, each of its lines with the time and the kind."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        lines = [f"{now}  {kind:<7}  {line}".rstrip() for line in printable(text).splitlines() if line.strip()]
        with suppress(OSError, ValueError):
            if self.file is not None:
                self.file.write("".join(f"{line}\n" for line in lines))
                self.file.flush()

    def close(self, exit_code: int) -> None:
        """Append the exit code and the duration, and close the file."""
        self.write("end", f"exit code {exit_code}, {time.monotonic() - self.began:.1f} s")
        with suppress(OSError, ValueError):
            if self.file is not None:
                self.file.close()
        self.file = None


def start_log(ctx: click.Context, path: str, text: str) -> None:
    """Open the log of this call, and append its first line."""
    log = ctx.meta[_LOG] = Log(path)
    log.write("start", text)


def current_log() -> Log | None:
    """Return the log of this call; None without ``--log``."""
    context = click.get_current_context(silent=True)
    found: Log | None = None if context is None else context.meta.get(_LOG)
    return found


def logged(kind: str, text: str) -> None:
    """Append a text to the log of this call, if there is one."""
    log = current_log()
    if log is not None:
        log.write(kind, text)


def tell(text: str, *, kind: str = "note") -> None:
    """Write a message to standard error, and to the log."""
    click.echo(text, err=True)
    logged(kind, text)
