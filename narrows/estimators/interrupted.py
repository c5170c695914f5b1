"""What an estimator holds after Ctrl-C or an error during `fit`: what was learned so far, or what it was before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from narrows.errors import UnfinishedWarning, warn
from narrows.estimators.base import RecordsEstimator
from narrows.training.interruption import TrainingInterrupted

__all__ = ["keeps_what_was_learned", "unchanged_unless_it_succeeds"]

P = ParamSpec("P")
E = TypeVar("E", bound=RecordsEstimator)
R = TypeVar("R")


def keeps_what_was_learned(fit: Callable[Concatenate[E, P], R]) -> Callable[Concatenate[E, P], R]:
    """Return a method that trains an estimator, such as `fit`, which loses nothing by Ctrl-C or by an error.

    A run that ends during its first epoch leaves a fitted estimator as it was. Any later, and for an unfitted
    estimator, the estimator gets the weights learned so far. KeyboardInterrupt, or the error, is raised in all cases.
    Other errors, before or after the training or of a loss that is not finite, pass.
    """

    @wraps(fit)
    def method(self: E, /, *args: P.args, **kwargs: P.kwargs) -> R:
        before = dict(self.__dict__)
        try:
            return fit(self, *args, **kwargs)
        except KeyboardInterrupt as stop:
            if self.__dict__.get("model_") in (None, before.get("model_")):  # otherwise only artefacts are missing
                _keep(self, before, stop if isinstance(stop, TrainingInterrupted) else None)
            if not isinstance(stop, TrainingInterrupted) or not isinstance(stop.__cause__, Exception):
                raise
            error = stop.__cause__
        raise error  # here, so that it has no other context than before

    return method


def unchanged_unless_it_succeeds(fit: Callable[Concatenate[E, P], R]) -> Callable[Concatenate[E, P], R]:
    """Return a method that leaves an estimator as it was if it ends by Ctrl-C or by an error."""

    @wraps(fit)
    def method(self: E, /, *args: P.args, **kwargs: P.kwargs) -> R:
        before = dict(self.__dict__)
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    return method


def _keep(estimator: RecordsEstimator, before: dict[str, Any], stop: TrainingInterrupted | None) -> None:
    has_learned = stop is not None and stop.model is not None
    if stop is None or not has_learned or (stop.n_learned == 0 and "model_" in before):
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        return
    estimator.model_ = stop.model
    with suppress(UnfinishedWarning):  # an interruption stays one where warnings are errors
        warn(stop.warning)
