"""Rounding of pixels to the levels of a causal network, by errors and bits together; only for encoders.

The levels of a pixel are compared by squared error + weight · bits, where the network gives the bits, pixel by pixel in
coding order (rate–distortion optimised quantisation). The archive that is written of the rounded records is lossless.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.residual.contract import Lattice
from narrows.codec.residual.mixture import PRECISION
from narrows.codec.residual.predicted import by_record, coding_order

__all__ = ["MOST_ROUNDED", "can_round", "rounded", "weight_reaching"]

MOST_ROUNDED = 16
"""The largest number of levels that are compared."""

_STEPS, _NEAR = 14, 1.01  # of the search for a weight; it ends within a percent of the squared error
_BATCH_VALUES = 1 << 21  # of records that are rounded at a time
_BITS = PRECISION - np.log2(np.maximum(np.arange(1 << PRECISION), 0.5))


def can_round(causal: FrozenCausal | None) -> bool:
    """Return whether a network has so few levels that pixels can be rounded to them."""
    return causal is not None and causal.levels is not None and len(causal.levels) <= MOST_ROUNDED


def rounded(records: NDArray[Any], causal: FrozenCausal, weight: float) -> NDArray[Any]:
    """Return records (n, *shape) with each value replaced by a level of the network.

    Parameters
    ----------
    records : ndarray of shape (n, *shape), uint8
        The records.
    causal : FrozenCausal
        A network for which `can_round` is true.
    weight : float
        How much squared error a bit is worth; 0: each value becomes the nearest level.

    Returns
    -------
    ndarray of shape (n, *shape), uint8
        The rounded records. They do not depend on the other records.
    """
    size = max(1, _BATCH_VALUES // math.prod(records.shape[1:]))
    parts = [_rounded(records[first : first + size], causal, weight) for first in range(0, len(records), size)]
    return np.concatenate(parts) if len(parts) != 1 else parts[0]


def weight_reaching(records: NDArray[Any], causal: FrozenCausal, squared: float) -> float:
    """Return the largest weight with which records have at most a mean squared error; 0 if no weight has.

    Parameters
    ----------
    records : ndarray of shape (n, *shape), uint8
        The records, at least one.
    causal : FrozenCausal
        A network for which `can_round` is true.
    squared : float
        The mean squared error that is allowed.
    """
    if squared <= 0 or _error(records, causal, 0.0) > squared:
        return 0.0
    low, high, weight = 0.0, math.inf, 2 * squared
    for _ in range(_STEPS):
        error = _error(records, causal, weight)
        low, high = (weight, high) if error <= squared else (low, weight)
        if squared / _NEAR <= error <= squared or high < low * _NEAR:
            break
        weight = 2 * low if math.isinf(high) else math.sqrt(low * high) if low else high / 4
    return low


def _error(records: NDArray[Any], causal: FrozenCausal, weight: float) -> float:
    away = records.astype(np.float64) - rounded(records, causal, weight)
    return float(np.square(away).mean())


def _rounded(records: NDArray[Any], causal: FrozenCausal, weight: float) -> NDArray[Any]:
    assert causal.levels is not None, "the network has levels"
    levels, order = causal.levels, coding_order(records.shape[1:], causal)
    values = np.ascontiguousarray(records.reshape(len(records), -1).T[order])
    squares = np.square(np.arange(256)[:, None] - levels).astype(np.float64)
    places = squares.argmin(1)[values]
    if weight > 0:
        run = causal.start(Lattice(np.zeros(values.shape, np.int64), 1, 0, len(levels) - 1, has_code=False))
        for position, of_one in enumerate(values):
            mixture, costs = run.predict(), squares[of_one].T
            for place in range(len(levels)):
                costs[place] += weight * _BITS[mixture.intervals(np.full(len(of_one), place))[1]]
            places[position] = costs.argmin(0)
            run.update(places[position])
    return by_record(levels.astype(records.dtype)[places], records.shape[1:], order)
