"""Records of which some labels are missing: those with labels, and the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.data import Source
from narrows.data.labels import missing_labels
from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.base import RecordsEstimator, labels_of
from narrows.estimators.further_training import FIXED, check_fixed

__all__ = ["ByLabel", "check_start"]


@dataclass(frozen=True)
class ByLabel:
    """Records with labels, and those without.

    Attributes
    ----------
    source : Source
        n records with labels.
    labels : ndarray of shape (n,)
        Their labels.
    sample_weight : ndarray of shape (n,), or None
        Their weights.
    unlabelled : Source or None
        The other records.
    """

    source: Source
    labels: NDArray[np.generic]
    sample_weight: ArrayLike | None
    unlabelled: Source | None

    @classmethod
    def of(cls, source: Source, y: ArrayLike | None, sample_weight: ArrayLike | None) -> ByLabel:
        """Split records by whether their label is missing.

        Raises
        ------
        DataError
            If no record has a label, or their number is not that of the records.
        """
        missing = None if y is None else missing_labels(y)
        if missing is None or missing.shape != (len(source),) or not missing.any():
            return cls(source, labels_of(source, y), sample_weight, None)
        if missing.all():
            raise DataError(f"{source.name} has no labels: all of the {len(source):,} given are missing.")
        known, unknown = np.flatnonzero(~missing), np.flatnonzero(missing)
        some = source.take(known)
        weights = None if sample_weight is None else np.asarray(sample_weight)[known]
        return cls(some, labels_of(some, np.asarray(y)[known]), weights, source.take(unknown))


def check_start(start: object, classifier: RecordsEstimator, params: Mapping[str, Any]) -> None:
    """Refuse what is no fitted autoencoder for the records of a classifier, whose own autoencoder has ``params``.

    Raises
    ------
    InvalidParameterError
        If it is none, or one whose encoder needs labels, or one with other parts or of other records.
    """
    if not isinstance(start, Autoencoder) or not start.__sklearn_is_fitted__():
        raise InvalidParameterError(f"The 'start' of fit must be a fitted Autoencoder or None. Got {start!r}.")
    if start.conditional:
        raise InvalidParameterError(
            "The 'start' of fit must be an autoencoder whose codes do not depend on labels. Got one with "
            "conditional=True."
        )
    check_fixed("Autoencoder", FIXED, params, start.get_params(deep=False), "start")
    if (start.shape_, start.dtype_) != (classifier.shape_, classifier.dtype_):
        raise InvalidParameterError(
            f"The 'start' of fit was trained on records of shape {start.shape_}, {start.dtype_}. Got records of shape "
            f"{classifier.shape_}, {classifier.dtype_}."
        )
