"""Everything that may be given as ``callback``, as one callback."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from narrows.errors import InvalidParameterError, NarrowsWarning, warn
from narrows.parts.user_code import check_arguments, reference
from narrows.training.progress import Callback, Epoch

__all__ = ["Callbacks", "Several", "as_callback"]

Callbacks = Callback | Callable[[Epoch], bool | None] | Sequence[Callback | Callable[[Epoch], bool | None]] | None
"""A callback, a function that is called with each epoch, or a sequence of these."""

_METHODS = {
    "begin": "model",
    "stage": "name",
    "start": "n_epochs, n_records, epochs_done",
    "step": "epoch, records_done, loss",
    "epoch": "row",
    "stop": "",
}
"""The methods of a callback with their arguments."""


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
        _check_methods(given)
        return given
    if isinstance(given, list | tuple):
        return Several([as_callback(one) for one in given])
    if isinstance(given, type) or not callable(given):
        hint = f" Create one: {given.__name__}()." if isinstance(given, type) else ""
        raise InvalidParameterError(
            "The 'callback' of fit must be a narrows.training.Callback, a function that is called with each epoch, a "
            f"sequence of these, or None. Got {given!r}.{hint}"
        )
    check_arguments(given, "row", "the 'callback' of fit")
    return _Function(given)


class Several(Callback):
    """Passes the progress to several callbacks in turn. The run ends if one of them ends it."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks
        self._warned_of: set[int] = set()

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
            if one.step(epoch, records_done, loss) is True:  # type: ignore[func-returns-value]
                self._warn(f"The method 'step' of {_name(one)} returned True, which does not end the training.", one)

    def epoch(self, row: Epoch) -> bool:
        ends = [self._ends(one.epoch(row), one) for one in self.callbacks]  # all of them get the epoch
        return any(ends)

    def stop(self) -> None:
        with ExitStack() as stack:  # all of them, even if one fails
            for one in reversed(self.callbacks):
                stack.callback(one.stop)

    def _ends(self, answer: Any, callback: Callback) -> bool:
        """Return whether a callback ends the run: by True itself, since functions may return anything."""
        if isinstance(answer, bool | np.bool_):
            return bool(answer)
        if answer is not None and _is_truthy(answer):
            self._warn(
                f"The callback {_name(callback)} returned {answer!r:.40}, which does not end the training.",
                callback,
            )
        return False

    def _warn(self, what: str, callback: Callback) -> None:
        """Warn of an answer that has no effect, once for each callback."""
        if id(callback) not in self._warned_of:
            self._warned_of.add(id(callback))
            warn(NarrowsWarning(f"{what} Only True returned after an epoch does.", kind="callback"))


class _Function(Callback):
    """Calls a function with each epoch."""

    def __init__(self, function: Callable[[Epoch], Any]) -> None:
        self.function = function

    def epoch(self, row: Epoch) -> Any:
        return self.function(row)


def _check_methods(callback: Callback) -> None:
    """Refuse a callback that would never be called, and warn of methods whose names look wrong.

    Raises
    ------
    InvalidParameterError
        If it has none of the methods of `Callback`, or one with other arguments.
    """
    kind = type(callback)
    own = set(vars(callback)).union(*(vars(one) for one in kind.__mro__ if one not in Callback.__mro__))
    methods = sorted(name for name in own if not name.startswith("_") and callable(getattr(callback, name, None)))
    if kind is not Callback and not own & _METHODS.keys():
        raise InvalidParameterError(
            f"A callback must have at least one of the methods {', '.join(_METHODS)}. {kind.__name__} has "
            f"{', '.join(methods) or 'no methods'}."
        )
    for name in methods:
        if name in _METHODS:
            check_arguments(getattr(callback, name), _METHODS[name], f"the method '{name}' of {kind.__name__}")
        elif name.startswith("on_") or difflib.get_close_matches(name.lower(), _METHODS, n=1, cutoff=0.8):
            text = f"The method '{name}' of {kind.__name__} is not called during training. "
            warn(NarrowsWarning(f"{text}The methods of callbacks are {', '.join(_METHODS)}.", kind="callback"))


def _is_truthy(answer: Any) -> bool:
    """Return whether an answer may be meant as True."""
    try:
        return bool(answer)
    except (TypeError, ValueError, RuntimeError):  # arrays and tensors
        return True


def _name(callback: Callback) -> str:
    """Return what warnings call a callback."""
    return reference(callback.function if isinstance(callback, _Function) else callback).partition(":")[2]
