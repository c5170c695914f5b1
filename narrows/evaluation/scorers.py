"""Scorers for scikit-learn's `GridSearchCV` and `cross_val_score`: squared errors instead of nats.

They take records of any shape, need no targets, and work with the labels of conditional models:

>>> import numpy as np
>>> from sklearn.model_selection import GridSearchCV
>>> from narrows import Autoencoder, Training
>>> X = np.random.default_rng(0).normal(size=(90, 4))
>>> model = Autoencoder(artefacts=(), training=Training(epochs=1), random_state=0)
>>> search = GridSearchCV(model, {"n_latent": [1, 3]}, scoring=neg_mean_squared_error, cv=3).fit(X)
>>> search.best_params_
{'n_latent': 3}

The names of scikit-learn's metrics of regression, such as ``scoring="neg_mean_squared_error"``, work as well for
tables if the records are also given as targets, ``fit(X, X)``, since scikit-learn compares `Autoencoder.predict` with
them. Both give the same values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder, Data
from narrows.estimators.checks import autoencoder_in, is_pipeline
from narrows.model.squared_errors import n_known

__all__ = ["neg_mean_squared_error", "neg_median_squared_error"]


def neg_mean_squared_error(estimator: Any, X: Data, y: ArrayLike | None = None) -> float:
    """Return minus the squared error averaged over all values of all records, in the squared units of the data.

    Parameters
    ----------
    estimator : Autoencoder or Pipeline
        A fitted autoencoder, or a pipeline that ends in one. The errors of a pipeline are those of its last step, in
        the units of the step before, so pipelines with different scalings should not be compared.
    X : array_like of shape (n, *shape), path, name or Source
        The records.
    y : array_like, optional
        Labels for a conditional model; other models ignore it.

    Returns
    -------
    float
        Higher is better. Missing values do not count.
    """
    errors, known = _errors(estimator, X, y)
    return -float(errors[known > 0].sum() / known.sum())


def neg_median_squared_error(estimator: Any, X: Data, y: ArrayLike | None = None) -> float:
    """Return minus the median over records of a record's squared error, averaged over its values.

    Unlike a mean, it is not decided by a few records that are unlike all others. Parameters and units are those of
    `neg_mean_squared_error`.
    """
    errors, known = _errors(estimator, X, y)
    return -float(np.median(errors[known > 0] / known[known > 0]))


def _errors(estimator: Any, X: Data, y: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the summed squared error of each record, and the number of its values."""
    last = estimator[-1] if is_pipeline(estimator) else estimator
    if not isinstance(last, Autoencoder):
        raise InvalidParameterError(
            "This scorer needs a narrows.Autoencoder, or a pipeline that ends in one. "
            f"Got {type(last).__name__}. For other estimators use scikit-learn's scorers by name."
        )
    model, records = autoencoder_in(estimator, X, "the scorer")
    return model.reconstruction_error(records, y), n_known(model.chain_, model.records_of(records).values)
