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
    def fit(cls, values: NDArray[Any], n_components: int, seed: int) -> PrincipalComponents:
        """Fit to records (n, *shape); fewer components come out where n or d allow no more."""
        from sklearn.decomposition import PCA

        n, d = len(values), math.prod(values.shape[1:])
        if n * d > _MOST_VALUES:
            drawn = np.random.default_rng(seed).choice(n, max(_MOST_VALUES // d, 2), replace=False)
            values = values[np.sort(drawn)]
        x = values.reshape(len(values), d).astype(np.float32)
        pca = PCA(n_components=min(n_components, *x.shape), random_state=seed).fit(x)
        return cls(pca.mean_.astype(np.float32), pca.components_.astype(np.float32))

    def encode(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return the codes (n, k) of records (n, *shape)."""
        return (values.reshape(len(values), -1).astype(np.float32) - self.mean) @ self.components.T

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Return the flat records (n, d) of codes (n, k)."""
        restored = codes.astype(np.float32) @ self.components + self.mean
        return restored.astype(np.float32, copy=False)
