"""Arrays too large for memory: filled block by block, in an unnamed temporary file."""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from narrows.errors import DataError, OutputError
from narrows.io.pipes import scratch_folder
from narrows.numerics.control_groups import control_groups

__all__ = ["blocks", "filled", "usable_memory"]

SHARE = 4  # an array of more than 1 / 4 of the memory goes into a file
BLOCK_BYTES, BLOCK_RECORDS = 64 << 20, 1024

Fill = Callable[[int, npt.NDArray[Any]], None]


def filled(shape: tuple[int, ...], dtype: npt.DTypeLike, fill: Fill, *, what: str) -> npt.NDArray[Any]:
    """Return an array that is filled block by block: in memory, or if it is large, mapped from a file.

    Large means more than a quarter of `usable_memory`. The file lies in the folder ``$NARROWS_CACHE``, or by default in
    the platform's folder for temporary files. It has no name there, so the system deletes it as soon as nothing refers
    to the array, and at the latest when the process ends, even if it is killed.

    Parameters
    ----------
    shape : tuple of int
        (n, *shape of a record)
    dtype : dtype
    fill : callable
        Called with the number of the first record of a block, and the block (m, *shape of a record) to fill.
    what : str
        Content of the array, for messages: ``"The images of photos/"``.

    Raises
    ------
    DataError
        If a single record takes more than a quarter of the memory and 64 MiB; nothing is allocated before.
    OutputError
        If the file cannot be written; gives the folder and the required size.
    """
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    memory = usable_memory()
    record_bytes = n_bytes // max(shape[0], 1)
    if memory is not None and record_bytes > max(memory // SHARE, BLOCK_BYTES):
        raise DataError(
            f"{what} take {record_bytes:,} bytes each, with a shape of {shape[1:]}. Allowed: a quarter of the memory, "
            f"{max(memory // SHARE, BLOCK_BYTES):,}. Give a smaller size."
        )
    if memory is None or n_bytes <= memory // SHARE:
        values: npt.NDArray[Any] = np.empty(shape, dtype)
        for rows in blocks(shape[0], n_bytes):
            fill(rows.start, values[rows.start : rows.stop])
        return values
    return _in_file(shape, dtype, fill, what, n_bytes)


def blocks(n: int, n_bytes: int = 0) -> Iterator[range]:
    """Yield n records of a total size in blocks of at most 1,024 records and 64 MiB."""
    size = max(1, min(BLOCK_RECORDS, BLOCK_BYTES * n // max(n_bytes, 1)))
    return (range(start, min(start + size, n)) for start in range(0, n, size))


def _in_file(shape: tuple[int, ...], dtype: np.dtype[Any], fill: Fill, what: str, n_bytes: int) -> npt.NDArray[Any]:
    folder = scratch_folder()
    with _naming(folder, what, n_bytes):
        folder.mkdir(parents=True, exist_ok=True)
        n_free = shutil.disk_usage(folder).free
    if n_free < n_bytes:
        raise _no_room(folder, what, n_bytes, "The free space is too small")
    with ExitStack() as stack:
        with _naming(folder, what, n_bytes):
            # Unbuffered, so that closing it writes nothing.
            file = stack.enter_context(tempfile.TemporaryFile(dir=folder, prefix="narrows-", buffering=0))
        block = np.empty(0, dtype)
        for rows in blocks(shape[0], n_bytes):
            if len(block) < len(rows):
                block = np.empty((len(rows), *shape[1:]), dtype)
            fill(rows.start, block[: len(rows)])
            with _naming(folder, what, n_bytes):
                _write(block[: len(rows)], file)  # not mapped: a full disk raises an error, not a signal
        with _naming(folder, what, n_bytes):
            # Shared: the system counts a private mapping as memory, and refuses one that is larger.
            return np.ndarray(shape, dtype, mmap.mmap(file.fileno(), n_bytes, access=mmap.ACCESS_WRITE))


def _write(values: npt.NDArray[Any], file: IO[bytes]) -> None:
    """Write all values; a single call of an unbuffered file may write only some of them."""
    left = values.reshape(-1).view(np.uint8).data
    while left:
        left = left[file.write(left) :]


@contextmanager
def _naming(folder: Path, what: str, n_bytes: int) -> Iterator[None]:
    """Turn errors of the operating system in the block into an error with the folder and the size."""
    try:
        yield
    except OSError as error:
        raise _no_room(folder, what, n_bytes, error.strerror or str(error)) from error


def _no_room(folder: Path, what: str, n_bytes: int, why: str) -> OutputError:
    return OutputError(
        f"{what} take {n_bytes:,} bytes, more than a quarter of the memory, and need a temporary file. "
        f"This file could not be written to the folder '{folder}': {why}. "
        "Free space there, or set the environment variable NARROWS_CACHE to a folder on a larger disk."
    )


# ---------------------------------------------------------------------------------------------------------- how much


def usable_memory() -> int | None:
    """Return how many bytes of memory this process may use; None if the system does not provide it.

    The machine's memory, or less where the process is in a control group (a container, a batch job) with a limit.
    """
    limits = [limit for limit in (_physical_memory(), *_limits_of_control_groups()) if limit is not None]
    return min(limits, default=None)


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _physical_memory_of_windows()


def _physical_memory_of_windows() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            ("total", ctypes.c_uint64),
            ("rest", ctypes.c_uint64 * 6),
        )

    status = Status(length=ctypes.sizeof(Status))
    system = getattr(ctypes, "windll", None)
    if system is None or not system.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.total)


def _limits_of_control_groups() -> Iterator[int | None]:
    names = {1: "memory.limit_in_bytes", 2: "memory.max"}
    return (_limit_in(group / names[version]) for version, group in control_groups("memory"))


def _limit_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # the file does not exist, or contains "max"
        return None
