"""How well a fitted autoencoder restores single records: log-likelihoods and squared errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from narrows.data.frames import as_frame_like, columns_of
from narrows.estimators.base import Data
from narrows.estimators.symbols import Symbols
from narrows.estimators.weights import check_weights
from narrows.model.inference import losses, mean_total
from narrows.model.squared_errors import squared_errors
from narrows.parts.options import Choice, check

__all__ = ["Scoring"]


class Scoring(Symbols):
    """Scores of records."""

    def score(self, X: Data, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log-likelihood of records in nats: the mean of `score_samples`. Higher is better.

        It is minus the training loss, measured without corruption, and is what a grid search compares by default. A
        mean depends on its largest terms, so one record that is unlike all others may decide it. For scores that it
        does not decide, and in other units than nats, see `narrows.evaluation.scorers`.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records.
        y : array_like of shape (n,), optional
            Labels, for conditional models, unless the data have their own; other models ignore them.
        sample_weight : array_like of shape (n,), optional
            How much each record counts, at least 0: the result is the weighted mean.

        Raises
        ------
        DataError
            If values lie outside the likelihood's support, for a Bernoulli likelihood [0, 1].
        """
        check_is_fitted(self)
        source = self._open(X, reset=False)
        weights = check_weights(sample_weight, len(source))
        return -mean_total(self.chain_, source.values, self.classes_of(source, y), weights=weights)

    def score_samples(self, X: Data, y: ArrayLike | None = None) -> NDArray[Any]:
        """Return the log-likelihood of each record in nats, shape (n,), float64. Higher is better.

        It is minus the training loss of the record, measured without corruption:

        - For models without a cost of the code and without penalties it is log p(x | z), where z is the code of the
          record. It measures how well the record is restored, and is not a density log p(x), as those of
          `sklearn.decomposition.PCA` and `sklearn.neighbors.KernelDensity` are.
        - For variational models it is the evidence lower bound (ELBO) of log p(x), estimated with one random code. The
          code depends on the record alone, so the same record always gets the same value. If the weight of the
          divergence is not 1, it has this weight here too; `narrows.evaluate` returns the ELBO without it.
        - For other models the cost of the code and the penalties of training are subtracted.

        Values count in preprocessed units, as in training. Missing values do not count, so records with many of them
        have larger log-likelihoods. That of a record whose values are all missing is NaN, and `score` leaves it out.

        Parameters
        ----------
        X, y
            As for `score`.

        Raises
        ------
        DataError
            As for `score`.

        Examples
        --------
        The record that the model restores worst:

        >>> import numpy as np
        >>> import narrows
        >>> X = np.random.default_rng(0).normal(size=(100, 4))
        >>> X[7] = [30, -30, 30, -30]
        >>> model = narrows.recipe("auto", n_latent=2, training__epochs=2, random_state=0).fit(np.delete(X, 7, axis=0))
        >>> int(model.score_samples(X[:20]).argmin())
        7
        """
        check_is_fitted(self)
        source = self._open(X, reset=False)
        return -losses(self.chain_, source.values, self.classes_of(source, y))

    def reconstruction_error(self, X: Data, y: ArrayLike | None = None, *, per: str = "record") -> Any:
        """Return the squared error of each record or value, in the squared units of the data, float64.

        The decoder's output is neither clipped nor rounded to the dtype of the data. Bytes have errors of up to 255²;
        `narrows.evaluate` scales them to [0, 1] first, and its errors are 255² times smaller.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records.
        y : array_like of shape (n,), optional
            Labels, for conditional models, unless the data have their own; other models ignore them.
        per : "record" or "value"
            "record": summed over the values of each record, shape (n,), in memory that does not depend on the number
            of records. "value": of each value, shape (n, *shape).

        Returns
        -------
        errors : ndarray of shape (n,) or (n, *shape)
            With ``per="value"``, the errors of a data frame are a data frame with the same columns and index. Values
            that are equal to the fill value of the model are missing: the sum of a record leaves them out, and their
            own errors are NaN, so that `numpy.nanmean` over records is the error of a column. The sum is NaN for a
            record whose values are all missing.

        Examples
        --------
        >>> import numpy as np
        >>> import narrows
        >>> X = np.random.default_rng(0).normal(size=(100, 4))
        >>> model = narrows.recipe("auto", n_latent=2, training__epochs=2, random_state=0).fit(X)
        >>> of_records, of_values = model.reconstruction_error(X), model.reconstruction_error(X, per="value")
        >>> of_records.shape, of_values.shape, bool(np.allclose(of_records, of_values.sum(axis=1)))
        ((100,), (100, 4), True)
        """
        check_is_fitted(self)
        check("reconstruction_error", "per", per, Choice("record", "value"))
        source = self._open(X, reset=False)
        errors = squared_errors(self.chain_, source.values, self.classes_of(source, y), per_value=per == "value")
        return as_frame_like(X, errors, columns_of(X))

    def predict(self, X: Data, y: ArrayLike | None = None) -> NDArray[Any]:
        """Return reconstructed records (n, *shape) as floats: ``reconstruct(X, y, dtype=float)``.

        An autoencoder is a regression of records on themselves. With this method, the metrics of regression can score
        tables by name if the records are also given as targets:
        ``GridSearchCV(model, grid, scoring="neg_mean_squared_error").fit(X, X)``. For images, conditional models, and
        calls without targets there are functions in `narrows.evaluation.scorers`.
        """
        restored: NDArray[Any] = np.asarray(self.reconstruct(X, y, dtype=float))  # also for data frames
        return restored
