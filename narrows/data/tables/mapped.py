"""Memory of mapped files, which is given back as they are read."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from narrows.data.tables.kernels import Bytes

__all__ = ["release"]


def release(data: Bytes, start: int, stop: int) -> None:
    """Give back the memory of some bytes of a mapped file, which are read from the file again if they are used.

    Nothing happens if the data are no mapped file, or the system has no such advice.
    """
    whole: Any = data
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    mapped = whole.base.obj if isinstance(whole.base, memoryview) else None
    if not isinstance(mapped, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    first = (data.ctypes.data - whole.ctypes.data + start) // mmap.PAGESIZE * mmap.PAGESIZE
    end = data.ctypes.data - whole.ctypes.data + stop
    if end > first:
        mapped.madvise(mmap.MADV_DONTNEED, first, end - first)
