"""The callbacks of a fit, which have the model at hand while it is trained."""

from __future__ import annotations

from collections.abc import Container
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from narrows.estimators.base import RecordsEstimator
from narrows.estimators.parameters import artefacts_of
from narrows.model.artefacts import Artefact
from narrows.model.artefacts.measuring import NOT_ASKED_FOR
from narrows.model.fitted import FittedModel
from narrows.numerics.eval_mode import in_eval_mode
from narrows.training import Callback, Callbacks, Epoch, as_callback
from narrows.training.callbacks import Several
from narrows.training.display import display
from narrows.training.interruption import TrainingInterrupted
from narrows.training.log import Log

__all__ = ["Watching", "callbacks_of"]

_LATER = "Artefacts are measured after the training, and a callback has taken this model during it."


def callbacks_of(estimator: RecordsEstimator, given: Callbacks, autoencoder: RecordsEstimator) -> Watching:
    """Return the callback of a fit: it shows and logs the progress, and passes it on to the callbacks given.

    Parameters
    ----------
    estimator : RecordsEstimator
        The estimator that is fitted, which has seen the data.
    given : callback, function, sequence of these, or None
        The argument of its method `fit`.
    autoencoder : Autoencoder
        An unfitted autoencoder of the parameters that are used; callbacks have it at hand.

    Raises
    ------
    InvalidParameterError
        If ``callback`` or ``verbose`` has a value that is not allowed.
    """
    shown = display(estimator.verbose, type(estimator).__name__)
    names = getattr(estimator, "feature_names_in_", None)
    callback = Several([shown, Log(), as_callback(given)])
    return Watching(callback, autoencoder, names, uses_model=given is not None)


class Watching(Callback):
    """Passes the progress on, with the chain in eval mode, so that the model can be used like a fitted one.

    If no callback uses the model, the modes of its modules are left alone.
    """

    def __init__(
        self,
        callback: Callback,
        autoencoder: RecordsEstimator,
        feature_names: NDArray[Any] | None,
        *,
        uses_model: bool = True,
    ) -> None:
        self.callback, self.autoencoder, self.feature_names = callback, autoencoder, feature_names
        self.uses_model = uses_model
        self.history: list[dict[str, Any]] = []
        self.history_before: list[dict[str, Any]] = []

    def watch(self, model: FittedModel) -> None:
        """Give the callback the autoencoder whose chain is about to be trained."""
        self.chain, self.history_before = model.chain, list(model.history)
        live = _without_artefacts(model, artefacts_of(self.autoencoder.get_params(deep=False)["artefacts"]))
        self.autoencoder.take_model(replace(live, history=self.history, feature_names=self.feature_names))
        self.autoencoder._is_being_trained = True
        try:
            self.callback.begin(self.autoencoder)
        except Exception as error:  # as one of the training
            raise TrainingInterrupted([], 0, is_over=False) from error

    def stage(self, name: str) -> None:
        self.callback.stage(name)

    def start(self, n_epochs: int, n_records: int, epochs_done: int) -> None:
        self.history[:] = self.history_before  # of a model whose training is continued
        with self._usable():
            self.callback.start(n_epochs, n_records, epochs_done)

    def step(self, epoch: int, records_done: int, loss: float) -> None:
        with self._usable():
            self.callback.step(epoch, records_done, loss)

    def epoch(self, row: Epoch) -> bool | None:
        self.history.append(row.to_json())
        with self._usable():
            return self.callback.epoch(row)

    def stop(self) -> None:
        with self._usable():
            self.callback.stop()

    def _usable(self) -> AbstractContextManager[None]:
        return in_eval_mode(self.chain) if self.uses_model else nullcontext()


def _without_artefacts(model: FittedModel, wanted: Container[str]) -> FittedModel:
    """Return a model that is about to be trained without the artefacts that depend on its weights.

    Parameters
    ----------
    model : FittedModel
        The model.
    wanted : container of str
        The names of the artefacts that are measured after the training.
    """
    for name, kind in Artefact.registry.items():
        if name in model.measured_with or (kind.applies(model) and not model.has(name)):
            model = model.without_artefact(name, _LATER if name in wanted else NOT_ASKED_FOR)
    return model
