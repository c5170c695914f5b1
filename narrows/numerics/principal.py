"""The directions of largest variance of records, each of which may have a weight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["principal_directions", "weighted_mean"]


def principal_directions(
    centred: NDArray[np.float32], k: int, weights: NDArray[np.float64] | None = None, *, seed: int
) -> NDArray[np.float32]:
    """Return k orthonormal directions of the largest variance, (k, d), the largest first.

    Parameters
    ----------
    centred : ndarray of shape (n, d)
        Records whose mean, or weighted mean, is near zero.
    k : int
        Number of directions, at most min(n, d).
    weights : ndarray of shape (n,), optional
        The weight of each record in the covariance, about 1. None: all are the same.
    seed : int
        Seed of the solver.
    """
    from sklearn.decomposition import PCA

    if weights is not None:
        away = centred - weighted_mean(centred, weights).astype(np.float32)  # estimates of missing values move the mean
        away *= np.sqrt(weights).astype(np.float32)[:, None]
        centred = np.concatenate([away, -away])  # the mean of these is zero, so that PCA subtracts nothing
    # scikit-learn divides by the variance and by n - 1, which are 0 for equal records and for one record.
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[Any] = PCA(k, random_state=seed).fit(centred).components_
    return found.astype(np.float32, copy=False)


def weighted_mean(x: NDArray[Any], weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the mean of records (n, d), in float64; weighted if there are weights (n,)."""
    if weights is None:
        return np.asarray(x.mean(axis=0, dtype=np.float64))
    return np.asarray(np.einsum("i,ij->j", weights, x, dtype=np.float64) / weights.sum())
