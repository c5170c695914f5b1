"""Training a classifier: a new one, and a fitted one further by more epochs, a warm start, and new data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, column_or_1d

from narrows.data import Source
from narrows.data.finite import check_squares
from narrows.data.labels import plain_labels
from narrows.errors import InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.base import TRAIN_ON_FINITE, Data, labels_of, listed
from narrows.estimators.consistency import ConsistentLearner, partly_labelled
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
from narrows.estimators.label_training import (
    LabelLearner,
    LabelRun,
    labels_stage,
    new_softmax_layer,
    refuse_adversary,
    softmax_layer_of,
    stages_without_labels,
    together,
    without_labels,
)
from narrows.estimators.modules import Movable
from narrows.estimators.preparation import check_patience, labelled, new_chain, parts_for, precision_of, schema_for
from narrows.estimators.runs import checkpoint_of, seed_of
from narrows.estimators.training_data import LabelledSource, Split, described, more_data, open_more
from narrows.estimators.watching import Watching, callbacks_of
from narrows.estimators.weights import check_weights, without_zeros
from narrows.model.fitted import FittedModel, TrainedOn
from narrows.networks import Dense
from narrows.numerics.surroundings import usual_settings
from narrows.parts.options import Integer, check
from narrows.training import Callbacks, Records, Training, resolve_device, resolve_training

__all__ = ["ContinuingClassifier"]


class ContinuingClassifier(KeepsMoments, Movable):
    """Trains a classifier, and a fitted one further."""

    autoencoder: Autoencoder | None
    training: Training | None
    consistency: float

    @keeps_what_was_learned
    @usual_settings()
    def partial_fit(
        self,
        X: Data,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        callback: Callbacks = None,
    ) -> Self:
        """Train on labels for one pass over some records, for data that come in pieces.

        The first call chooses the parts and fits the preprocessing, so its records must be typical: at least some
        hundreds. It trains nothing without labels; for that, call `fit` first. The learning rate is that of the
        optimiser, without a schedule, and the optimiser's moments are kept from call to call. No records are held out.
        ``history_`` has one row for each call. A fitted model is trained further.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records.
        y : array_like of shape (n,), optional
            Their labels. Named data sets and folders may have their own.
        classes : array_like of shape (n_classes,), optional
            All labels that there are. Only the first call needs them.
        sample_weight, callback
            As for `fit`.

        Raises
        ------
        InvalidParameterError
            If the first call has no classes, or a later one has others.
        DataError
            If the records are not of the shape and dtype of those of the first call, or a label is not a class.
        """
        settings = one_pass(resolve_training(self.training))
        if self.__sklearn_is_fitted__():
            before = self.model_
            self._check_fixed("partial_fit")
            self._check_classes(classes)
            data, moments = self._more_data(X, y, sample_weight), self._moments_for(settings)
            run = self._further_run(before, data, None, settings, before.seed, moments=moments)
            n_records = before.trained_on.n_records + len(data.source)
            model = replace(run.model, trained_on=replace(run.model.trained_on, n_records=n_records))
            run = replace(run, model=model)
        else:
            source = self._open_new(X)
            data = self._labelled(source, labels_of(source, y), sample_weight, classes=_checked_classes(classes))
            run = self._new_run(data, None, (), settings, seed_of(self), pretrain=False)
            stepper = settings.optimiser.build(run.stages[-1].learner.parameters())
            run = replace(run, stages=[replace(run.stages[-1], stepper=stepper)])
        return self._keep_moments(run.train(self._watching(callback)), settings, run.stages[-1])

    def _continue(
        self,
        X: Data,
        y: ArrayLike | None,
        more_epochs: int | None,
        *,
        validation: tuple[Data, ArrayLike] | None,
        sample_weight: ArrayLike | None,
        callback: Callbacks,
        checkpoint: str | os.PathLike[str] | None,
        resume: bool,
    ) -> Self:
        """Do what `fit` does for a fitted model whose training goes on, by ``more_epochs`` or a warm start."""
        check_is_fitted(self)
        check("fit", "more_epochs", 1 if more_epochs is None else more_epochs, Integer(1))
        before, settings = self.model_, resolve_training(self.training)
        self._check_fixed("warm_start" if more_epochs is None else "more_epochs")
        data, held_out = self._more_data(X, y, sample_weight), self._open_validation(validation)
        sources, arrays = described(data, held_out)
        state = checkpoint_of(self, checkpoint, sources, arrays | start_of(before, more_epochs), resume=resume)
        seed = seed_of(self, state, resume=resume)
        if more_epochs is None:
            before = replace(before, history=[], pretraining_history=[])
        else:
            seed, settings = before.seed, settings.clone().set_params(epochs=more_epochs)
        run = self._further_run(before, data, held_out, settings, seed)
        self._moments, self.model_ = None, run.train(self._watching(callback), checkpoint=state, resume=resume)
        return self

    def _new_run(
        self,
        data: LabelledSource,
        held_out: LabelledSource | None,
        more: Sequence[Source],
        settings: Training,
        seed: int,
        *,
        pretrain: bool,
        start: Autoencoder | None = None,
    ) -> LabelRun:
        """Return the training of a new classifier, with ``more`` records without labels, from a fitted autoencoder."""
        params, source = self._unfitted().get_params(deep=False), data.source
        apart = Split.of(data, held_out, settings, seed, by_default=False)
        check_patience(settings, apart.held_out)
        others = without_labels(source, more, apart.records)
        unlabelled = together(apart.records, others)
        if start is None:
            refuse_adversary(params)
            schema = schema_for(params["record"], source)
            parts = parts_for(params, source, schema, seed)
            chain = new_chain(parts, settings, source, unlabelled, seed, more=more)
            before = stages_without_labels(params, chain, unlabelled, apart.held_out) if pretrain else []
        else:
            schema, before = start.model_.schema, []
            chain = copy_of(start.chain_, params).to(resolve_device(settings), precision_of(settings))
        softmax_layer = new_softmax_layer(chain, len(self.classes_))
        if self.consistency > 0 and others:
            assert data.labels is not None, "some records have labels"
            learner: LabelLearner = ConsistentLearner(chain, softmax_layer, self.consistency)
            records: Records = partly_labelled(apart.records, data.labels, others)
        else:
            learner, records = LabelLearner(chain, softmax_layer), labelled(apart.records, data.labels)
        model = FittedModel(
            kind=self.kind,
            parameters=clone(self).get_params(deep=False),
            chain=chain,
            schema=schema,
            scale=self._trained,
            trained_on=TrainedOn(source.name, len(apart.records), seed),
            history=[],
            classes=self.classes_,
            feature_names=getattr(self, "feature_names_in_", None),
        )
        return LabelRun(
            model, softmax_layer, [*before, labels_stage(learner, records, apart.held_out, settings)], settings, seed
        )

    def _further_run(
        self,
        before: FittedModel,
        data: LabelledSource,
        held_out: LabelledSource | None,
        settings: Training,
        seed: int,
        *,
        moments: Moments | None = None,
    ) -> LabelRun:
        """Return the training on labels of a copy of a fitted classifier, whose history is continued."""
        chain = copy_of(before.chain, self._unfitted().get_params(deep=False)).to(resolve_device(settings))
        softmax_layer = softmax_layer_of(before, chain)
        apart = Split.of(data, held_out, settings, seed, by_default=False)
        check_patience(settings, apart.held_out)
        learner, records = LabelLearner(chain, softmax_layer), labelled(apart.records, data.labels)
        stage = labels_stage(learner, records, apart.held_out, settings)
        stage, kept = further_stage(stage, before, settings, apart.held_out, moments)
        model = replace(
            before,
            parameters=clone(self).get_params(deep=False),
            chain=chain,
            kept=kept,
            trained_on=TrainedOn(data.source.name, len(records), seed),
        )
        return LabelRun(model, softmax_layer, [stage], settings, seed)

    def _watching(self, callback: Callbacks) -> Watching:
        return callbacks_of(self, callback, Autoencoder(**self._unfitted().get_params(deep=False)))

    def _open_new(self, X: Data) -> Source:
        """Return the records of a new model, whose shape the estimator learns."""
        source = self._open(X, reset=True, advice=TRAIN_ON_FINITE)
        check_squares(source, *self.range_, fill_value=self.fill_value_)
        return source

    def _labelled(
        self,
        source: Source,
        labels: NDArray[Any],
        sample_weight: ArrayLike | None,
        *,
        classes: NDArray[Any] | None = None,
    ) -> LabelledSource:
        """Return records with labels for a new model; its classes are those given, or all labels."""
        self.classes_ = np.unique(labels) if classes is None else classes
        positions, weights = self._positions(labels), check_weights(sample_weight, len(source))
        return LabelledSource(*without_zeros(source, positions, weights))

    def _open_validation(self, validation: tuple[Data, ArrayLike] | None) -> LabelledSource | None:
        """Return the records to validate on and their classes; None: none were given."""
        if validation is None:
            return None
        if not isinstance(validation, tuple) or len(validation) != 2:
            raise InvalidParameterError(
                "The 'validation' of AutoencoderClassifier must be a tuple (records, labels) or None. "
                f"Got {type(validation).__name__}."
            )
        records, labels = validation
        if self.__sklearn_is_fitted__():
            return self._more_data(records, labels)
        source = self._open(records, reset=False, advice=TRAIN_ON_FINITE)
        return LabelledSource(source, self._positions(labels_of(source, labels)))

    def _more_data(self, X: Data, y: ArrayLike | None, sample_weight: ArrayLike | None = None) -> LabelledSource:
        source = open_more(self, X)
        return more_data(self, source, self._positions(labels_of(source, y)), sample_weight)

    def _check_fixed(self, what: str) -> None:
        """Refuse to continue with an autoencoder that needs other weights than the model has."""
        now, before = self._unfitted(), _as_autoencoder(self.model_.parameters["autoencoder"])
        check_fixed("Autoencoder", FIXED, now.get_params(deep=False), before.get_params(deep=False), what)

    def _check_classes(self, classes: ArrayLike | None) -> None:
        if classes is not None and not np.array_equal(_checked_classes(classes), self.classes_):
            raise InvalidParameterError(
                f"The 'classes' of partial_fit must be those of the fitted model, {listed(self.classes_)}, or None. "
                f"Got {listed(_checked_classes(classes))}."
            )

    def _unfitted(self) -> Autoencoder:
        """Return the autoencoder of the parameters.

        Raises
        ------
        InvalidParameterError
            If it is not one, or has settings that a classifier does not use.
        """
        return _as_autoencoder(self.autoencoder)


def _as_autoencoder(given: Any) -> Autoencoder:
    """Return the autoencoder that a value of the parameter 'autoencoder' stands for."""
    if given is None:
        network = Dense(widths=(256,), activation="silu", code_activation="silu")
        return Autoencoder(256, network=network, pretraining="layer-wise")
    if not isinstance(given, Autoencoder):
        raise InvalidParameterError(
            f"The 'autoencoder' of AutoencoderClassifier must be an Autoencoder or None. Got {given!r}."
        )
    for name, unused in (("conditional", False), ("residual", None)):
        if getattr(given, name) != unused:
            raise InvalidParameterError(
                f"The 'autoencoder' of AutoencoderClassifier must have {name}={unused!r}, since a classifier does "
                f"not use this parameter. Got {name}={getattr(given, name)!r}."
            )
    return given


def _checked_classes(classes: ArrayLike | None) -> NDArray[Any]:
    """Return the sorted classes that `partial_fit` was given."""
    if classes is None:
        raise InvalidParameterError(
            "The first call of partial_fit needs the argument 'classes', all labels that there are, since its records "
            "may not have all of them. Got None. Pass for example classes=numpy.unique(y) with the labels y of all "
            "pieces."
        )
    return np.unique(column_or_1d(plain_labels(classes)))
