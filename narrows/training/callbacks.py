"""Everything that may be given as ``callback``, as one callback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from narrows.errors import InvalidParameterError
from narrows.training.progress import Callback, Epoch

__all__ = ["Callbacks", "Several", "as_callback"]

Callbacks = Callback | Callable[[Epoch], bool | None] | Sequence[Callback | Callable[[Epoch], bool | None]] | None
"""A callback, a function that is called with each epoch, or a sequence of these."""


def as_callback(given: Any) -> Callback:
    """Return one callback for a callback, a function of an epoch, a sequence of these, or None.

    Raises
    ------
    InvalidParameterError
        If it is none of these.

    Examples
    --------
    >>> losses = []
    >>> both = as_callback([lambda row: losses.append(row.loss), lambda row: row.loss < 0.5])
    >>> both.epoch(Epoch(1, 0.7, None, 1e-3, 1.0, 100.0)), both.epoch(Epoch(2, 0.4, None, 1e-3, 1.0, 100.0)), losses
    (False, True, [0.7, 0.4])
    """
    if given is None:
        return Callback()
    if isinstance(given, Callback):
        return given
    if isinstance(given, list | tuple):
        return Several([as_callback(one) for one in given])
    if isinstance(given, type) or not callable(given):
        hint = f" Create one: {given.__name__}()." if isinstance(given, type) else ""
        raise InvalidParameterError(
            "The 'callback' of fit must be a narrows.training.Callback, a function that is called with each epoch, a "
            f"sequence of these, or None. Got {given!r}.{hint}"
        )
    return _Function(given)


class Several(Callback):
    """Passes the progress to several callbacks in turn. The run ends if one of them ends it."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks

    def begin(self, model: Any) -> None:
        for one in self.callbacks:
            one.begin(model)

    def stage(self, name: str) -> None:
        for one in self.callbacks:
            one.stage(name)

    def start(self, n_epochs: int, n_records: int, epochs_done: int) -> None:
        for one in self.callbacks:
            one.start(n_epochs, n_records, epochs_done)

    def step(self, epoch: int, records_done: int, loss: float) -> None:
        for one in self.callbacks:
            one.step(epoch, records_done, loss)

    def epoch(self, row: Epoch) -> bool:
        ends = [_is_true(one.epoch(row)) for one in self.callbacks]  # all of them get the epoch
        return any(ends)

    def stop(self) -> None:
        with ExitStack() as stack:  # all of them, even if one fails
            for one in reversed(self.callbacks):
                stack.callback(one.stop)


class _Function(Callback):
    """Calls a function with each epoch."""

    def __init__(self, function: Callable[[Epoch], Any]) -> None:
        self.function = function

    def epoch(self, row: Epoch) -> bool:
        return _is_true(self.function(row))


def _is_true(answer: Any) -> bool:
    """Return whether a callback ends the run: by True itself, since functions may return anything."""
    return isinstance(answer, bool | np.bool_) and bool(answer)
