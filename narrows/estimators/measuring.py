"""Measuring the artefacts of a fitted autoencoder after `fit`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from narrows.errors import InvalidParameterError
from narrows.estimators.base import Data
from narrows.estimators.preparation import labelled
from narrows.estimators.scoring import Scoring
from narrows.estimators.training_data import LabelledSource, more_data, open_more
from narrows.model.artefacts import Artefact, PrincipalComponents, TrainingRecords
from narrows.model.artefacts.measuring import NOT_ASKED_FOR, complete, measure
from narrows.training import Records

__all__ = ["Measuring"]


class Measuring(Scoring):
    """Measures the artefacts of a fitted autoencoder."""

    def measure(
        self,
        X: Data | None = None,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        again: bool = False,
    ) -> Self:
        """Measure artefacts that `fit` did not measure: PCA, latent density, metric of search, archive codec.

        `fit` prepares the density and the codec, which are measured when they are first needed, for example by `sample`
        or `save`. ``measure()`` measures them now. ``unmeasured_`` lists missing artefacts with the reason.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source, optional
            The records that the model was trained on, without those held out for validation. None: only what `fit` has
            prepared is measured, unless the weights were changed since.
        y : array_like of shape (n,), optional
            Labels, for conditional models; named data sets have their own.
        sample_weight : array_like of shape (n,), optional
            The weights that `fit` was given, if the artefacts are to equal those that `fit` measures: PCA is weighted,
            and no artefact counts records with a weight of 0.
        again : bool
            Also measure the artefacts that the model already has.

        Raises
        ------
        DataError
            If the records are not of the shape and dtype of the training records, or the weights are not allowed.
        InvalidParameterError
            If weights are given without records.
        """
        check_is_fitted(self)
        if X is not None:
            data = self._opened(X, y, sample_weight)
            stale = self.model_.stale
            wanted = [name for name in Artefact.registry if again or name in stale or not self.model_.has(name)]
            self._measure(data, wanted)
        elif sample_weight is not None:
            raise InvalidParameterError(
                "The 'sample_weight' of measure needs the records that it belongs to. Got weights without records. "
                "Pass the training records as X, or leave the weights out."
            )
        for self.model_ in complete(self.model_):  # noqa: B020
            pass
        return self

    def refreeze(self, X: Data, y: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Measure the artefacts that depend on the weights again: latent density and archive codec.

        The weights of a fitted model may be changed, by a training loop of one's own on ``chain_`` or by fine-tuning
        ``encoder_`` and ``decoder_``. The artefacts then belong to the earlier weights. `quantise`, `sample` and
        `narrows.compress` refuse them, until `refreeze` has measured them. Archives written before need the model as
        it was; save it before its weights are changed.

        Parameters
        ----------
        X, y
            As for `measure`; X is required.
        sample_weight : array_like of shape (n,), optional
            The weights that `fit` was given. Records with a weight of 0 do not count; the others count equally.

        Raises
        ------
        DataError
            If the records are not of the shape and dtype of the training records.
        """
        check_is_fitted(self)
        data, unmeasured = self._opened(X, y, sample_weight), self.model_.unmeasured
        names = [name for name in Artefact.registry if name != PrincipalComponents.name]
        return self._measure(data, [name for name in names if unmeasured.get(name) != NOT_ASKED_FOR])

    def _opened(self, X: Data, y: ArrayLike | None, sample_weight: ArrayLike | None = None) -> LabelledSource:
        """Return records that a fitted model learns from, with their labels and weights."""
        source = open_more(self, X)
        return more_data(self, source, self.classes_of(source, y), sample_weight)

    def _measure(self, data: LabelledSource, names: Iterable[str]) -> Self:
        self.chain_.eval()  # a training loop of the user's may have left it in train mode
        unlabelled = Records(data.source.values, self.chain_.device).weighted(data.weights, None, self.chain_.dtype)
        records = labelled(unlabelled, data.labels)
        of_records: dict[str, Any] = {"labels": data.source.labels, "classes": data.labels}
        everything = TrainingRecords(data.source.values, None, records, unlabelled, **of_records)
        for self.model_ in measure(self.model_, everything, names, at_once=True):  # noqa: B020
            pass
        return self
