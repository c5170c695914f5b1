"""Numbers of threads for the products of PyTorch, and of the BLAS libraries of NumPy, SciPy and scikit-learn.

The threads of a product wait for each other by spinning, which is slow beside a busy process, and the split of a sum
among threads decides its last bits. Both numbers are settings of the process, so calls from several threads share them:
the first one that enters a block here saves the number, and the last one that leaves restores it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import lru_cache
from typing import Generic, TypeVar

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["n_threads_outside", "one_blas_thread", "one_openmp_thread", "openmp_threads"]

Value = TypeVar("Value")


class _Shared(Generic[Value]):
    """A context that several threads may be in at the same time: the first one enters it, the last one leaves it.

    Attributes
    ----------
    value : optional
        What the context returned to the first one; None while no thread is inside.
    """

    def __init__(self, enter: Callable[[], AbstractContextManager[Value]]) -> None:
        self._enter, self._entered = enter, ExitStack()
        self._n_inside = 0
        self._lock = threading.Lock()
        self.value: Value | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._n_inside == 0:
                self.value = self._entered.enter_context(self._enter())
            self._n_inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self.value = None
                self._entered.close()


# ------------------------------------------------------------------------------------------------------------- OpenMP
#
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


_outside = _Shared(lambda: nullcontext(_n_threads()))


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


# --------------------------------------------------------------------------------------------------------------- BLAS


@lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    """Return a controller of the loaded libraries; it is created again if more modules were imported."""
    return ThreadpoolController()


def _limit() -> AbstractContextManager[object]:
    limits: AbstractContextManager[object] = _controller(len(sys.modules)).limit(limits=1, user_api="blas")
    return limits


@contextmanager
def _process_limited() -> Iterator[None]:
    """Limit the libraries that have one number for the process.

    A thread of its own does it: threadpoolctl lets no other thread than the one that set OpenBLAS's number set it back,
    and the calling thread may not be the last one to leave. Where they all have one thread already, nothing is done.
    """
    blas = _controller(len(sys.modules)).select(user_api="blas")
    if all(library.num_threads == 1 for library in blas.lib_controllers):
        yield
        return
    limits = ExitStack()
    with ThreadPoolExecutor(1) as keeper:
        keeper.submit(lambda: limits.enter_context(_limit())).result()
        try:
            yield
        finally:
            keeper.submit(limits.close).result()


_limited = _Shared(_process_limited)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute every product of BLAS in one thread; afterwards all libraries have their numbers of threads back."""
    with _limited, _limit():  # the second for libraries that have a number for each thread
        yield
