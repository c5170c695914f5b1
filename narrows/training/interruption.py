"""Stops a run between two steps after Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self

__all__ = ["Interruption"]


class Interruption:
    """A context in which the first Ctrl-C or SIGTERM only sets a flag; the second one interrupts at once.

    Outside the main thread, which gets no signals from Python, it has no effect.
    """

    _signals = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, *, active: bool) -> None:
        self._active = active and threading.current_thread() is threading.main_thread()
        self._received: int | None = None
        self._before: list[object] = []

    @property
    def requested(self) -> bool:
        """Whether a signal has been received."""
        return self._received is not None

    def __enter__(self) -> Self:
        if self._active:
            self._before = [signal.signal(number, self._receive) for number in self._signals]
        return self

    def __exit__(self, *exception: object) -> None:
        if self._active:
            for number, handler in zip(self._signals, self._before, strict=True):
                signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self.stop()
        self._received = number

    def stop(self) -> None:
        """Raise the exception of the signal: KeyboardInterrupt, or SystemExit after SIGTERM."""
        if self._received == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt
