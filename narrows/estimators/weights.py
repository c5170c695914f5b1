"""Sample weights: how much each training record counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.data import Source
from narrows.errors import DataError

__all__ = ["check_weights", "without_zeros"]


def check_weights(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    """Return the weights of n records, shape (n,); None if all are equal, which is the same as none.

    Raises
    ------
    DataError
        If there is not one finite weight ≥ 0 for each record, or all are 0.
    """
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor with a gradient
        raise DataError(f"The 'sample_weight' must be numbers, one for each record. {error}") from error
    if weights.shape != (n,):
        raise DataError(
            f"The 'sample_weight' must have the shape ({n},), one number a record. Got the shape {weights.shape}."
        )
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"The 'sample_weight' must be finite and ≥ 0. Got {weights[first]:g} for record {first:,}"
            f"{f' and {bad.sum() - 1:,} more of these' if bad.sum() > 1 else ''}."
        )
    if not weights.any():
        raise DataError("The 'sample_weight' must be above zero for at least one record. All weights are zero.")
    return None if (weights == weights[0]).all() else weights


def without_zeros(
    source: Source, labels: NDArray[np.int64] | None, weights: NDArray[np.float64] | None
) -> tuple[Source, NDArray[np.int64] | None, NDArray[np.float64] | None]:
    """Return records, labels and weights without the records whose weight is 0.

    They count nowhere then: not in the statistics of the data, not as records for validation, not in artefacts.
    """
    if weights is None or weights.all():
        return source, labels, weights
    kept = np.flatnonzero(weights)
    some = replace(
        source,
        values=source.values[kept],
        labels=None if source.labels is None else source.labels[kept],
        files=None if source.files is None else tuple(source.files[row] for row in kept),
    )
    return some, None if labels is None else labels[kept], check_weights(weights[kept], len(kept))
