"""The Fréchet distance between two sets of features, which measures how far samples are from data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import DataError, NonFiniteDataError, ShapeMismatchError

__all__ = ["frechet_distance"]


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Return the squared Fréchet distance between normal distributions fitted to two sets of features.

    ‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½), the squared Wasserstein distance between N(μ_a, Σ_a) and N(μ_b, Σ_b)
    (Dowson and Landau 1982). With features of the Inception network it is the FID (Heusel et al. 2017). Distances
    are comparable only for the same features. With few records the estimate is biased upwards: compare sets of equal
    size.

    Parameters
    ----------
    a, b : array_like of shape (n, d) and (m, d)
        Features of at least two records each.

    Returns
    -------
    float
        0 for equal sets, in squared units of the features.

    Raises
    ------
    ShapeMismatchError
        If the numbers of features differ.
    DataError
        If there are too few records.
    NonFiniteDataError
        If a feature is NaN or infinite.

    Examples
    --------
    >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
    9.0
    """
    first, second = (np.asarray(features, dtype=np.float64) for features in (a, b))
    for features in (first, second):
        if features.ndim != 2 or len(features) < 2:
            raise DataError(f"Features must have shape (n, d) with n ≥ 2. Got {features.shape}.")
        n_bad = features.size - int(np.count_nonzero(np.isfinite(features)))
        if n_bad:
            raise NonFiniteDataError(
                f"Features must be finite numbers. Got {n_bad:,} of {features.size:,} that are NaN or infinite: "
                "look at their records."
            )
    if first.shape[1] != second.shape[1]:
        raise ShapeMismatchError(f"Both sets must have the same features. Got {first.shape[1]} and {second.shape[1]}.")
    apart = first.mean(axis=0) - second.mean(axis=0)
    sigma_a, sigma_b = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (first, second))
    # Σ_a Σ_b has the eigenvalues of the symmetric Σ_a^½ Σ_b Σ_a^½, which are real and need no general matrix root.
    root = _root(sigma_a)
    shared = np.sqrt(np.linalg.eigvalsh(root @ sigma_b @ root).clip(0)).sum()
    return max(0.0, float(apart @ apart + np.trace(sigma_a) + np.trace(sigma_b) - 2 * shared))


def _root(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric square root of a covariance matrix."""
    values, vectors = np.linalg.eigh(sigma)
    return np.asarray(vectors * np.sqrt(values.clip(0)) @ vectors.T)
