"""Estimates of missing values by principal components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.numerics.principal import principal_directions

__all__ = ["impute"]

_ROUNDS = 10


def impute(
    centred: NDArray[np.float32],
    missing: NDArray[np.bool_],
    n_components: int,
    weights: NDArray[np.float64] | None = None,
) -> None:
    """Replace missing values of centred records (n, d), in place, by their restoration from principal components.

    The values start at 0, the mean. Components and missing values are then estimated in turns, as by the
    expectation-maximisation algorithm for PCA (Roweis 1998). Records may have weights (n,).
    """
    (rows,) = np.nonzero(missing.any(axis=1))
    k = min(n_components, *centred.shape)
    if not len(rows) or k == centred.shape[1]:
        return
    hidden, some = missing[rows], centred[rows]
    for _ in range(_ROUNDS):
        directions = principal_directions(centred, k, weights, seed=0)
        some = np.where(hidden, (some @ directions.T) @ directions, some)
        centred[rows] = some
