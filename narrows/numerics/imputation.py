"""Estimates of missing values by principal components."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["impute"]

_ROUNDS = 10


def impute(centred: NDArray[np.float32], missing: NDArray[np.bool_], n_components: int) -> None:
    """Replace missing values of centred records (n, d), in place, by their restoration from principal components.

    The values start at 0, the mean. Components and missing values are then estimated in turns, as by the
    expectation-maximisation algorithm for PCA (Roweis 1998).
    """
    (rows,) = np.nonzero(missing.any(axis=1))
    k = min(n_components, *centred.shape)
    if not len(rows) or k == centred.shape[1]:
        return
    hidden, some = missing[rows], centred[rows]
    for _ in range(_ROUNDS):
        directions = _directions(centred, k)
        some = np.where(hidden, (some @ directions.T) @ directions, some)
        centred[rows] = some


def _directions(centred: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return k orthonormal directions of the largest variance, (k, d)."""
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[Any] = PCA(k, random_state=0).fit(centred).components_
    return found.astype(np.float32)
