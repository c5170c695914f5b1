"""Principal components of preprocessed records, where a linear path starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from narrows.threads import one_blas_thread

__all__ = ["Components", "components_of"]

_MOST_VALUES = 2**25  # that are looked at: 128 MiB as float32; of larger data, every so many-th record
_NO_VARIANCE = 1e-6  # of the largest deviation: a number of the code that varies less is not scaled


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of records of d values.

    Attributes
    ----------
    mean : Tensor of shape (d,)
        Mean record.
    directions : Tensor of shape (k, d)
        Orthonormal, the largest variance first; fewer than asked for where the data allow no more.
    deviations : Tensor of shape (k,)
        Standard deviations of the records along them.
    deviation : float
        Root of the mean variance of a value; 1 where nothing varies.
    """

    mean: Tensor
    directions: Tensor
    deviations: Tensor
    deviation: float

    @property
    def scales(self) -> Tensor:
        """What one unit of each number of the code is worth, (k,): its deviation, or 1 where it hardly varies."""
        varies = self.deviations > _NO_VARIANCE * self.deviations.max()
        return torch.where(varies, self.deviations, torch.ones_like(self.deviations))


def components_of(batches: Callable[[], Iterable[Tensor]], n_components: int) -> Components:
    """Return the principal components of records.

    Parameters
    ----------
    batches : callable
        One pass over the records, each call a new one: floats of shape (n, *shape).
    n_components : int
        How many, at most.

    Notes
    -----
    On one thread: with another number of them, sums would end in other bits, and training would start elsewhere.
    """
    from sklearn.decomposition import PCA

    n_values = sum(batch.numel() for batch in batches())
    every = -(-n_values // _MOST_VALUES)
    x = np.concatenate([batch[::every].flatten(1).cpu().numpy() for batch in batches()])
    mean = x.mean(axis=0, dtype=np.float64)
    x = (x - mean).astype(np.float32)
    with one_blas_thread(), np.errstate(invalid="ignore", divide="ignore"):  # one record, or equal ones
        pca = PCA(min(n_components, *x.shape), random_state=0).fit(x)
        deviations = (x @ pca.components_.T.astype(np.float32)).std(axis=0, dtype=np.float64)
    total = float(np.square(x, dtype=np.float64).mean())
    directions = torch.from_numpy(pca.components_.astype(np.float64))
    return Components(torch.from_numpy(mean), directions, torch.from_numpy(deviations), math.sqrt(total) or 1.0)
