"""The records of a run of `fit`: opened and checked, with labels and weights, and split for validation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.data import Source
from narrows.data.finite import check_squares, finite_range
from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.base import TRAIN_ON_FINITE, Data, RecordsEstimator, labels_of
from narrows.estimators.preparation import labelled, n_held_out, precision_of, split
from narrows.estimators.weights import check_weights, without_zeros
from narrows.parts.options import Boolean, check
from narrows.training import Records, Training, resolve_device

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["CONDITIONAL", "LabelledSource", "Split", "described", "more_data", "open_for_training", "open_more"]

CONDITIONAL = "This conditional model"


@dataclass(frozen=True)
class LabelledSource:
    """Records and, for conditional models, their classes.

    Attributes
    ----------
    source : Source
        n records.
    labels : ndarray of int, shape (n,), or None
        Their classes, from 0.
    weights : ndarray of shape (n,), or None
        How much each record counts in the loss; None: all the same.
    """

    source: Source
    labels: NDArray[np.int64] | None = None
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Split:
    """The records of a run: those for training and those for validation.

    Attributes
    ----------
    everything : Records
        All training records, on the device; the other attributes share their values.
    rows : ndarray of int, or None
        The rows that the run trains on. None: all.
    held_out : Records or None
        The validation records, with labels where there are any.
    is_by_default : bool
        Whether records were held out by default, not by request. PCA may learn from those as well.
    """

    everything: Records
    rows: NDArray[np.int64] | None
    held_out: Records | None
    is_by_default: bool = False

    @classmethod
    def of(
        cls, data: LabelledSource, validation: LabelledSource | None, settings: Training, seed: int, *, by_default: bool
    ) -> Self:
        """Hold out records for validation, unless validation records were given.

        Parameters
        ----------
        data, validation : LabelledSource
            The records given for training, and those given for validation.
        settings : Training
            The share that is held out, and the device of the records.
        seed : int
            Seed of the draw of held-out records.
        by_default : bool
            Whether a default share is held out where no share was requested.
        """
        device = resolve_device(settings)
        everything, precision = Records(data.source.values, device), precision_of(settings)
        if validation is not None:
            everything = everything.weighted(data.weights, None, precision)
            return cls(everything, None, labelled(Records(validation.source.values, device), validation.labels))
        n = len(data.source)
        rows, held_out_rows = split(n, n_held_out(settings, n, by_default=by_default), seed)
        everything = everything.weighted(data.weights, rows, precision)
        if held_out_rows is None:
            return cls(everything, None, None)
        held_out = labelled(everything.only(held_out_rows), data.labels)
        return cls(everything, rows, held_out, is_by_default=settings.validation is None)

    @property
    def records(self) -> Records:
        """The training records without labels."""
        return self.everything.only(self.rows)

    @property
    def rows_for_pca(self) -> NDArray[np.int64] | None:
        """The rows that PCA may learn from; None: all."""
        return None if self.is_by_default else self.rows


def open_for_training(
    model: Autoencoder,
    X: Data,
    y: ArrayLike | None,
    validation: Data | tuple[Data, ArrayLike] | None,
    sample_weight: ArrayLike | None = None,
) -> tuple[LabelledSource, LabelledSource | None]:
    """Return the records for training and for validation; the model learns their shape and classes.

    Records whose weight is 0 are left out.
    """
    source = model._open(X, reset=True, advice=TRAIN_ON_FINITE)
    check_squares(source, *model.range_, fill_value=model.fill_value_)
    check("Autoencoder", "conditional", model.conditional, Boolean())
    weights = check_weights(sample_weight, len(source))
    labels, held_out_labels = None, None
    if model.conditional:
        model.classes_, labels = np.unique(labels_of(source, y, owner=CONDITIONAL), return_inverse=True)
        if model.residual is not None:
            raise InvalidParameterError(
                f"The 'residual' of a conditional model must be None, since such a model cannot write archives. "
                f"Got {model.residual!r}."
            )
    data = LabelledSource(*without_zeros(source, labels, weights))
    if validation is None:
        return data, None
    x, of_x = validation if model.conditional and isinstance(validation, tuple) else (validation, None)
    held_out = model._open(x, reset=False, advice=TRAIN_ON_FINITE)
    if model.conditional:
        held_out_labels = model._positions(labels_of(held_out, of_x, owner=CONDITIONAL))
    return data, LabelledSource(held_out, held_out_labels)


def open_more(model: RecordsEstimator, X: Data) -> Source:
    """Return records that a fitted model is to learn from.

    Raises
    ------
    DataError
        If they are not of the shape of the training records, or the dtype of these does not hold their values.
    """
    source = model._open(X, reset=False, advice=TRAIN_ON_FINITE)
    if source.dtype != model.dtype_:
        with np.errstate(invalid="ignore", over="ignore"):
            values = source.values.astype(model.dtype_)
        if np.array_equal(values, source.values, equal_nan=model.dtype_.kind == "f"):
            return replace(source, values=values)
        raise DataError(
            f"The records must have the dtype of the training records, {model.dtype_}, or values that it holds "
            f"exactly. Got {source.dtype}. "
            f"Convert them with X.astype({model.dtype_.name!r})."
        )
    return source


def more_data(
    model: RecordsEstimator, source: Source, labels: NDArray[np.int64] | None, sample_weight: ArrayLike | None
) -> LabelledSource:
    """Return records of `open_more` with their classes and weights; records whose weight is 0 are left out.

    Raises
    ------
    DataError
        If the values are too large, or the weights are not allowed.
    """
    found = finite_range(source, advice=TRAIN_ON_FINITE, fill_value=model.fill_value_)
    check_squares(source, *found, fill_value=model.fill_value_)
    weights = check_weights(sample_weight, len(source))
    return LabelledSource(*without_zeros(source, labels, weights))


def described(
    data: LabelledSource, validation: LabelledSource | None
) -> tuple[dict[str, Source | None], dict[str, NDArray[Any] | None]]:
    """Return the records of a run, and their labels and weights, which identify it."""
    held_out, its_labels = (None, None) if validation is None else (validation.source, validation.labels)
    arrays = {"labels": data.labels, "validation labels": its_labels, "sample weights": data.weights}
    return {"data": data.source, "validation data": held_out}, arrays
