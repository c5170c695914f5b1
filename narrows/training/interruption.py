"""Stops a run between two steps after Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any, Self

from narrows.training.progress import Epoch

__all__ = ["Interruption", "TrainingInterrupted"]


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C or an exception, its cause, ended a run. The learners have the weights that the run would have kept.

    Attributes
    ----------
    histories : list of list of Epoch
        One row for each epoch of each stage so far. Empty for a stage that has learned nothing.
    n_complete : int
        Number of complete epochs of the last of these stages, which may have a row for an unfinished epoch.
    is_over : bool
        Whether the last of these stages had ended.
    model : FittedModel or None
        What was learned, if that is a model; set by `narrows.model.unfinished.note_learned`, as is the rest.
    n_learned : int
        Number of complete epochs of the model.
    warning : NarrowsWarning or None
        The warning that tells of the model.
    """

    model: Any = None
    n_learned: int = 0
    warning: Any = None

    def __init__(self, histories: Sequence[list[Epoch]], n_complete: int, *, is_over: bool) -> None:
        super().__init__("The training was interrupted.")
        self.histories, self.n_complete, self.is_over = list(histories), n_complete, is_over


class Interruption:
    """A context in which the first Ctrl-C or SIGTERM only sets a flag; the second one interrupts at once.

    Outside the main thread, which gets no signals from Python, it has no effect.

    Parameters
    ----------
    saves : bool
        Whether the run has a checkpoint to write. Otherwise only Ctrl-C is waited for, and only if nobody else has
        asked for it: SIGTERM ends the process.
    """

    def __init__(self, *, saves: bool) -> None:
        numbers = (signal.SIGINT, signal.SIGTERM) if saves else (signal.SIGINT,)
        is_main = threading.current_thread() is threading.main_thread()
        is_ours = saves or signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self._numbers = numbers if is_main and is_ours else ()
        self._received: int | None = None
        self._before: list[object] = []

    @property
    def requested(self) -> bool:
        """Whether a signal has been received."""
        return self._received is not None

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._receive) for number in self._numbers]
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in zip(self._numbers, self._before, strict=True):
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
