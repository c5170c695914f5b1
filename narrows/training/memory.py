"""What a training step frees, kept for the next one."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kept_for_reuse"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_MOST_MMAP_THRESHOLD = 32 << 20  # the largest that glibc takes, and that its own rule comes to
_KEPT_WHILE_TRAINING, _KEPT_AFTERWARDS = 1 << 30, 2 * _MOST_MMAP_THRESHOLD


@contextmanager
def kept_for_reuse() -> Iterator[None]:
    """Have the C library keep memory that is freed, up to 1 GiB, instead of giving it back to the system.

    The outputs of a network's layers are freed after each step and wanted again in the next. Given back meanwhile, they
    are mapped and filled with zeros anew, 4 KiB at a time. Afterwards all that is free is given back. What stays is the
    size of 32 MiB up to which nothing is mapped apart; glibc's own rule would have come to it with time.

    Only glibc is known to give memory back so eagerly, and to be told not to; with any other C library this does
    nothing.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _MOST_MMAP_THRESHOLD)
    libc.mallopt(_TRIM_THRESHOLD, _KEPT_WHILE_TRAINING)
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, _KEPT_AFTERWARDS)
        libc.malloc_trim(0)
