"""Products of BLAS in one thread, for NumPy and for libraries that are loaded beside it.

The number of threads is a setting of the process, so calls from several threads share it: the first one that enters the
block saves the number, and the last one that leaves restores it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache
from typing import Generic, TypeVar

from threadpoolctl import ThreadpoolController

__all__ = ["Shared", "one_blas_thread"]

Value = TypeVar("Value")


class Shared(Generic[Value]):
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


_limited = Shared(_process_limited)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute every product of BLAS in one thread; afterwards all libraries have their numbers of threads back."""
    with _limited, _limit():  # the second for libraries that have a number for each thread
        yield
