"""What a training step frees, kept for the next one, where the process is ours to change."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

__all__ = ["KEEP_MEMORY", "kept_for_reuse", "kept_if_asked"]

KEEP_MEMORY = "NARROWS_KEEP_MEMORY"
"""The environment variable that asks for it: 1. The command line sets it for its own process, unless it is set."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_MOST_MMAP_THRESHOLD = 32 << 20  # the largest that glibc takes, and that its own rule comes to
_KEPT_WHILE_TRAINING, _KEPT_AFTERWARDS = 1 << 30, 2 * _MOST_MMAP_THRESHOLD


def kept_if_asked() -> AbstractContextManager[None]:
    """Return `kept_for_reuse` where ``NARROWS_KEEP_MEMORY=1`` asks for it, and otherwise what does nothing.

    In a process that belongs to somebody else training must not change how memory is managed for good, and glibc offers
    no way back: it cannot be asked for its thresholds, and stops adapting them once one has been set. So `fit` changes
    nothing there unless asked.

    It costs a convolutional network up to a fifth of its time. Three epochs of 2,000 images of MNIST on one thread
    took, in seconds of user and system time, in two runs each:

    ==================  ================  ==================  =============================
    recipe              kept for reuse    left alone          pages mapped, kept and alone
    ==================  ================  ==================  =============================
    ``conv-denoising``  16.8, 17.3        20.9, 20.3          0.3 and 1.2 million
    ``conv``            25.5, 26.9        25.7, 23.0          0.2 and 0.9 million
    ==================  ================  ==================  =============================
    """
    return kept_for_reuse() if os.environ.get(KEEP_MEMORY, "0") not in {"", "0"} else nullcontext()


@contextmanager
def kept_for_reuse() -> Iterator[None]:
    """Have the C library keep memory that is freed, up to 1 GiB, instead of giving it back to the system.

    The outputs of a network's layers are freed after each step and wanted again in the next. Given back meanwhile, they
    are mapped and filled with zeros anew, 4 KiB at a time. Afterwards all that is free is given back. For the rest of
    the process nothing of less than 32 MiB is mapped apart, and 64 MiB of free memory are kept; glibc's own rule may
    come to the same with time.

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
