"""Training a fitted autoencoder further: more epochs, a warm start, and new data."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from narrows.chain import Chain
from narrows.corruptions import Corruption
from narrows.data.finite import check_squares, finite_range
from narrows.errors import InvalidParameterError
from narrows.estimators.base import TRAIN_ON_FINITE, Data
from narrows.estimators.fitting import LabelledSource, Split, described, open_for_training, train_model, train_stages
from narrows.estimators.interrupted import keeps_what_was_learned
from narrows.estimators.measuring import Measuring
from narrows.estimators.preparation import chain_stage, labelled, schema_for
from narrows.estimators.watching import Watching, callbacks_of
from narrows.estimators.weights import check_weights, without_zeros
from narrows.model.artefacts import Artefact, TrainingRecords
from narrows.model.artefacts.measuring import INTERRUPTED, NOT_ASKED_FOR, measure
from narrows.model.collapse import warn_if_collapsed
from narrows.model.fitted import FittedModel, Kept, Took, TrainedOn
from narrows.model.weights import weights_digest
from narrows.numerics.surroundings import usual_settings
from narrows.numerics.threads import one_openmp_thread
from narrows.parts.options import Integer, SequenceOf, check
from narrows.parts.part import OneOf, as_optional_part
from narrows.penalties import Penalty
from narrows.training import Callbacks, Stage, Training, resolve_device, resolve_training
from narrows.training.optimisers import Optimiser
from narrows.training.validation import mean_loss
from narrows.training.workers import Workers, most_workers

__all__ = ["Continuing"]

Moments = dict[int, dict[str, Tensor]]
"""The state of an optimiser, as `narrows.training.optimisers.Stepper` has it."""

_FIXED = (
    *("n_latent", "network", "bottleneck", "likelihood", "preprocessing", "real_values"),
    *("residual", "record", "conditional", "fill_value"),
)
"""The parameters that determine the weights of a model."""

_NO_ARTEFACTS = "partial_fit measures no artefacts."


class Continuing(Measuring):
    """Trains a fitted autoencoder further."""

    _moments: tuple[Chain, Optimiser, Moments] | None = None  # of `partial_fit`, for the weights of this chain

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
        settings = _one_pass(resolve_training(self.training))
        if not self.__sklearn_is_fitted__():
            data, _ = open_for_training(self, X, y, None, sample_weight)
            seed, _ = self._seed_and_checkpoint(None, {}, {}, resume=False)
            model, stage, _ = train_model(
                params | {"training": settings, "pretraining": None, "residual": None, "race": False, "artefacts": ()},
                data,
                None,
                schema=schema_for(self.record, data.source),
                scale=self._trained,
                classes=None if data.labels is None else self.classes_,
                feature_names=getattr(self, "feature_names_in_", None),
                seed=seed,
                callback=callbacks_of(self, callback, clone(self)),
                checkpoint=None,
                resume=False,
            )
            model = replace(model, parameters=params, unmeasured=dict.fromkeys(Artefact.registry, _NO_ARTEFACTS))
            return self._keep_moments(model, settings, stage)
        _check_fixed(params, self.model_.parameters, "partial_fit")
        data = self._more_data(X, y, sample_weight)
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

    def _keep_moments(self, model: FittedModel, settings: Training, stage: Stage) -> Self:
        """Hold a model that `partial_fit` has trained, with the state of its optimiser for the next call."""
        assert stage.stepper is not None
        self.model_ = model
        self._moments = (model.chain, settings.optimiser, stage.stepper.state)
        return self

    def _moments_for(self, settings: Training) -> Moments | None:
        """Return the state of the optimiser after the last call, if it is one of the same kind and of these weights."""
        if self._moments is None:
            return None
        chain, optimiser, moments = self._moments
        return moments if chain is self.chain_ and type(optimiser) is type(settings.optimiser) else None

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
        _check_fixed(params, before.parameters, "warm_start" if more_epochs is None else "more_epochs")
        data, held_out = self._more_data(X, y, sample_weight), None
        if validation is not None:
            is_pair = self.chain_.parts.n_classes and isinstance(validation, tuple)
            held_out = self._more_data(*validation) if is_pair else self._more_data(validation, None)
        sources, labels = described(data, held_out)
        start = {"initial weights": _numbers_of(weights_digest(self.chain_)), "more epochs": None}
        if more_epochs is not None:
            start["more epochs"] = np.array([more_epochs])
        seed, state = self._seed_and_checkpoint(checkpoint, sources, labels | start, resume=resume)
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
            for name in Artefact.registry
            if not model.has(name)
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

    def _more_data(self, X: Data, y: ArrayLike | None, sample_weight: ArrayLike | None = None) -> LabelledSource:
        source = self._open_more(X)
        found = finite_range(source, advice=TRAIN_ON_FINITE, fill_value=self.fill_value_)
        check_squares(source, *found, fill_value=self.fill_value_)
        weights = check_weights(sample_weight, len(source))
        return LabelledSource(*without_zeros(source, self.classes_of(source, y), weights))


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
    chain = _copy_of(model.chain, params).to(resolve_device(settings))
    apart = Split.of(data, validation, settings, seed, by_default=chain.parts.network.linear_path)
    learned_from = apart.records
    records = labelled(learned_from, data.labels)
    stage = chain_stage({"training": settings}, chain, records, apart.held_out)
    stepper = settings.optimiser.build(chain.parameters())
    if moments is not None:
        stepper.restore(moments)
    stage = replace(stage, first_epoch=len(model.history), stepper=stepper)
    kept = None
    if stage.keeps_best and apart.held_out is not None:
        with one_openmp_thread(), Workers(most_workers(settings.threads)) as workers:
            stage = replace(stage, start_loss=mean_loss(chain, apart.held_out, workers))
        kept = None if model.kept is None else replace(model.kept, validation_loss=stage.start_loss)
    trained_on = TrainedOn(data.source.name, len(learned_from), seed)
    begun = replace(model, parameters=params, chain=chain, comparison=None, kept=kept, trained_on=trained_on)
    callback.watch(begun)
    run |= {"callback": callback, "seed": seed}
    (history,) = train_stages(begun, settings, [stage], 0, chain, checkpoint=checkpoint, **run)
    continued = replace(
        begun,
        chain=chain.eval(),
        history=[*model.history, *(row.to_json() for row in history)],
        kept=Kept.of(history, keeps_best=stage.keeps_best, start=kept),
    ).to(resolve_device(settings))
    return continued, stage, TrainingRecords(data.source.values, apart.rows_for_pca, records, learned_from)


def _copy_of(chain: Chain, params: Mapping[str, Any]) -> Chain:
    """Return a copy of a chain with the corruption and the penalties of an estimator's parameters."""
    corruption = as_optional_part(Corruption, params["corruption"])
    penalties = check("Autoencoder", "penalties", params["penalties"], SequenceOf(OneOf(Penalty)))
    chain = copy.deepcopy(chain)
    chain.zero_grad(set_to_none=True)
    chain.parts = replace(chain.parts, corruption=corruption, penalties=penalties)
    for penalty in penalties:
        penalty.check_parts(chain.parts)
    chain.corruption, chain.penalties = corruption, penalties
    return chain.train()


def _check_fixed(params: Mapping[str, Any], before: Mapping[str, Any], what: str) -> None:
    """Refuse to continue with parameters that need other weights than the model has."""
    for name in _FIXED:
        now, then = repr(params[name]), repr(before.get(name))
        if now != then:
            raise InvalidParameterError(
                f"The '{name}' of Autoencoder must be {then}, as in the fitted model, whose training {what} continues. "
                f"Got {now}. Set it back, or call fit without {what}, which trains a new model."
            )


def _one_pass(settings: Training) -> Training:
    return settings.clone().set_params(epochs=1, schedule="constant", validation=0.0, patience=None)


def _numbers_of(digest: str) -> Any:
    return np.frombuffer(bytes.fromhex(digest), np.uint8).astype(np.int64)
