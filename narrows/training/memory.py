"""Keeps memory that a training step frees for the next step, in processes that we own."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

__all__ = ["KEEP_MEMORY", "kept_for_reuse", "kept_if_asked"]

KEEP_MEMORY = "NARROWS_KEEP_MEMORY"
"""This environment variable with the value 1 turns it on. The command line sets it, unless it is already set."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_MOST_MMAP_THRESHOLD = 32 << 20  # the largest value that glibc accepts, and that it reaches by itself
_KEPT_WHILE_TRAINING, _KEPT_AFTERWARDS = 1 << 30, 2 * _MOST_MMAP_THRESHOLD


def kept_if_asked() -> AbstractContextManager[None]:
    """Return `kept_for_reuse` if ``NARROWS_KEEP_MEMORY=1`` is set, otherwise a context without effect.

    In a process of somebody else training must not change the memory management permanently, and glibc cannot undo it:
    its thresholds cannot be read, and it stops adapting them once one has been set. Therefore `fit` changes nothing by
    default.

    Without it a convolutional network takes up to a fifth longer. Three epochs of 2,000 images of MNIST on one thread
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
    """Make the C library keep up to 1 GiB of freed memory instead of returning it to the system.

    The outputs of a network's layers are freed after each step and allocated again in the next. If they are returned
    in between, the system maps and zeroes them again, 4 KiB at a time. At the end all free memory is returned. For the
    rest of the process, allocations of less than 32 MiB are not mapped separately, and 64 MiB of free memory are kept;
    glibc may reach the same state by itself.

    Only glibc is known to return memory so early and to offer a setting; with other C libraries there is no effect.
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
