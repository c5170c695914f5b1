"""Checks of the models that functions get as arguments."""

from __future__ import annotations

import os
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from narrows.errors import InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder, Data
from narrows.estimators.base import RecordsEstimator

__all__ = ["autoencoder_in", "check_autoencoder"]


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
    hint = ""
    if isinstance(data, RecordsEstimator | Pipeline):
        hint = f" The model comes first and the data second: {function}(model, data)."
    elif isinstance(model, str | os.PathLike):
        hint = f" Load the file of a model first: narrows.load({os.fspath(model)!r})."
    elif isinstance(model, RecordsEstimator):
        hint = " A classifier does not restore records; its method 'score' measures it."
    got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    raise InvalidParameterError(f"The 'model' of {function} must be a fitted narrows.Autoencoder. Got {got}.{hint}")


def autoencoder_in(estimator: Any, X: Data, function: str) -> tuple[Autoencoder, Data]:
    """Return a fitted autoencoder, which may be the last step of a pipeline, and records as it gets them.

    Raises
    ------
    InvalidParameterError, NotFittedError
        As `check_autoencoder`.
    """
    is_pipeline = isinstance(estimator, Pipeline)
    model = estimator[-1] if is_pipeline else estimator
    check_autoencoder(model, function, data=X)
    return model, estimator[:-1].transform(X) if is_pipeline and len(estimator) > 1 else X
