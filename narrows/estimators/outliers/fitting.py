"""How a detector is fitted: its network, the terms of its score, and the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.data import Source
from narrows.errors import InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.outliers.codes import CodeDistance
from narrows.estimators.outliers.combination import Combination
from narrows.estimators.outliers.plain_terms import PlainTerms
from narrows.estimators.outliers.scorer import Scorer, limited_records
from narrows.estimators.outliers.stored import CODES, TERMS, combined_arrays, joined, prefixed
from narrows.estimators.outliers.threshold import ALWAYS_ODD, compared, threshold_of, threshold_of_share
from narrows.model.fitted import FittedModel
from narrows.model.inference import encode
from narrows.training import Callbacks

__all__ = ["CANNOT_SCORE", "learned_scores", "trained_network"]

Floats = NDArray[np.float64]

CANNOT_SCORE = (
    "Outliers are scored by autoencoders without labels, whose likelihood defines the probability of single values. "
    "Give another one, or omit it: then one is trained."
)


def trained_network(
    unfitted: Autoencoder, source: Source, terms: PlainTerms, flat: Floats, *, kind: str, callback: Callbacks
) -> FittedModel:
    """Return the model of an autoencoder, trained on the records that are likely.

    Parameters
    ----------
    unfitted : Autoencoder
        It is fitted here.
    source : Source
        The records, of a kind.
    terms : PlainTerms
        Those of the records.
    flat : ndarray of shape (n, width)
        The records as `flat_records` returns them.
    callback
        As for `Autoencoder.fit`.

    Raises
    ------
    InvalidParameterError
        If the likelihood defines no probability of single values.
    """
    shown = replace(source, values=limited_records(source.values, terms, kind), labels=None, label_names=None)
    unfitted.fit(shown, sample_weight=terms.likely(flat).astype(np.float64), callback=callback)
    if not unfitted.chain_.likelihood.has_values:
        raise InvalidParameterError(
            f"The likelihood '{unfitted.chain_.parts.likelihood.name}' defines no probability of single values, of "
            "which scores of outliers consist. Set likelihood='normal'."
        )
    return unfitted.model_


def learned_scores(
    scorer: Scorer, values: NDArray[Any], flat: Floats, *, contamination: str | float, with_codes: bool, seed: int
) -> Mapping[str, NDArray[Any]]:
    """Return what a detector learns from its training records besides its network, as the arrays of a model.

    Parameters
    ----------
    scorer : Scorer
        The network, and the terms of the records.
    values : ndarray of shape (n, *shape)
        The training records.
    flat : ndarray of shape (n, width)
        The same as `flat_records` returns them.
    contamination : "auto" or float
        The share of outliers.
    with_codes : bool
        Whether the distance of codes is a term.
    seed : int
        Of the records that the training records are compared with.
    """
    arrays = prefixed(TERMS, scorer.terms.to_arrays())
    if with_codes:
        costs = joined(scorer.costs(values))["network"]
        codes = encode(scorer.model.chain, values).astype(np.float64)
        scorer = replace(scorer, codes=CodeDistance.fit(codes, costs.sum(axis=1)))
        arrays |= prefixed(CODES, scorer.codes.to_arrays() if scorer.codes else {})
    costs_of = joined(scorer.costs(values))
    combined = Combination.fit(costs_of)
    scores = combined.parts(costs_of).sum(axis=1)
    if contamination != "auto":
        threshold = threshold_of_share(scores, float(contamination))
    elif scorer.terms.normal is None:
        threshold = ALWAYS_ODD
    else:
        schema, is_category = scorer.model.schema, scorer.expansion.is_category
        comparison = compared(scorer.terms.filled(flat), schema.kind, schema.shape, is_category, seed)
        threshold = threshold_of(scores, comparison)
    return arrays | combined_arrays(combined, threshold)
