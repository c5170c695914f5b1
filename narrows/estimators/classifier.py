"""Classification: an encoder trained first to restore records, then to predict their labels."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import ClassifierMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor, nn
from torch.nn import functional

from narrows.chain import Chain
from narrows.data import Source
from narrows.data.finite import check_squares, finite_range
from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.base import TRAIN_ON_FINITE, Data, labels_of
from narrows.estimators.fitting import LabelledSource, Split, train_stages
from narrows.estimators.interrupted import keeps_what_was_learned
from narrows.estimators.modules import Movable
from narrows.estimators.preparation import (
    chain_stage,
    check_patience,
    new_chain,
    parts_for,
    pretraining_stages,
    schema_for,
    whole,
)
from narrows.estimators.watching import callbacks_of
from narrows.estimators.weights import check_weights, without_zeros
from narrows.model.fitted import FittedModel, TrainedOn
from narrows.model.inference import encode
from narrows.networks import Dense
from narrows.networks.initialisation import undrawn
from narrows.numerics.batches import Labelled
from narrows.numerics.foreign_draws import draws_from
from narrows.numerics.randomness import Stream
from narrows.numerics.surroundings import usual_settings
from narrows.parts.options import Boolean, check
from narrows.training import (
    Callbacks,
    JoinedRecords,
    LabelledRecords,
    Records,
    Stage,
    Training,
    Uncoupled,
    resolve_training,
)
from narrows.training.stages import rows_by_stage

__all__ = ["AutoencoderClassifier"]


class AutoencoderClassifier(ClassifierMixin, Movable):  # type: ignore[misc]
    """Classifies records by a softmax on top of an autoencoder's code.

    The encoder is first trained without labels: by the autoencoder's ``pretraining`` if it has one, otherwise with the
    whole autoencoder. Then encoder and softmax are trained together on the labels, by cross-entropy:
    p(c | x) = softmax(W z + b)_c, z = encoder(x). With `narrows.recipe("sda")` these are the stacked denoising
    autoencoders of Vincent et al. (2010) and of the Theano tutorials.

    Parameters
    ----------
    autoencoder : Autoencoder, optional
        An unfitted autoencoder: its parts and its training. None: two dense layers of 256 units, pretrained layer by
        layer. Seed, device, precision, validation data and ``verbose`` of the classifier replace those of the
        autoencoder.
    pretrain : bool
        Train without labels first; otherwise the weights start at random.
    training : Training, optional
        Settings of the training on labels, and device and precision of the weights.
    random_state : int, RandomState, Generator or None
        Source of all randomness.
    verbose : bool or int
        As for `Autoencoder`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The sorted labels.
    range_ : (float, float)
        Smallest and largest training value. Records on another scale cause a `narrows.errors.RangeWarning`.
    chain_ : Chain
        The autoencoder's parts. Only the encoder was trained on the labels.
    record_ : "image", "series" or "vector"
        What the autoencoder treated the records as.
    coef_, intercept_ : ndarray of shape (n_classes, n_latent), (n_classes,)
        W and b.
    history_ : list of dict
        One row for each epoch of training on the labels; losses in nats.
    pretraining_history_ : list of dict
        The same for the stages before; ``stage`` names the stage.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> y = np.where(X[:, 0] > 0, "right", "left")
    >>> model = AutoencoderClassifier(training=Training(epochs=20), random_state=0).fit(X, y)
    >>> model.predict(X[:3]).shape, model.predict_proba(X[:3]).shape
    ((3,), (3, 2))
    """

    kind = "classifier"

    def __init__(
        self,
        autoencoder: Autoencoder | None = None,
        *,
        pretrain: bool = True,
        training: Training | None = None,
        random_state: Any = None,
        verbose: bool | int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.pretrain = pretrain
        self.training = training
        self.random_state = random_state
        self.verbose = verbose

    @keeps_what_was_learned
    @usual_settings()
    def fit(
        self,
        X: Data,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        unlabelled: Data | None = None,
        validation: tuple[Data, ArrayLike] | None = None,
        callback: Callbacks = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn the classes of records.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records.
        y : array_like of shape (n,), optional
            Their labels: numbers or strings. Named data sets and folders may have their own.
        sample_weight : array_like of shape (n,), optional
            How much each record of X counts in the loss, at least 0; records with a weight of 0 are left out. In the
            training without labels the records of ``unlabelled`` count as those of a mean weight.
        unlabelled : array_like, path, name or Source, optional
            More records of the same kind, for the training without labels.
        validation : pair of records and labels, optional
            Records on which the validation loss is measured, instead of the share ``training.validation`` of X.
        callback, checkpoint, resume
            As for `Autoencoder.fit`.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        DataError
            If the data cannot be used.
        TrainingDivergedError
            If the loss stops being finite.
        """
        source = self._open(X, reset=True, advice=TRAIN_ON_FINITE)
        check_squares(source, *self.range_, fill_value=self.fill_value_)
        self.classes_, labels = np.unique(labels_of(source, y), return_inverse=True)
        given_weights = check_weights(sample_weight, len(source))
        source, kept_labels, weights = without_zeros(source, labels, given_weights)
        labels = labels if kept_labels is None else kept_labels
        check("AutoencoderClassifier", "pretrain", self.pretrain, Boolean())
        settings, params = resolve_training(self.training), self._unfitted().get_params(deep=False)
        given, held_out_labels = self._open_validation(validation)
        more = None if unlabelled is None else self._open(unlabelled, reset=False, advice=TRAIN_ON_FINITE)
        if more is not None:
            check_squares(more, *finite_range(more, fill_value=self.fill_value_), fill_value=self.fill_value_)
        sources = {"data": source, "validation data": given, "unlabelled data": more}
        arrays = {"labels": labels, "validation labels": held_out_labels, "sample weights": weights}
        seed, state = self._seed_and_checkpoint(checkpoint, sources, arrays, resume=resume)

        schema = schema_for(params["record"], source)
        parts = parts_for(params, source, schema, seed)
        to_validate_on = None if given is None else LabelledSource(given, held_out_labels)
        apart = Split.of(LabelledSource(source, labels, weights), to_validate_on, settings, seed, by_default=False)
        records, held_out = LabelledRecords(apart.records, labels), apart.held_out
        check_patience(settings, held_out)
        unlabelled_records = _together(records.unlabelled, source, more)
        chain = new_chain(parts, settings, source, unlabelled_records, seed, more=more)
        before = _stages_without_labels(params, chain, unlabelled_records, held_out) if self.pretrain else []
        softmax_layer = _softmax_layer(chain, len(self.classes_))
        model = FittedModel(
            kind=self.kind,
            parameters=clone(self).get_params(deep=False),
            chain=chain,
            schema=schema,
            scale=self._trained,
            trained_on=TrainedOn(source.name, len(records), seed),
            history=[],
            classes=self.classes_,
            feature_names=getattr(self, "feature_names_in_", None),
        )
        watching = callbacks_of(self, callback, Autoencoder(**params))
        watching.watch(replace(model, kind="autoencoder", parameters=params, classes=None))
        histories = train_stages(
            model,
            settings,
            [*before, _labels_stage(_Classifier(chain, softmax_layer), records, held_out, settings)],
            len(before),
            whole(chain=chain, softmax=softmax_layer),
            checkpoint=state,
            complete=partial(_with_softmax, softmax_layer=softmax_layer),
            seed=seed,
            callback=watching,
            resume=resume,
        )
        self.model_ = replace(
            _with_softmax(model, softmax_layer),
            chain=chain.eval(),
            history=[row.to_json() for row in histories[-1]],
            pretraining_history=rows_by_stage([stage.name for stage in before], histories[: len(before)]),
        )
        return self

    @property
    def coef_(self) -> NDArray[Any]:
        """W, shape (n_classes, n_latent)."""
        return self.model_.arrays["coef"]

    @property
    def intercept_(self) -> NDArray[Any]:
        """b, shape (n_classes,)."""
        return self.model_.arrays["intercept"]

    def _open_validation(
        self, validation: tuple[Data, ArrayLike] | None
    ) -> tuple[Source | None, NDArray[np.int64] | None]:
        """Return the records to validate on and their classes; None, None: none were given."""
        if validation is None:
            return None, None
        if not isinstance(validation, tuple) or len(validation) != 2:
            raise InvalidParameterError(
                "The 'validation' of AutoencoderClassifier must be a tuple (records, labels) or None. "
                f"Got {type(validation).__name__}."
            )
        source = self._open(validation[0], reset=False, advice=TRAIN_ON_FINITE)
        return source, self._positions(labels_of(source, validation[1]))

    def take_model(self, model: FittedModel) -> None:
        n_classes = 0 if model.classes is None else len(model.classes)
        shapes = {name: array.shape for name, array in model.arrays.items()}
        if n_classes == 0 or shapes != {"coef": (n_classes, model.n_latent), "intercept": (n_classes,)}:
            raise ValueError(
                f"a classifier with {n_classes} classes and {model.n_latent} latent dimensions needs the arrays coef "
                f"({n_classes}, {model.n_latent}) and intercept ({n_classes},). Got {shapes}"
            )
        super().take_model(model)

    def predict_proba(self, X: Data) -> NDArray[np.float64]:
        """Return the probability of each class of ``classes_`` for records (n, *shape), shape (n, n_classes)."""
        check_is_fitted(self)
        return self._probabilities(self._open(X, reset=False))

    def predict(self, X: Data) -> NDArray[Any]:
        """Return the most probable class of each record, shape (n,)."""
        check_is_fitted(self)
        return self._predicted(self._open(X, reset=False))

    def score(self, X: Data, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of records that are classified correctly."""
        check_is_fitted(self)
        source = self._open(X, reset=False)
        return float(accuracy_score(labels_of(source, y), self._predicted(source), sample_weight=sample_weight))

    @usual_settings()
    def _probabilities(self, source: Source) -> NDArray[np.float64]:
        codes = encode(self.chain_, source.values).astype(np.float64)
        probabilities: NDArray[np.float64] = softmax(codes @ self.coef_.T + self.intercept_, axis=1)
        return probabilities

    def _predicted(self, source: Source) -> NDArray[Any]:
        predicted: NDArray[Any] = self.classes_[self._probabilities(source).argmax(axis=1)]
        return predicted

    def _asked_fill_value(self) -> float | None:
        return self._unfitted().fill_value

    def _with_options(self, parameter: str, current: Any, options: dict[str, Any]) -> Any:
        if parameter == "autoencoder":
            return clone(self._unfitted()).set_params(**options)
        return super()._with_options(parameter, current, options)

    def _unfitted(self) -> Autoencoder:
        if self.autoencoder is None:
            network = Dense(widths=(256,), activation="silu", code_activation="silu")
            return Autoencoder(256, network=network, pretraining="layer-wise")
        if not isinstance(self.autoencoder, Autoencoder):
            raise InvalidParameterError(
                f"The 'autoencoder' of AutoencoderClassifier must be an Autoencoder or None. Got {self.autoencoder!r}."
            )
        for name, unused in (("conditional", False), ("residual", None)):
            if getattr(self.autoencoder, name) != unused:
                raise InvalidParameterError(
                    f"The 'autoencoder' of AutoencoderClassifier must have {name}={unused!r}, since a classifier does "
                    f"not use this parameter. Got {name}={getattr(self.autoencoder, name)!r}."
                )
        return self.autoencoder


@dataclass(frozen=True)
class _LabelLoss:
    total: Tensor
    statistic: None = None


class _Classifier(Uncoupled, nn.Module):
    """The encoder of a chain with a softmax on its code."""

    def __init__(self, chain: Chain, softmax_layer: nn.Linear) -> None:
        super().__init__()
        self.shape = chain.shape
        self.encoder, self.bottleneck, self.softmax_layer = chain.encoder, chain.bottleneck, softmax_layer
        self.chain = (chain,)  # in a tuple, since the decoder is not trained
        self.couples_records = chain.bottleneck.couples_records or chain.parts.network.couples_records

    def train(self, mode: bool = True) -> Self:
        (chain,) = self.chain
        chain.train(mode)
        return super().train(mode)

    def loss(self, batch: Labelled, generator: Generator | None = None) -> _LabelLoss:
        """Return −log p(label | record); with a generator, the chain's corruption is applied to the records first."""
        (chain,) = self.chain
        x = chain.corrupt(chain.prepare(batch.records), generator, chain.missing_of(batch.records))
        with draws_from(generator if chain.user_code else None):
            z = self.bottleneck(self.encoder(x), generator).z
        return _LabelLoss(functional.cross_entropy(self.softmax_layer(z.flatten(1)), batch.labels, reduction="none"))


def _stages_without_labels(
    params: Mapping[str, Any], chain: Chain, records: Records, held_out: Records | None
) -> list[Stage]:
    """Return the stages that come before the labels: pretraining, or else the whole autoencoder."""
    stages = pretraining_stages(params, chain, records)
    if stages:
        return stages
    # Early stopping uses the records on which the labels are validated.
    to_stop_by = held_out.unlabelled if isinstance(held_out, LabelledRecords) else None
    return [chain_stage(params, chain, records, to_stop_by, name="restoring")]


def _labels_stage(learner: _Classifier, records: Records, held_out: Records | None, settings: Training) -> Stage:
    order, noise = Stream.LABELS_ORDER, Stream.LABELS_NOISE
    return Stage(learner, records, held_out, settings, name="labels", order=order, noise=noise)


def _with_softmax(model: FittedModel, softmax_layer: nn.Linear) -> FittedModel:
    coef, intercept = (weight.detach().cpu().numpy() for weight in softmax_layer.parameters())
    return replace(model, arrays={"coef": coef, "intercept": intercept})


def _softmax_layer(chain: Chain, n_classes: int) -> nn.Linear:
    """Return an untrained layer that gives all classes the same probability."""
    layer = undrawn(nn.Linear, math.prod(chain.bottleneck.z_shape), n_classes)
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer.to(chain.device, chain.dtype)


def _together(records: Records, source: Source, unlabelled: Source | None) -> Records:
    """Return all records for the training without labels: those of the source, and the unlabelled ones."""
    if unlabelled is None:
        return records
    if unlabelled.dtype != source.dtype:
        raise DataError(
            f"Labelled and unlabelled records must have the same dtype. Got {source.dtype} (labelled) and "
            f"{unlabelled.dtype} (unlabelled). Convert one of them with astype."
        )
    return JoinedRecords([records, Records(unlabelled.values, records.device)])
