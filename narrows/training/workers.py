"""Workers: threads of this process that share the items of a list, each with one OpenMP thread.

OpenMP splits every single product among its threads, which wait for each other by spinning. If another process takes
the CPU of one thread, all others spin until it continues, at each of the many products of a step. Workers sleep while
they wait, once for each list of items, and a worker without a CPU leaves its items to the others. PyTorch releases
Python's global lock within its operators, so that workers compute at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from queue import SimpleQueue
from typing import Generic, Self, TypeVar

import torch

from narrows.numerics.cpus import usable_cpus
from narrows.numerics.pool import most_threads
from narrows.numerics.surroundings import usual_settings
from narrows.numerics.threads import n_threads_outside, one_openmp_thread

__all__ = ["Workers", "most_workers", "over_workers"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def most_workers(threads: int | None) -> int:
    """Return the number of workers: ``threads``, or that of PyTorch, but at most the number of CPUs.

    Inside a piece of work of a `Pool` it is 1.
    """
    if threads is None:
        threads = n_threads_outside()
    if threads == 1:
        return 1
    return min(threads, most_threads() or threads, usable_cpus())  # files of the system say how many CPUs may be used


@usual_settings()
def over_workers(
    function: Callable[[Item], Result], items: Iterable[Item], device: torch.device, *, one_by_one: bool = False
) -> list[Result]:
    """Return the function of each item, in the order of the items, without gradients.

    On a CPU, workers share the items, each with one OpenMP thread. On other devices the items are computed one after
    the other. Set `one_by_one` if the order matters, for example if the function draws from a generator.
    """

    def without_gradient(item: Item) -> Result:
        with torch.no_grad():  # for this thread
            return function(item)

    if device.type != "cpu":
        return list(map(without_gradient, items))
    with one_openmp_thread(), Workers(1 if one_by_one else most_workers(None)) as workers:
        return workers.map(without_gradient, items)


class Workers:
    """The calling thread and up to ``most`` − 1 others, which start at first use.

    Leaving the context ends them. Each worker thread uses one OpenMP thread. The caller's number is not changed.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._rounds: SimpleQueue[_Round[object, object] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for _ in self._threads:
            self._rounds.put(None)
        while self._threads:
            self._threads[-1].join()
            self._threads.pop()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item], n: int | None = None) -> list[Result]:
        """Return the function of each item, in the order of the items, computed by n workers (None: by all).

        An exception is raised in the caller with the traceback of its worker; the earliest item takes precedence.
        """
        current = _Round(function, items)
        n_useful = min(self.most if n is None else n, len(items) if isinstance(items, Sized) else self.most)
        for index in range(min(n_useful, self.most) - 1):
            if index == len(self._threads):
                self._threads.append(threading.Thread(target=self._serve, name="narrows-worker", daemon=True))
                self._threads[-1].start()
            self._rounds.put(current)  # type: ignore[arg-type]
        try:
            current.work()
            return current.results()
        finally:
            current.close()

    def _serve(self) -> None:
        with one_openmp_thread():
            while (current := self._rounds.get()) is not None:
                current.work()
                del current  # free its results before the next round


class _Round(Generic[Item, Result]):
    """A list of items; each worker takes the next one until none is left."""

    def __init__(self, function: Callable[[Item], Result], items: Iterable[Item]) -> None:
        self._function = function
        self._items: Iterator[tuple[int, Item]] = enumerate(items)
        self._results: dict[int, Result] = {}
        self._errors: dict[int, BaseException] = {}
        self._n_open = 0  # items that are being computed
        self._changed = threading.Condition()

    def work(self) -> None:
        while (taken := self._take()) is not None:
            index, item = taken
            try:
                result = self._function(item)
            except BaseException as error:  # raised again in the caller
                self._finish(self._errors, index, error)
            else:
                self._finish(self._results, index, result)

    def _take(self) -> tuple[int, Item] | None:
        with self._changed:
            if self._errors:
                return None
            try:
                taken = next(self._items, None)
            except BaseException as error:  # raised again in the caller
                self._errors[len(self._results) + self._n_open] = error
                return None
            self._n_open += taken is not None
            return taken

    def _finish(self, where: dict[int, Result] | dict[int, BaseException], index: int, outcome: object) -> None:
        with self._changed:
            where[index] = outcome  # type: ignore[assignment]
            self._n_open -= 1
            self._changed.notify()

    def results(self) -> list[Result]:
        """Wait for the other workers and return the results in the order of the items."""
        with self._changed:
            self._changed.wait_for(lambda: self._n_open == 0)
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._results[index] for index in range(len(self._results))]

    def close(self) -> None:
        """Hand out no more items and drop the results, since a worker may hold the round much longer."""
        with self._changed:
            self._items = iter(())
            self._results.clear()
            self._errors.clear()
