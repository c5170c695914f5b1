"""Records in a mapped file that is larger than memory, and what the system is told about how they are read.

The system reads more of a mapped file than was asked for, up to 8 MB around a page. For records read in order that is
best. For single records at random places it is not: one epoch over 1.6 GB within 800 MB of memory read 698 GB.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.data.memory import usable_memory

__all__ = ["MappedRecords", "larger_than_memory", "read_at_random"]

_SHARE = 2  # records of more than 1 / 2 of the memory cannot be expected to stay in it
_GAP_BYTES = 64 << 10  # what is read although nobody needs it, rather than to begin again behind it


class MappedRecords:
    """Records (n, *shape) in a mapped file.

    Parameters
    ----------
    mapped : mmap
        The mapping.
    start : int
        Position of the first record in the mapping, in bytes.
    record_bytes : int
        Size of a record.
    """

    def __init__(self, mapped: mmap.mmap, start: int, record_bytes: int) -> None:
        self.mapped, self.start, self.record_bytes = mapped, start, record_bytes

    def will_need(self, rows: NDArray[np.int64]) -> None:
        """Begin to read the records at these rows, in any order, and do not wait for them."""
        rows = np.unique(rows)
        if not len(rows):
            return
        breaks = np.flatnonzero(np.diff(rows) * self.record_bytes > _GAP_BYTES)
        firsts, lasts = rows[np.append(0, breaks + 1)], rows[np.append(breaks, len(rows) - 1)]
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
            begin = (self.start + first * self.record_bytes) // mmap.PAGESIZE * mmap.PAGESIZE
            self.mapped.madvise(mmap.MADV_WILLNEED, begin, self.start + (last + 1) * self.record_bytes - begin)


def larger_than_memory(values: NDArray[Any]) -> MappedRecords | None:
    """Return the mapped file of an array (n, *shape) of more than half of `usable_memory`; None for other arrays.

    None as well where the system takes no advice, and for arrays whose records do not follow each other in the file.
    """
    mapped = _mapping(values)
    if mapped is None or not hasattr(mmap, "MADV_RANDOM") or not values.flags.c_contiguous:
        return None
    memory = usable_memory()
    if memory is None or values.nbytes <= memory // _SHARE:
        return None
    start = values.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    return MappedRecords(mapped, start, values.nbytes // len(values))


@contextmanager
def read_at_random(files: Sequence[MappedRecords]) -> Iterator[None]:
    """In the block, read no more of mapped files than was asked for. Afterwards, they are read in order again."""
    for file in files:
        file.mapped.madvise(mmap.MADV_RANDOM)
    try:
        yield
    finally:
        for file in files:
            file.mapped.madvise(mmap.MADV_NORMAL)


def _mapping(values: Any) -> mmap.mmap | None:
    """Return the mapping whose memory an array shows."""
    while isinstance(values, np.ndarray | memoryview):
        values = values.obj if isinstance(values, memoryview) else values.base
    return values if isinstance(values, mmap.mmap) else None
