"""Artefacts that are measured when they are first needed.

Some artefacts take longer than the training of a small model: the density of codes, and the archive codec. `fit` keeps
what their measurement needs, a limited sample of records or of their codes, and measures them at first use.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from narrows.errors import NotMeasuredError
from narrows.numerics.surroundings import usual_settings
from narrows.numerics.threads import one_blas_thread, one_openmp_thread

if TYPE_CHECKING:
    from narrows.model.artefacts.contract import Artefact

__all__ = ["Pending"]

_LOCK = threading.RLock()  # of all pending artefacts: an object with a lock of its own could not be pickled


class Pending:
    """A measurement that is made when its result is first needed, once.

    Parameters
    ----------
    measure : callable
        Returns the artefact, from data that it holds. It is dropped, with these data, once it has been called.
    """

    def __init__(self, measure: Callable[[], Artefact]) -> None:
        self._measure: Callable[[], Artefact] | None = measure
        self._result: Artefact | None = None
        self.failure: str | None = None
        """The reason why the measurement failed; None if it has not failed so far."""

    def result(self) -> Artefact:
        """Return the artefact, measured now if it has not been measured before.

        Raises
        ------
        NotMeasuredError
            If the measurement fails, now or at an earlier call; the message is the reason.
        """
        with _LOCK:
            if self._measure is not None:
                try:
                    with usual_settings(), one_openmp_thread(), one_blas_thread():
                        self._result = self._measure()
                except Exception as error:  # a failure must not lose the trained weights
                    self.failure = f"{type(error).__name__}: {error}"
                self._measure = None  # not after Ctrl-C, so that it can be called again
        if self._result is None:
            raise NotMeasuredError(str(self.failure))
        return self._result

    @property
    def measured(self) -> Artefact | None:
        """The artefact if it has been measured; None if it has not been so far."""
        return self._result

    @property
    def may_depend_on_weights(self) -> bool:
        """Whether the artefact depends on the weights of the model, or may do so once it is measured."""
        return self.failure is None and (self._result is None or self._result.depends_on_weights)

    def __getstate__(self) -> dict[str, Any]:
        """Measure now, so that pickled models contain no training records."""
        with suppress(NotMeasuredError):  # the reason is in the state
            self.result()
        return self.__dict__
