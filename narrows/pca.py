"""Principal components of the training data: the best linear autoencoder, which every model is measured against."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PrincipalComponents"]

# Values that are looked at; of larger data, so many records drawn at random.
_MOST_VALUES = 2**26


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """A fitted PCA.

    Attributes
    ----------
    mean : ndarray of shape (d,), float32
        Mean of the training records.
    components : ndarray of shape (k, d), float32
        Orthonormal directions of largest variance, in falling order.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    @classmethod
    def fit(
        cls, values: NDArray[Any], n_components: int, seed: int, *, rows: NDArray[np.int64] | None = None
    ) -> PrincipalComponents:
        """Fit to records (n, *shape), or some rows of them; components are fewer where the data allow no more."""
        from sklearn.decomposition import PCA

        rows = np.arange(len(values)) if rows is None else rows
        d = math.prod(values.shape[1:])
        if len(rows) * d > _MOST_VALUES:
            rows = np.sort(np.random.default_rng(seed).choice(rows, max(_MOST_VALUES // d, 2), replace=False))
        x = values[rows].reshape(len(rows), d).astype(np.float32)
        pca = PCA(n_components=min(n_components, *x.shape), random_state=seed).fit(x)
        return cls(pca.mean_.astype(np.float32), pca.components_.astype(np.float32))

    def encode(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return the codes (n, k) of records (n, *shape)."""
        centred = values.reshape(len(values), -1).astype(np.float32) - self.mean
        codes: NDArray[Any] = centred @ self.components.T
        return codes

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Return the flat records (n, d) of codes (n, k)."""
        restored: NDArray[Any] = codes.astype(np.float32) @ self.components + self.mean
        return restored
