"""What the estimators share: nested parameters, and data of every kind as input."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

import narrows.data
from narrows.chain import Chain
from narrows.data import Source
from narrows.data.arrays import as_array, check_has_records, check_plain
from narrows.data.column_scale import ColumnScales, columns_on_another_scale
from narrows.data.far_values import warn_of_far_columns
from narrows.data.fill import check_fill, check_some_known
from narrows.data.for_model import as_needed, check_fits, whole_as_windows
from narrows.data.frames import check_columns, has_unique_columns, is_frame
from narrows.data.labels import plain_labels
from narrows.data.offsets import warn_of_offsets
from narrows.data.scale import Trained, scale_warning, typical_magnitude
from narrows.data.text.texts import is_texts
from narrows.errors import DataError, RangeWarning, warn
from narrows.estimators.guarded import GuardedEstimator
from narrows.estimators.table_rows import Fields, rows_in, take_rows
from narrows.io.files import check_output
from narrows.model.artefacts.measuring import complete
from narrows.model.file import write_model
from narrows.model.fitted import FittedModel, TrainedOn
from narrows.records import Columns

__all__ = ["TRAIN_ON_FINITE", "Data", "RecordsEstimator", "labels_of", "listed"]

_MOST_LISTED = 12

Data = ArrayLike | str | Path | Source
"""Records (n, *shape) as an array, a path, a name, or an open source."""

TRAIN_ON_FINITE = (
    "Training needs finite values. If NaN stands for missing values, set fill_value=nan (--fill-value nan): then they "
    "do not count. Otherwise remove the records with such values, or replace these, for example with "
    "numpy.where(numpy.isfinite(x), x, 0). The trained model can compress data with NaNs and infinities if max_error "
    "or lossless is set."
)


class RecordsEstimator(GuardedEstimator):
    """A scikit-learn estimator that takes records of any shape, and parts as parameters.

    Attributes
    ----------
    shape_, dtype_ : tuple of int, numpy.dtype
        Shape and dtype of the training records.
    range_ : (float, float)
        Smallest and largest training value.
        magnitude_ : float or None
        The median over records of a record's largest magnitude; None in models saved before it was measured.
    fill_value_ : float or None
        The value that stands for missing values; None: no value is missing.
    classes_ : ndarray of shape (n_classes,)
        The sorted training labels, where it was trained with labels.
    model_ : FittedModel
        All that training has learned. The attributes below are parts of it.
    chain_ : Chain
        The trained parts in a row.
    record_ : "columns", "image", "series", "text" or "vector"
        What the records were treated as.
    trained_on_ : TrainedOn
        Name and number of the training records, and the seed.
    history_ : list of dict
        One row for each epoch.
    pretraining_history_ : list of dict
        The same for the stages before; ``stage`` names the stage.
    """

    kind: ClassVar[str]
    model_: FittedModel
    shape_: tuple[int, ...]
    dtype_: np.dtype[Any]
    classes_: NDArray[Any]
    range_: tuple[float, float]
    magnitude_: float | None
    fill_value_: float | None = None
    _columns: ColumnScales | None = None
    _fields: Fields | None = None
    random_state: Any
    verbose: bool | int

    @property
    def chain_(self) -> Chain:
        """The trained parts in a row."""
        return self.model_.chain

    @property
    def record_(self) -> str:
        """What the records were treated as."""
        return self.model_.schema.kind

    @property
    def trained_on_(self) -> TrainedOn:
        """The training run of the model."""
        return self.model_.trained_on

    @property
    def history_(self) -> list[dict[str, Any]]:
        """One row for each epoch."""
        return self.model_.history

    @property
    def pretraining_history_(self) -> list[dict[str, Any]]:
        """One row for each epoch of the stages before."""
        return self.model_.pretraining_history

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the model as one safetensors file, which `narrows.load` reads.

        Artefacts that `fit` left to be measured at first use are measured now.

        Raises
        ------
        OutputExistsError
            If the file exists and ``force`` is not set.
        """
        check_is_fitted(self)
        check_output(path, force=force)  # before artefacts are measured
        for self.model_ in complete(self.model_):  # noqa: B020
            pass
        write_model(replace(self.model_, feature_names=getattr(self, "feature_names_in_", None)), path, force=force)

    def take_model(self, model: FittedModel) -> None:
        """Become the estimator of a model that was read from a file.

        Raises
        ------
        ValueError
            If the model lacks what this kind of estimator has learned.
        """
        self.shape_, self.dtype_ = model.schema.shape, model.schema.dtype
        self.range_, self.magnitude_ = model.range, model.scale.magnitude
        self.fill_value_, self._columns = model.chain.parts.fill_value, model.scale.columns
        schema = model.schema
        self._fields = (schema.fields, schema.texts, schema.skipped) if isinstance(schema, Columns) else None
        self.n_features_in_ = math.prod(self.shape_)
        if model.feature_names is not None:
            self.feature_names_in_ = model.feature_names
        if model.classes is not None:
            self.classes_ = model.classes
        self.model_ = model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _open(self, X: Data, *, reset: bool, advice: str | None = None) -> Source:
        """Open and check records; with ``reset`` their shape is learned, otherwise it must be the model's.

        With ``reset`` the previous model is forgotten, unless the records are refused: then nothing has changed.
        """
        if not reset:
            return self._checked(X, reset=False, advice=advice)
        before = dict(self.__dict__)
        try:
            source = self._checked(X, reset=True, advice=advice)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        for name in ("model_", "classes_"):
            self.__dict__.pop(name, None)
        return source

    def _checked(self, X: Data, *, reset: bool, advice: str | None) -> Source:
        if is_texts(X):
            X = narrows.data.open(X)
        if isinstance(X, list | tuple):
            X = as_array(X)  # says which records of a ragged list differ
        X = X if reset else self._as_windows(X)
        rows = rows_in(self, X, reset=reset)
        if rows is not None:
            return take_rows(self, rows, reset=reset, advice=advice)
        if is_frame(X) or isinstance(X, (str, os.PathLike, Source)) or _n_dimensions(X) > 2:
            source = narrows.data.open(X) if reset else self.records_of(X)
            if is_frame(X) and has_unique_columns(X):
                validate_data(self, X, reset=reset, skip_check_array=True)  # some releases refuse repeated names
            elif reset:
                self.n_features_in_ = math.prod(source.shape)
                self.__dict__.pop("feature_names_in_", None)
                if source.columns is not None:
                    self.feature_names_in_ = np.array(source.columns, dtype=object)
        else:
            # A table without names of its columns: scikit-learn checks it.
            check_plain(X)
            check_has_records(X)
            source = narrows.data.open(validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite=False))
        if reset:
            self.shape_, self.dtype_ = source.shape, source.dtype
            asked = self._asked_fill_value()
            self.fill_value_ = None if asked is None else check_fill(asked, source.dtype, allow_nan=True)
        check_fits(source, self.shape_)
        fill_value = self.fill_value_
        found = narrows.data.finite_range(source, advice=advice, fill_value=fill_value)
        if reset:
            check_some_known(source, fill_value)
            self.range_, self.magnitude_ = found, typical_magnitude(source, fill_value=fill_value)
            self._columns = None
            if source.record != "text":  # symbols have no scale
                self._columns = ColumnScales.of(source, fill_value=fill_value)
                warn_of_far_columns(source, fill_value=fill_value)
                warn_of_offsets(source, fill_value=fill_value)
        else:
            self._warn_of_scale(source, found)
        return source

    def _as_windows(self, X: Data) -> Data:
        """Return an array or data frame that is a whole series as its windows, for a model of windows."""
        takes_windows = self.__sklearn_is_fitted__() and self.record_ == "series"
        return whole_as_windows(X, self.shape_) if takes_windows else X

    def _asked_fill_value(self) -> float | None:
        """Return the fill value that the parameters set."""
        return getattr(self, "fill_value", None)

    def records_of(self, data: Data) -> Source:
        """Return data as this model takes them: data frames by their columns, image files by its channels.

        Parameters
        ----------
        data : array_like of shape (n, *shape), data frame, path, name or Source
            The records. Their shape is not checked, since images may be cut into records.

        Returns
        -------
        Source
            Of the dtype of the training data, if that holds all values of a data frame.

        Raises
        ------
        DataError
            If the data cannot be opened, or a data frame has other columns, or the same in another order.
        """
        rows = rows_in(self, data, reset=False)
        if rows is not None:
            return rows
        source = as_needed(narrows.data.open(self._as_windows(data)), self.shape_)
        if source.kind == "npy":
            source = narrows.data.open(self._as_windows(source))
        if source.columns is None:
            return source
        check_columns(source.columns, getattr(self, "feature_names_in_", None))
        if source.dtype != self.dtype_ and np.can_cast(self.dtype_, source.dtype):
            values = source.values.astype(self.dtype_)
            if np.array_equal(values, source.values):
                return replace(source, values=values)
        return source

    def _warn_of_scale(self, source: Source, found: tuple[float, float] | None) -> bool:
        """Warn if records are on another scale than the training data, given their least and largest finite value.

        Returns
        -------
        bool
            Whether they are.

        Warns
        -----
        RangeWarning
            Under the conditions in `narrows.data.scale`, and in `narrows.data.column_scale` for the columns of tables.
        """
        if found is None or source.record in {"text", "columns"}:
            return False
        names, columns = getattr(self, "feature_names_in_", None), None
        if self._columns is not None:
            columns = columns_on_another_scale(source, self._columns, names, fill_value=self.fill_value_)
        is_some = columns is not None and len(columns.positions) < source.shape[0]
        text = None if is_some else scale_warning(source, *found, self._trained)
        if text is not None:
            warn(RangeWarning(text, count=len(source)))
        elif columns is not None:
            first = columns.positions[0] if names is None else str(names[columns.positions[0]])
            warn(RangeWarning(columns.text, count=len(columns.positions), first=first))
        return text is not None or columns is not None

    @property
    def _trained(self) -> Trained:
        return Trained(*self.range_, self.dtype_, self.magnitude_, self.fill_value_, self._columns)

    def _positions(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Return labels as positions in ``classes_``."""
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise DataError(
                f"Unknown labels: {', '.join(map(repr, unknown[:5].tolist()))}. "
                f"The classes of the model are {listed(self.classes_)}."
            )
        return np.searchsorted(self.classes_, labels).astype(np.int64)


def _n_dimensions(X: Any) -> int:
    return int(X.ndim) if hasattr(X, "ndim") else np.asarray(X).ndim


def listed(classes: NDArray[Any]) -> str:
    """Return at most a dozen labels as text for a message."""
    return ", ".join(map(repr, classes[:_MOST_LISTED].tolist())) + " …" * (len(classes) > _MOST_LISTED)


def labels_of(source: Source, y: ArrayLike | None, *, owner: str = "This estimator") -> NDArray[Any]:
    """Return the labels of a source's records, checked: those given, or its own.

    Raises
    ------
    DataError
        If there are no labels, their number is not that of the records, or they are not labels.
    """
    if y is None and source.labels is None:
        raise DataError(
            f"{source.name} has no labels. {owner} requires y to be passed, but the target y is None. "
            "Pass y, or use data with labels: a named data set, a .npz file with an array y, or a folder that has a "
            "sub-folder of images for each label."
        )
    try:
        labels = column_or_1d(plain_labels(source.named_labels if y is None else y), warn=True)
        if labels.dtype.kind == "f":
            assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
    except ValueError as error:
        raise DataError(str(error)) from error
    if len(labels) != len(source):
        raise DataError(
            f"Each record needs one label. Got {len(source):,} records in {source.name} and {len(labels):,} labels."
        )
    return np.asarray(labels)
