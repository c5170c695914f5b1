"""The states that threads code with: as many equal ones as threads code at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

from narrows.codec.text.records import State

__all__ = ["States"]

_MOST_BYTES = 1 << 30


class States:
    """Equal states of a model, each of which one thread uses at a time and returns as it was.

    Parameters
    ----------
    learn : callable
        Returns the state; called once, when it is first needed.
    """

    def __init__(self, learn: Callable[[], State]) -> None:
        self._learn, self._free, self._n, self._n_waited = learn, list[State](), 0, 0
        self._changed = Condition()

    @contextmanager
    def one(self) -> Iterator[State]:
        """Lend a state, which must be returned as it was."""
        state = self._taken()
        try:
            yield state
        finally:
            with self._changed:
                self._free.append(state)
                self._changed.notify()

    def _taken(self) -> State:
        with self._changed:
            if not self._n:
                self._free.append(self._learn())
                self._n = 1
            self._n_waited += not self._free
            while not self._free:
                self._changed.wait()
            state = self._free.pop()
            most = max(1, _MOST_BYTES // max(1, state.n_bytes))
            if self._n_waited >= self._n and self._n < most:  # a copy is made of one that no thread is using
                try:
                    self._free.append(state.copy())
                except MemoryError:  # those that there are must do
                    return state
                self._n += 1
                self._changed.notify()
            return state
