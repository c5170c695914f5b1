"""Detection of outliers: records that an autoencoder, trained not to learn them, finds costly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted

from narrows.data import Source
from narrows.data.finite import check_squares
from narrows.data.frames import as_frame_like, columns_of
from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.base import TRAIN_ON_FINITE, Data, RecordsEstimator
from narrows.estimators.interrupted import unchanged_unless_it_succeeds
from narrows.estimators.outliers.defaults import default_autoencoder
from narrows.estimators.outliers.fitting import CANNOT_SCORE, learned_scores, trained_network
from narrows.estimators.outliers.plain_terms import PlainTerms
from narrows.estimators.outliers.scorer import Scorer, expansion_of, flat_records
from narrows.estimators.outliers.stored import COMBINED, network_of
from narrows.model.fitted import FittedModel
from narrows.numerics.batches import batch_size
from narrows.numerics.randomness import drawn_seed
from narrows.numerics.surroundings import usual_settings
from narrows.records import schema_of
from narrows.records.fields import Field
from narrows.training import Callbacks, Training

__all__ = ["AutoencoderOutlier"]

Floats = NDArray[np.float64]

_BATCH = 4096
_FEWEST = 2


class AutoencoderOutlier(OutlierMixin, RecordsEstimator):  # type: ignore[misc]
    """Finds outliers among the records that it is trained on, and in new ones, and says which values make them odd.

    A record is odd if it is far from those that are usual, or if its values cost much, given its other values. The
    score adds up to four terms, each of which has a part of each value: the distance to the nearest usual records, the
    distance within the distribution of ranks, the squared errors of robust linear predictions, and the costs of a
    denoising autoencoder in nats. `narrows.estimators.outliers.combination` has the formula. Nothing needs labels, and
    the training data may contain outliers: the network is not trained on the least likely tenth.

    The distances and linear predictions are those of records of up to 1,024 values, ranks those of tables. Texts are
    scored by the network alone.

    Parameters
    ----------
    autoencoder : Autoencoder, optional
        An unfitted autoencoder. None: dense layers, with normal noise of up to two standard deviations on the input;
        for texts of up to 256 bytes dense layers, for longer ones convolutions.
    contamination : "auto" or float
        The share of outliers among the training records, above 0 and at most 0.5. "auto": as many as the scores show,
        in comparison with records that are drawn from the distribution of most of them.
    record : "auto", "image", "series" or "vector"
        What a record is. "auto": what the autoencoder or the source says, otherwise an image if it has two or three
        axes. "series": windows (steps,) or (steps, channels).
    training : Training, optional
        How to train, instead of the autoencoder's settings.
    fill_value : float, optional
        The value that stands for missing ones, such as NaN, instead of the autoencoder's. Missing values cost nothing.
    random_state : int, RandomState, Generator or None
        Source of all randomness.
    verbose : bool or int
        As for `Autoencoder`.

    Attributes
    ----------
    threshold_ : float
        Records with a higher score are outliers. The score is `explain` summed over the values, -`score_samples`.
    offset_ : float
        -``threshold_``: ``decision_function`` is ``score_samples`` - ``offset_``.
    chain_, model_, history_, trained_on_, shape_, dtype_, record_
        As for `Autoencoder`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1)) + rng.normal(0, 0.1, (200, 4))
    >>> X[7, 2] += 2
    >>> detector = AutoencoderOutlier(training=Training(epochs=3), random_state=0).fit(X)
    >>> int(detector.score_samples(X).argmin()), int(detector.explain(X[[7]]).argmax())
    (7, 2)
    """

    kind = "outliers"

    def __init__(
        self,
        autoencoder: Autoencoder | None = None,
        *,
        contamination: str | float = "auto",
        record: str = "auto",
        training: Training | None = None,
        fill_value: float | None = None,
        random_state: Any = None,
        verbose: bool | int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.contamination = contamination
        self.record = record
        self.training = training
        self.fill_value = fill_value
        self.random_state = random_state
        self.verbose = verbose

    @usual_settings()
    @unchanged_unless_it_succeeds
    def fit(
        self, X: Data, y: ArrayLike | None = None, *, callback: Callbacks = None, trained: Autoencoder | None = None
    ) -> Self:
        """Learn what is usual.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            At least two records, without labels. Most of them should be usual.
        y : ignored
        callback
            As for `Autoencoder.fit`.
        trained : Autoencoder, optional
            A fitted autoencoder of such records, to score with instead of training one: ``autoencoder``, ``training``
            and ``fill_value`` must be None. The score then also has a term for the distance of codes to usual ones.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed, or the autoencoder cannot score.
        DataError
            If the data cannot be used: one record, or records that are all equal.
        KeyboardInterrupt
            After Ctrl-C. As after any error, the detector is what it was before.
        """
        self._check_parameters()
        source = self._open(X, reset=True, advice=TRAIN_ON_FINITE) if trained is None else self._taken(trained, X)
        if len(source) < _FEWEST:
            raise DataError(f"Outliers are found among at least {_FEWEST} records. Got {source.name} with 1 sample.")
        check_squares(source, *self.range_, fill_value=self.fill_value_)
        if not _vary(source.values):
            raise DataError(
                f"All records of {source.name} are equal, so none is odder than others. Give records that vary."
            )
        kind, expansion = self._kind(source, trained), expansion_of(self.shape_, self.fields_)
        flat = flat_records(source.values, self.fill_value_, expansion)
        terms = PlainTerms.fit(flat, kind, self.shape_, expansion.is_category)
        seed = drawn_seed(self.random_state)
        if trained is None:
            inner = trained_network(
                self._unfitted(source, kind, seed), source, terms, flat, kind=kind, callback=callback
            )
            model = replace(inner, scale=self._trained, feature_names=getattr(self, "feature_names_in_", None))
        else:
            model = trained.model_
        model = network_of(model, self.kind, clone(self).get_params(deep=False))
        arrays = learned_scores(
            Scorer(model, terms),
            source.values,
            flat,
            contamination=self.contamination,
            with_codes=trained is not None,
            seed=seed,
        )
        self.model_ = replace(model, arrays=arrays)
        return self

    def _taken(self, trained: Autoencoder, X: Data) -> Source:
        """Take the network of a trained autoencoder, and return records as it takes them."""
        check_is_fitted(trained)
        given = [one for one in ("autoencoder", "training", "fill_value") if getattr(self, one) is not None]
        if given:
            raise InvalidParameterError(
                f"The '{given[0]}' of AutoencoderOutlier must be None if fit gets 'trained', which is trained already."
            )
        if self.record not in {"auto", trained.record_}:
            raise InvalidParameterError(
                f"The 'record' of AutoencoderOutlier must be 'auto' or '{trained.record_}', as that of 'trained'. "
                f"Got '{self.record}'."
            )
        if trained.chain_.parts.n_classes or not trained.chain_.likelihood.has_values:
            raise InvalidParameterError(CANNOT_SCORE)
        source = trained._open(X, reset=False)
        super().take_model(trained.model_)
        return source

    @property
    def threshold_(self) -> float:
        """The score above which records are outliers."""
        return float(self.model_.arrays[f"{COMBINED}threshold"][0])

    @property
    def offset_(self) -> float:
        """Minus the threshold."""
        return -self.threshold_

    @property
    def threshold_reason_(self) -> str:
        """How the threshold was chosen, as part of a sentence."""
        if self.contamination == "auto" and self._scorer.terms.normal is None:
            return "four standard deviations above the median of the training records"
        if self.contamination == "auto":
            return "by comparison with records without outliers"
        return f"for a share of {self.contamination:g} of the training records"

    @property
    def fields_(self) -> tuple[Field, ...] | None:
        """What the columns of a table are; None for other records."""
        return None if self._fields is None else self._fields[0]

    @usual_settings()
    def explain(self, X: Data) -> Any:
        """Return what each value contributes to the score of its record, (n, n_values), float64, at least 0.

        The sum over the values of a record is its score, -`score_samples`. The values of images and of windows are
        those of the flat record: ``explain(X).reshape(n, *shape_)`` is a heat map. For a data frame, the result is one
        with the same columns.
        """
        check_is_fitted(self)
        source = self._open(X, reset=False)
        scorer = self._scorer
        combined, _ = scorer.combination()
        parts = [combined.parts(costs) for costs in scorer.costs(source.values)]
        return as_frame_like(X, np.concatenate(parts), columns_of(X))

    @usual_settings()
    def expected(self, X: Data) -> Any:
        """Return what is expected of each value given the others, as floats (n, *shape); see `explain`.

        It is the linear prediction, for categories what the network restores where the cell is missing, and for texts
        and records of more than 1,024 values what the network restores. Data frames have the names of categories.
        """
        check_is_fitted(self)
        source = self._open(X, reset=False)
        found = self._scorer.expected(source.values)
        frame = as_frame_like(X, found.reshape(len(source), *self.shape_), columns_of(X))
        return frame if isinstance(frame, np.ndarray) or not self.fields_ else self._named(frame)

    def _named(self, frame: Any) -> Any:
        """Return a data frame of expected values with the names of categories instead of their codes."""
        names = {
            column: [field.categories[int(code)] for code in frame[column]]
            for column, field in zip(frame.columns, self.fields_ or (), strict=True)
            if field.n_categories
        }
        return frame.assign(**names)

    def score_samples(self, X: Data) -> Floats:
        """Return minus the score of each record, shape (n,). Low is odd, as everywhere in scikit-learn."""
        found: Floats = -np.asarray(self.explain(X)).sum(axis=1)
        return found

    def decision_function(self, X: Data) -> Floats:
        """Return `score_samples` - ``offset_``, shape (n,). It is negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Data) -> NDArray[np.int64]:
        """Return 1 for usual records and -1 for outliers, shape (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def take_model(self, model: FittedModel) -> None:
        super().take_model(model)
        _ = self._scorer.combination()

    @property
    def _scorer(self) -> Scorer:
        return Scorer.of(self.model_)

    def _check_parameters(self) -> None:
        if self.contamination != "auto" and not (
            isinstance(self.contamination, (int, float)) and 0 < self.contamination <= 0.5
        ):
            raise InvalidParameterError(
                "The 'contamination' of AutoencoderOutlier must be 'auto', or a share above 0 and at most 0.5. "
                f"Got {self.contamination!r}."
            )
        if self.autoencoder is not None and not isinstance(self.autoencoder, Autoencoder):
            raise InvalidParameterError(
                "The 'autoencoder' of AutoencoderOutlier must be a narrows.Autoencoder or None. "
                f"Got {self.autoencoder!r}."
            )
        if self.autoencoder is not None and self.autoencoder.conditional:
            raise InvalidParameterError(
                "The 'autoencoder' of AutoencoderOutlier must not be conditional, since outliers have no labels. "
                "Set conditional=False."
            )

    def _asked_fill_value(self) -> float | None:
        if self.fill_value is not None or self.autoencoder is None:
            return self.fill_value
        return self.autoencoder.fill_value

    def _kind(self, source: Source, trained: Autoencoder | None) -> str:
        if trained is not None:
            return trained.record_
        asked = self.record
        if asked == "auto" and self.autoencoder is not None:
            asked = self.autoencoder.record
        asked = source.record if asked == "auto" else asked
        return schema_of(asked, source.shape, source.dtype, owner="AutoencoderOutlier").kind

    def _unfitted(self, source: Source, kind: str, seed: int) -> Autoencoder:
        """Return the autoencoder that is trained on records of a kind."""
        given = self.autoencoder
        inner = default_autoencoder(kind, self.shape_, len(source)) if given is None else clone(given)
        inner.set_params(random_state=seed, verbose=self.verbose, artefacts=(), record=kind)
        if self.fill_value is not None:
            inner.set_params(fill_value=self.fill_value)
        if self.training is not None:
            inner.set_params(training=self.training)
        return inner

    def _with_options(self, parameter: str, current: Any, options: dict[str, Any]) -> Any:
        if parameter == "autoencoder":
            return clone(Autoencoder() if current is None else current).set_params(**options)
        return super()._with_options(parameter, current, options)


def _vary(values: NDArray[Any]) -> bool:
    """Return whether records (n, *shape) differ."""
    size, is_float = batch_size(values.shape[1:], _BATCH), values.dtype.kind == "f"
    batches = (values[start : start + size] for start in range(0, len(values), size))
    return any(not np.array_equal(one, np.broadcast_to(values[:1], one.shape), equal_nan=is_float) for one in batches)
