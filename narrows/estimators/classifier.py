"""Classification: an encoder trained first to restore records, then to predict their labels."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from narrows.data import Source
from narrows.data.finite import check_squares, finite_range
from narrows.errors import InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.base import TRAIN_ON_FINITE, Data, labels_of
from narrows.estimators.continuing_classifier import ContinuingClassifier
from narrows.estimators.interrupted import keeps_what_was_learned
from narrows.estimators.partly_labelled import ByLabel, check_start
from narrows.estimators.runs import checkpoint_of, seed_of
from narrows.estimators.training_data import described
from narrows.model.fitted import FittedModel
from narrows.model.inference import encode
from narrows.numerics.surroundings import usual_settings
from narrows.parts.options import Boolean, Real, check
from narrows.training import (
    Callbacks,
    Training,
    resolve_training,
)

__all__ = ["AutoencoderClassifier"]


class AutoencoderClassifier(ClassifierMixin, ContinuingClassifier):  # type: ignore[misc]
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
    consistency : float
        Weight of the records without labels in the training on labels, where those with labels have 1. What the
        classifier predicts for such a record with a probability of at least 0.95 is then the label of the record as the
        autoencoder's ``corruption`` changes it (Sohn et al. 2020, "FixMatch"). 0: they do not count there.
    training : Training, optional
        Settings of the training on labels, and device and precision of the weights.
    warm_start : bool
        Whether `fit` continues the training on labels from the weights of the fitted model, with its classes, its parts
        and its preprocessing, instead of starting again. Optimiser, schedule and history start again.
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
        consistency: float = 0.0,
        training: Training | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool | int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.pretrain = pretrain
        self.consistency = consistency
        self.training = training
        self.warm_start = warm_start
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
        start: Autoencoder | None = None,
        validation: tuple[Data, ArrayLike] | None = None,
        callback: Callbacks = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        more_epochs: int | None = None,
    ) -> Self:
        """Learn the classes of records.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records.
        y : array_like of shape (n,), optional
            Their labels: numbers or strings, None or NaN where the label is missing. Named data sets and folders may
            have their own.
        sample_weight : array_like of shape (n,), optional
            How much each record of X counts in the loss, at least 0; records with a weight of 0 are left out. In the
            training without labels the records of ``unlabelled`` count as those of a mean weight.
        unlabelled : array_like, path, name or Source, optional
            More records of the same kind without labels.
        start : Autoencoder, optional
            A fitted autoencoder, whose encoder is trained further on the labels; ``autoencoder`` must have the same
            parts. Nothing is trained without labels then.
        validation : pair of records and labels, optional
            Records on which the validation loss is measured, instead of the share ``training.validation`` of X.
        callback, checkpoint, resume
            As for `Autoencoder.fit`.
        more_epochs : int, optional
            Train the fitted model on the labels for so many epochs more, as for `Autoencoder.fit`. The labels must be
            classes of the fitted model. Nothing is trained without labels.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        DataError
            If the data cannot be used.
        TrainingDivergedError
            If the loss stops being finite.
        """
        check("AutoencoderClassifier", "pretrain", self.pretrain, Boolean())
        check("AutoencoderClassifier", "consistency", self.consistency, Real(0))
        check("AutoencoderClassifier", "warm_start", self.warm_start, Boolean())
        run: dict[str, Any] = {"callback": callback, "checkpoint": checkpoint, "resume": resume}
        if more_epochs is not None or (self.warm_start and self.__sklearn_is_fitted__()):
            what = "warm_start" if more_epochs is None else "more_epochs"
            _refuse_unlabelled(unlabelled, start, what)
            return self._continue(X, y, more_epochs, validation=validation, sample_weight=sample_weight, **run)
        source = self._open_new(X)
        by_label = ByLabel.of(source, y, sample_weight)
        data = self._labelled(by_label.source, by_label.labels, by_label.sample_weight)
        held_out, settings = self._open_validation(validation), resolve_training(self.training)
        more = None if unlabelled is None else self._open(unlabelled, reset=False, advice=TRAIN_ON_FINITE)
        if more is not None:
            check_squares(more, *finite_range(more, fill_value=self.fill_value_), fill_value=self.fill_value_)
        if start is not None:
            check_start(start, self, self._unfitted().get_params(deep=False))
        sources, arrays = described(data, held_out)
        sources |= {"records without labels": by_label.unlabelled, "unlabelled data": more}
        state = checkpoint_of(self, checkpoint, sources, arrays, resume=resume)
        seed = seed_of(self, state, resume=resume)
        others = [one for one in (by_label.unlabelled, more) if one is not None]
        new = self._new_run(data, held_out, others, settings, seed, pretrain=self.pretrain, start=start)
        self._moments, self.model_ = None, new.train(self._watching(callback), checkpoint=state, resume=resume)
        return self

    @property
    def coef_(self) -> NDArray[Any]:
        """W, shape (n_classes, n_latent)."""
        return self.model_.arrays["coef"]

    @property
    def intercept_(self) -> NDArray[Any]:
        """b, shape (n_classes,)."""
        return self.model_.arrays["intercept"]

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
        from sklearn.metrics import accuracy_score

        check_is_fitted(self)
        source = self._open(X, reset=False)
        return float(accuracy_score(labels_of(source, y), self._predicted(source), sample_weight=sample_weight))

    def check_labels(self, labels: NDArray[Any]) -> None:
        """Refuse labels (n,) that are no classes of the model.

        Raises
        ------
        DataError
            Names the first of them, and the classes.
        """
        check_is_fitted(self)
        self._positions(labels)

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


def _refuse_unlabelled(unlabelled: Any, start: Any, what: str) -> None:
    """Refuse records without labels, and other weights, for a run that trains the classifier's own on labels only."""
    if start is not None:
        raise InvalidParameterError(
            f"The 'start' of fit must be None with {what}, which continues from the classifier's own weights. "
            "Leave it out, or call fit of a new classifier."
        )
    if unlabelled is not None:
        raise InvalidParameterError(
            f"The 'unlabelled' of fit must be None with {what}, which continues the training on labels only. "
            "Leave it out, or call fit of a new classifier."
        )
