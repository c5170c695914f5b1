"""Stopping between two steps when somebody asks for it."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self

__all__ = ["Interruption"]


class Interruption:
    """While it's entered, Ctrl-C and a polite kill only raise a flag; a second one interrupts at once.

    Outside the main thread, where Python hands out no signals, it does nothing.
    """

    _signals = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, *, active: bool) -> None:
        self._active = active and threading.current_thread() is threading.main_thread()
        self._received: int | None = None
        self._before: list[object] = []

    @property
    def requested(self) -> bool:
        """Whether somebody has asked to stop."""
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
        """Raise what the signal stands for: KeyboardInterrupt, or SystemExit after a kill."""
        if self._received == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt
