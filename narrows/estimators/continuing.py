"""Training a fitted autoencoder further: more epochs, a warm start, and new data."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from narrows.estimators.base import Data
from narrows.estimators.fitting import train_model, train_stages
from narrows.estimators.further_training import (
    FIXED,
    KeepsMoments,
    Moments,
    check_fixed,
    copy_of,
    further_stage,
    one_pass,
    start_of,
)
from narrows.estimators.interrupted import keeps_what_was_learned
from narrows.estimators.measuring import Measuring
from narrows.estimators.preparation import (
    chain_stage,
    discriminator_of,
    labelled,
    schema_for,
    whole,
)
from narrows.estimators.runs import checkpoint_of, seed_of
from narrows.estimators.training_data import LabelledSource, Split, described, open_for_training
from narrows.estimators.watching import Watching, callbacks_of
from narrows.model.artefacts import Artefact, TrainingRecords
from narrows.model.artefacts.measuring import INTERRUPTED, NOT_ASKED_FOR, measure
from narrows.model.collapse import warn_if_collapsed
from narrows.model.fitted import FittedModel, Kept, Took, TrainedOn
from narrows.numerics.surroundings import usual_settings
from narrows.parts.options import Integer, check
from narrows.training import Callbacks, Checkpoint, Stage, Training, resolve_device, resolve_training

__all__ = ["Continuing"]

_NO_ARTEFACTS = "partial_fit measures no artefacts."


class Continuing(KeepsMoments, Measuring):
    """Trains a fitted autoencoder further."""

    @keeps_what_was_learned
    def partial_fit(
        self,
        X: Data,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        callback: Callbacks = None,
    ) -> Self:
        """Train for one pass over some records, for data that come in pieces.

        The first call chooses the parts and fits the preprocessing, so its records must be typical: at least some
        hundreds. Further calls change the weights only. The learning rate is that of the optimiser, without a schedule,
        and the optimiser's moments are kept from call to call. No records are held out, no stages of pretraining or of
        a network of residuals are trained, and no artefacts are measured: see `measure` and `refreeze`. ``history_``
        has one row for each call. A fitted model is trained further.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records.
        y : array_like of shape (n,), optional
            Labels, for conditional models. Those of the first call must contain all classes.
        sample_weight, callback
            As for `fit`.

        Raises
        ------
        DataError
            If the records are not of the shape and dtype of those of the first call.
        """
        self.refuse_while_trained("partial_fit")
        params = clone(self).get_params(deep=False)
        settings = one_pass(resolve_training(self.training))
        if not self.__sklearn_is_fitted__():
            data, _ = open_for_training(self, X, y, None, sample_weight)
            once = {"training": settings, "pretraining": None, "residual": None, "race": False, "artefacts": ()}
            model, stage, _ = self._train(params | once, data, None, seed=seed_of(self), callback=callback)
            applicable = [name for name, kind in Artefact.registry.items() if kind.applies(model)]
            model = replace(model, parameters=params, unmeasured=dict.fromkeys(applicable, _NO_ARTEFACTS))
            return self._keep_moments(model, settings, stage)
        check_fixed("Autoencoder", FIXED, params, self.model_.parameters, "partial_fit")
        data = self._opened(X, y, sample_weight)
        n_before = self.model_.trained_on.n_records
        model, stage, _ = _continued(
            self.model_,
            params,
            data,
            None,
            settings=settings,
            seed=self.model_.seed,
            callback=callbacks_of(self, callback, clone(self)),
            moments=self._moments_for(settings),
        )
        trained_on = replace(model.trained_on, n_records=n_before + len(data.source))
        return self._keep_moments(replace(model, trained_on=trained_on, took=None), settings, stage)

    def _continue(
        self,
        X: Data,
        y: ArrayLike | None,
        more_epochs: int | None,
        wanted: Collection[str],
        *,
        validation: Any,
        sample_weight: ArrayLike | None,
        checkpoint: str | os.PathLike[str] | None,
        resume: bool,
        callback: Callbacks,
    ) -> Self:
        """Do what `fit` does for a fitted model whose training goes on, by ``more_epochs`` or a warm start."""
        began = time.perf_counter()
        check_is_fitted(self)
        check("fit", "more_epochs", 1 if more_epochs is None else more_epochs, Integer(1))
        params = clone(self).get_params(deep=False)
        before = self.model_
        what = "warm_start" if more_epochs is None else "more_epochs"
        check_fixed("Autoencoder", FIXED, params, before.parameters, what)
        data, held_out = self._opened(X, y, sample_weight), None
        if validation is not None:
            is_pair = self.chain_.parts.n_classes and isinstance(validation, tuple)
            held_out = self._opened(*validation) if is_pair else self._opened(validation, None)
        sources, labels = described(data, held_out)
        arrays = labels | start_of(before, more_epochs)
        state = checkpoint_of(self, checkpoint, sources, arrays, resume=resume)
        seed = seed_of(self, state, resume=resume)
        settings = resolve_training(self.training)
        if more_epochs is None:
            before = replace(before, history=[], pretraining_history=[], took=Took(0.0, 0.0))
        else:
            seed, settings = before.seed, settings.clone().set_params(epochs=more_epochs)
        run: dict[str, Any] = {
            "callback": callbacks_of(self, callback, clone(self)),
            "checkpoint": state,
            "resume": resume,
        }
        model, _, records = _continued(before, params, data, held_out, settings=settings, seed=seed, **run)
        return self._finish(model, data, records, wanted, began=began, before=model.took)

    def _train(
        self,
        params: Mapping[str, Any],
        data: LabelledSource,
        held_out: LabelledSource | None,
        *,
        seed: int,
        callback: Callbacks,
        checkpoint: Checkpoint | None = None,
        resume: bool = False,
    ) -> tuple[FittedModel, Stage, TrainingRecords]:
        """Train a new model of records that this estimator has opened; see `train_model`."""
        return train_model(
            params,
            data,
            held_out,
            schema=schema_for(self.record, data.source),
            scale=self._trained,
            classes=None if data.labels is None else self.classes_,
            feature_names=getattr(self, "feature_names_in_", None),
            seed=seed,
            callback=callbacks_of(self, callback, clone(self)),
            checkpoint=checkpoint,
            resume=resume,
        )

    def _finish(
        self,
        model: FittedModel,
        data: LabelledSource,
        records: TrainingRecords,
        wanted: Collection[str],
        *,
        began: float,
        before: Took | None,
    ) -> Self:
        """Hold a trained model, and measure its artefacts, which may fail or be interrupted.

        Parameters
        ----------
        model : FittedModel
            The model.
        data, records
            What it was trained on.
        wanted : collection of str
            The names of the artefacts that are measured.
        began : float
            When the fit began, by `time.perf_counter`.
        before : Took or None
            Duration of the run that this one continues. None: it is not known, so that of both is not known either.
        """
        reasons = {
            name: INTERRUPTED if name in wanted else model.unmeasured.get(name, NOT_ASKED_FOR)
            for name, kind in Artefact.registry.items()
            if kind.applies(model) and not model.has(name)
        }
        trained = time.perf_counter()
        took = None if before is None else replace(before, training=round(before.training + trained - began, 3))
        self._moments, self.model_ = None, replace(model, unmeasured=reasons, took=took)
        for measured in measure(self.model_, records, wanted):
            if before is not None and took is not None:
                took = replace(took, measuring=round(before.measuring + time.perf_counter() - trained, 3))
            self.model_ = replace(measured, took=took)
        warn_if_collapsed(self.chain_, data.source.values, data.labels)
        return self


@usual_settings()
def _continued(
    model: FittedModel,
    params: Mapping[str, Any],
    data: LabelledSource,
    validation: LabelledSource | None,
    *,
    settings: Training,
    seed: int,
    callback: Watching,
    moments: Moments | None = None,
    checkpoint: Any = None,
    **run: Any,
) -> tuple[FittedModel, Stage, TrainingRecords]:
    """Return a model that was trained further, the stage that trained it, and the training records.

    The model is not changed. Its artefacts remain, and those that depend on the weights are stale.

    Parameters
    ----------
    model : FittedModel
        The model; its history is continued.
    params : mapping
        The parameters of the estimator, which may have other corruption, penalties and training than the model.
    data, validation : LabelledSource
        The records.
    settings : Training
        Settings of this run.
    seed : int
        Seed of the run's random streams.
    callback : Watching
        The callback of the fit; it gets the model.
    moments : dict, optional
        The state of the optimiser.
    checkpoint, **run
        Arguments of `train_stages`.
    """
    chain = copy_of(model.chain, params).to(resolve_device(settings))
    apart = Split.of(data, validation, settings, seed, by_default=chain.parts.network.linear_path)
    learned_from = apart.records
    records = labelled(learned_from, data.labels)
    stage = chain_stage({"training": settings}, chain, records, apart.held_out, seed=seed)
    stage, kept = further_stage(stage, model, settings, apart.held_out, moments)
    trained_on = TrainedOn(data.source.name, len(learned_from), seed)
    begun = replace(model, parameters=params, chain=chain, comparison=None, kept=kept, trained_on=trained_on)
    callback.watch(begun)
    run |= {"callback": callback, "seed": seed}
    everything = whole(chain=chain, discriminator=discriminator_of(stage))
    (history,) = train_stages(begun, settings, [stage], 0, everything, checkpoint=checkpoint, **run)
    continued = replace(
        begun,
        chain=chain.eval(),
        history=[*model.history, *(row.to_json() for row in history)],
        kept=Kept.of(history, keeps_best=stage.keeps_best, start=kept),
    ).to(resolve_device(settings))
    of_records: dict[str, Any] = {"labels": data.source.labels, "classes": data.labels}
    return (
        continued,
        stage,
        TrainingRecords(data.source.values, apart.rows_for_pca, records, learned_from, **of_records),
    )
