"""Two numbers of many: codes projected by PCA, UMAP or t-SNE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import MissingPackageError
from narrows.model.artefacts.pca import PrincipalComponents

__all__ = ["PROJECTIONS", "project"]


def project(codes: NDArray[Any], by: str, seed: int) -> NDArray[np.float64]:
    """Return codes (n, d) in two dimensions, shape (n, 2).

    Parameters
    ----------
    codes : ndarray of shape (n, d)
        The codes.
    by : str
        One of `PROJECTIONS`.
    seed : int
        Seed of UMAP and t-SNE; PCA needs none.

    Raises
    ------
    MissingPackageError
        If the package of a projection is not installed.
    """
    return np.asarray(PROJECTIONS[by](codes, seed), np.float64)


def _pca(codes: NDArray[Any], seed: int) -> NDArray[Any]:
    components = PrincipalComponents.fit(codes, 2, seed=0).encode(codes)
    return np.pad(components, ((0, 0), (0, 2 - components.shape[1])))


def _umap(codes: NDArray[Any], seed: int) -> NDArray[Any]:
    """Return UMAP with its usual settings (McInnes, Healy and Melville 2018)."""
    try:
        from umap import UMAP
    except ModuleNotFoundError as error:
        raise _missing("UMAP", "umap-learn") from error
    n_neighbours = min(15, len(codes) - 1)
    found: NDArray[Any] = UMAP(n_neighbors=n_neighbours, random_state=seed, n_jobs=1).fit_transform(codes)
    return found


def _tsne(codes: NDArray[Any], seed: int) -> NDArray[Any]:
    """Return t-SNE with the usual settings of openTSNE (van der Maaten and Hinton 2008; Poličar et al. 2019)."""
    try:
        from openTSNE import TSNE
    except ModuleNotFoundError as error:
        raise _missing("t-SNE", "openTSNE") from error
    perplexity = min(30.0, (len(codes) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, random_state=seed).fit(np.asarray(codes, np.float64)))


def _missing(method: str, package: str) -> MissingPackageError:
    return MissingPackageError(
        f"Maps by {method} need {package}. To install it: pip install 'narrows[maps]'", name=package
    )


PROJECTIONS: dict[str, Callable[[NDArray[Any], int], NDArray[Any]]] = {"pca": _pca, "umap": _umap, "tsne": _tsne}
"""The projections by name; those but the first need packages of ``narrows[maps]``."""
