"""Checks of the models that functions get as arguments."""

from __future__ import annotations

import os
import sys
from typing import Any

from sklearn.utils.validation import check_is_fitted

from narrows.data import Source
from narrows.data.for_model import check_fits
from narrows.errors import InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder, Data
from narrows.estimators.base import RecordsEstimator

__all__ = ["autoencoder_in", "check_autoencoder", "check_model", "is_pipeline", "records_for"]


def check_autoencoder(model: Any, function: str, *, data: Any = None) -> None:
    """Refuse what is not a fitted autoencoder.

    Parameters
    ----------
    model : object
        The model that a function was given.
    function : str
        The name of the function.
    data : object
        The data that it was given, to notice arguments in the wrong order.

    Raises
    ------
    InvalidParameterError
        If it is not an autoencoder; says what to do.
    NotFittedError
        If it is not fitted.
    """
    if isinstance(model, Autoencoder):
        check_is_fitted(model)
        return
    raise InvalidParameterError(_not_a_model(model, function, "narrows.Autoencoder", data=data))


def check_model(model: Any, function: str) -> None:
    """Refuse what is neither a fitted autoencoder nor a fitted classifier; as `check_autoencoder`."""
    if not isinstance(model, RecordsEstimator):
        kinds = "narrows.Autoencoder or narrows.AutoencoderClassifier"
        raise InvalidParameterError(_not_a_model(model, function, kinds))
    check_is_fitted(model)


def is_pipeline(estimator: Any) -> bool:
    """Return whether it is a Pipeline of scikit-learn, whose module was then imported: that takes half a second."""
    module = sys.modules.get("sklearn.pipeline")
    return module is not None and isinstance(estimator, module.Pipeline)


def records_for(model: Any, data: Data, function: str) -> Source:
    """Return records of the shape of a model, which must be a fitted autoencoder.

    Raises
    ------
    InvalidParameterError, NotFittedError
        As `check_autoencoder`.
    DataError
        As `RecordsEstimator.records_of`.
    ShapeMismatchError
        If the records have another shape than the model's.
    """
    check_autoencoder(model, function, data=data)
    source: Source = model.records_of(data)
    check_fits(source, model.shape_)
    return source


def _not_a_model(model: Any, function: str, needed: str, *, data: Any = None) -> str:
    """Return the error of a function that was given something else than the model that it needs."""
    hint = ""
    if isinstance(data, RecordsEstimator) or is_pipeline(data):
        hint = f" The model comes first and the data second: {function}(model, data)."
    elif isinstance(model, str | os.PathLike):
        hint = f" Load the file of a model first: narrows.load({os.fspath(model)!r})."
    elif isinstance(model, RecordsEstimator):
        hint = " A classifier does not restore records; its method 'score' measures it."
    got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    return f"The 'model' of {function} must be a fitted {needed}. Got {got}.{hint}"


def autoencoder_in(estimator: Any, X: Data, function: str) -> tuple[Autoencoder, Data]:
    """Return a fitted autoencoder, which may be the last step of a pipeline, and records as it gets them.

    Raises
    ------
    InvalidParameterError, NotFittedError
        As `check_autoencoder`.
    """
    in_pipeline = is_pipeline(estimator)
    model = estimator[-1] if in_pipeline else estimator
    check_autoencoder(model, function, data=X)
    return model, estimator[:-1].transform(X) if in_pipeline and len(estimator) > 1 else X
