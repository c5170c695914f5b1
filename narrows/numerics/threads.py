"""Numbers of threads for the products of PyTorch; see `narrows.numerics.blas` for those of BLAS.

The threads of a product wait for each other by spinning, which is slow beside a busy process, and the split of a sum
among threads decides its last bits. The number is a setting of the process, so calls from several threads share it: the
first one that enters a block here saves the number, and the last one that leaves restores it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from narrows.numerics.blas import Shared, one_blas_thread

__all__ = ["n_threads_outside", "one_blas_thread", "one_openmp_thread", "openmp_threads"]

# PyTorch has a number for each thread, and another for threads that have not used it yet. `torch.set_num_threads`
# changes both, so that a thread which first uses PyTorch while another is in `one_openmp_thread` finds 1.


class _OfThread(threading.local):
    """The state of the calling thread."""

    is_inside = False  # whether it is in `one_openmp_thread`
    was_inside = False


_of_thread = _OfThread()


def _n_threads() -> int:
    """Return the number of the calling thread, or that of new threads where it may have found 1 by accident."""
    found = [torch.get_num_threads()]
    if not _of_thread.was_inside:
        new = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        new.start()
        new.join()
    return max(found)


_outside = Shared(lambda: nullcontext(_n_threads()))


def n_threads_outside() -> int:
    """Return PyTorch's number of threads outside all blocks of `one_openmp_thread`, in whatever thread."""
    return _outside.value or torch.get_num_threads()


@contextmanager
def one_openmp_thread() -> Iterator[None]:
    """Compute the products of PyTorch in the calling thread alone.

    Afterwards this thread and all new ones have the number from before the first of the concurrent calls.
    """
    if _of_thread.is_inside:
        with openmp_threads(1):
            yield
        return
    with _outside:
        before = n_threads_outside()
        _of_thread.is_inside = _of_thread.was_inside = True
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            _of_thread.is_inside = False


@contextmanager
def openmp_threads(n: int) -> Iterator[None]:
    """Compute the products of PyTorch with n threads, within `one_openmp_thread`: cheap enough for every step."""
    before = torch.get_num_threads()
    if n == before:
        yield
        return
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
