"""The squared errors of records that a chain restores, batch by batch in bounded memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.data.fill import is_fill
from narrows.model.inference import Labels, reconstruct
from narrows.numerics.batches import batch_size

__all__ = ["n_known", "squared_errors", "summed"]

_BATCH = 4096


def squared_errors(
    chain: Chain, values: NDArray[np.generic], labels: Labels = None, *, per_value: bool
) -> NDArray[np.float64]:
    """Return the squared errors of restored records (n, *shape) in the squared units of the data.

    The decoder's output is neither clipped nor rounded to the dtype of the data.

    Parameters
    ----------
    chain : Chain
        A trained chain.
    values : ndarray of shape (n, *shape)
        The records in their stored dtype.
    labels : ndarray of int, shape (n,), optional
        Their classes, for a conditional chain.
    per_value : bool
        Whether the error of each value is returned, (n, *shape), with NaN for missing values; otherwise the sum over
        the values of each record that are not missing, (n,), which is NaN if all are.
    """
    fill_value = chain.parts.fill_value
    errors = np.empty(values.shape if per_value else len(values))
    size = batch_size(chain.shape, _BATCH)
    for start in range(0, len(values), size):
        rows = slice(start, start + size)
        x_hat = reconstruct(chain, values[rows], None if labels is None else labels[rows])
        with np.errstate(over="ignore"):
            of_values = np.square(values[rows].astype(np.float64) - x_hat)
        if fill_value is not None:
            of_values[is_fill(values[rows], fill_value)] = np.nan
        errors[rows] = of_values if per_value else summed(of_values)
    return errors


def summed(of_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over the values of each record (n, *shape), shape (n,), without those that are NaN.

    It is NaN for a record whose values are all NaN: nothing is known of it.
    """
    flat = of_values.reshape(len(of_values), -1)
    with np.errstate(over="ignore"):
        return np.where(np.isnan(flat).all(axis=1), np.nan, np.nansum(flat, axis=1))


def n_known(chain: Chain, values: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return how many values of each record (n, *shape) are not missing, shape (n,)."""
    fill_value, n_values = chain.parts.fill_value, math.prod(chain.shape)
    known = np.full(len(values), n_values)
    size = batch_size(chain.shape, _BATCH)
    for start in range(0, len(values) if fill_value is not None else 0, size):
        missing = is_fill(values[start : start + size], fill_value)  # type: ignore[arg-type]
        known[start : start + size] -= missing.reshape(len(missing), -1).sum(axis=1)
    return known
