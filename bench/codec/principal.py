"""The principal axes of the training records, which both PCA coding and the rotated quantiser use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from measuring import Array
from numpy.typing import NDArray

__all__ = ["Axes", "flat", "principal_axes"]


@dataclass(frozen=True)
class Axes:
    """Mean (d,), axes (d, d), one a row, of falling variance, and variances (d,)."""

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    variances: NDArray[np.float64]


def flat(records: Array) -> NDArray[np.float32]:
    """Return records (n, ...) as rows (n, d), float32."""
    return records.reshape(len(records), -1).astype(np.float32)


def principal_axes(train: Array) -> Axes:
    """Return the axes of largest variance of the training records (n, ...)."""
    x = flat(train)
    mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
    x -= mean
    variances, axes = np.linalg.eigh((x.T @ x).astype(np.float64) / len(x))
    return Axes(mean, np.ascontiguousarray(axes[:, ::-1].T, dtype=np.float32), np.maximum(variances[::-1], 0))
