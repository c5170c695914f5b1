"""Threads that share independent pieces of work; results come in the order of the pieces.

As in `concurrent.futures` and joblib, a piece is a function call, and its exception is raised where its result is
awaited. Only a few pieces are in flight, so that memory does not grow with their number. A piece computes on one
thread, with one thread of BLAS and of OpenMP, so that its result does not depend on the number of threads, and the
threads are never more than was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial
from itertools import chain, islice
from numbers import Integral
from types import TracebackType
from typing import Any, Self, TypeVar

from narrows.errors import InvalidParameterError
from narrows.numerics.blas import one_blas_thread
from narrows.numerics.cpus import usable_cpus
from narrows.numerics.surroundings import usual_settings

__all__ = ["Pool", "check_threads", "most_threads"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_BYTES = 1 << 28  # of the pieces in flight
_PER_THREAD = 2  # pieces in flight: one that is computed, and one that waits or is done

_MOST_THREADS: ContextVar[int | None] = ContextVar("most_threads", default=None)


def most_threads() -> int | None:
    """Return the largest number of threads that the caller may use: 1 inside a piece; None if it is not limited."""
    return _MOST_THREADS.get()


def check_threads(threads: int | None) -> None:
    """Raise InvalidParameterError unless a number of threads is None, or whole and at least 1."""
    given: Any = threads
    if given is not None and (isinstance(given, bool) or not isinstance(given, Integral) or given < 1):
        raise InvalidParameterError(
            f"The 'threads' (--threads) must be a whole number ≥ 1, or None for all CPUs that the process may use. "
            f"Got {threads!r}."
        )


class Pool:
    """Up to ``threads`` threads, which start when they are first needed. Leaving the context ends them.

    With one thread, everything is computed by the calling thread.

    Parameters
    ----------
    threads : int, optional
        By default the number of CPUs that the process may use.

    Raises
    ------
    InvalidParameterError
        If it is not a whole number of at least 1.
    """

    def __init__(self, threads: int | None = None) -> None:
        check_threads(threads)
        self.threads = usable_cpus() if threads is None else int(threads)
        self._executor = ThreadPoolExecutor(self.threads, "narrows-pool") if self.threads > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def in_flight(self, n_bytes: int) -> int:
        """Return how many pieces may be in flight if each takes this number of bytes: two for each thread, or fewer."""
        return max(1, min(_PER_THREAD * self.threads, _MOST_BYTES // max(1, n_bytes)))

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Start a call; its result or exception is that of the future."""
        if self._executor is not None:
            return self._executor.submit(copy_context().run, _alone, function, *arguments)
        done: Future[Result] = Future()
        try:
            done.set_result(copy_context().run(_alone, function, *arguments))
        except Exception as error:
            done.set_exception(error)
        return done

    def map(self, function: Callable[[Item], Result], items: Iterable[Item], n_bytes: int = 0) -> Iterator[Result]:
        """Yield the function of each item, in the order of the items.

        Items are taken, by the calling thread, shortly before they are needed. A single item is computed by the calling
        thread, and may use as many threads as there are in the pool.

        Parameters
        ----------
        function : callable
            Of one item.
        items : iterable
            The items.
        n_bytes : int
            About how much memory a piece takes.
        """
        calls = _calls(function, items)
        first = list(islice(calls, 2))
        if len(first) == 1:
            yield copy_context().run(_within, self.threads, first[0])
            return
        calls = chain(first, calls)
        if self._executor is None:
            for call in calls:
                yield copy_context().run(_alone, call)
            return
        futures: deque[Future[Result]] = deque()
        try:
            futures.extend(map(self.submit, islice(calls, self.in_flight(n_bytes))))
            while futures:
                result = futures.popleft().result()
                futures.extend(map(self.submit, islice(calls, 1)))
                yield result
        finally:
            for future in futures:
                future.cancel()


def _calls(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Callable[[], Result]]:
    """Yield a call for each item. If taking an item fails, its call raises the error, in its turn."""
    waiting = iter(items)
    while True:
        try:
            item = next(waiting)
        except StopIteration:
            return
        except Exception as error:
            yield partial(_raise, error)
            return
        yield partial(function, item)


def _raise(error: Exception) -> Any:
    raise error


def _within(threads: int, call: Callable[[], Result]) -> Result:
    _MOST_THREADS.set(threads)
    return _alone(call) if threads == 1 else call()


def _alone(function: Callable[..., Result], *arguments: Any) -> Result:
    _MOST_THREADS.set(1)
    with usual_settings(), one_blas_thread():
        return function(*arguments)
