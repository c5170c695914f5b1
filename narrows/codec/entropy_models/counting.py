"""Counts of an autoregressive model's tables: training symbols, smoothed by the logistic prior of their context."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from narrows.codec.tables import regular_window

__all__ = ["counted_by_context"]

_PRIOR_COUNT = 32.0  # weight of a table's prior, in symbols


def counted_by_context(
    contexts: NDArray[np.int64],
    values: NDArray[np.int32],
    *,
    n_scales: int,
    n_phases: int,
    unit_scale: int,
    precision: int,
) -> tuple[list[tuple[int, NDArray[np.float64]]], NDArray[np.uint16]]:
    """Return the counts of each table, for `FrequencyTables.from_counts`, and the index of each context's table.

    A wide distribution hardly changes when it moves by a fraction of a symbol. So phases share tables from a scale of
    8/n_phases symbols on, and all phases share one table from 4 symbols on. This costs about 0.001 bits per symbol and
    saves most of the tables' bytes.

    Parameters
    ----------
    contexts, values : ndarray of shape (N,)
        The context of each training symbol, and the symbol minus its offset.
    n_scales, n_phases, unit_scale, precision : int
        As in `Autoregressive.with_tables_counted`.
    """
    counted: list[tuple[int, NDArray[np.float64]]] = []
    numbers = np.empty(n_scales * n_phases, np.uint16)
    order = np.argsort(contexts, kind="stable")
    bounds = np.searchsorted(contexts[order], np.arange(n_scales * n_phases + 1))
    grouped = values[order]
    for scale in range(n_scales):
        s = 2.0 ** ((scale - unit_scale) / 4)
        together = _phases_together(s, n_phases)
        for phase in range(0, n_phases, together):
            first = scale * n_phases + phase
            numbers[first : first + together] = len(counted)
            middle = (phase + (together - 1) / 2) / n_phases
            met = grouped[bounds[first] : bounds[first + together]]
            counted.append(_smoothed(met, middle, s, precision))
    return counted, numbers


def _phases_together(s: float, n_phases: int) -> int:
    """Return how many phases share a table at scale s: n_phases · s / 4, rounded down to a power of two."""
    together = 1
    while together < n_phases and 2 * together <= n_phases * s / 4:
        together *= 2
    return together


@lru_cache(maxsize=1024)  # the qualities of a ladder have the same tables where few values are met
def _prior(low: int, high: int, middle: float, s: float) -> NDArray[np.float64]:
    """Return the counts of the values from low to high under the prior."""
    edges = np.arange(low, high + 2) - 0.5
    cumulative = 0.5 + 0.5 * np.tanh((edges - middle) / (2 * s))
    return np.asarray(_PRIOR_COUNT * np.diff(cumulative), np.float64)


def _smoothed(met: NDArray[np.int32], middle: float, s: float, precision: int) -> tuple[int, NDArray[np.float64]]:
    """Return lowest value and counts of a table: the values met, plus the logistic prior."""
    reach = min(1 << precision, int(s * precision) + 2)  # the mass of the logistic beyond is less than e^-P
    low, high = -reach, reach + 1
    if met.size:
        # The outermost 0.05 % of values on each side do not widen the table; they are escaped.
        rare = np.quantile(met, [0.0005, 0.9995], method="nearest")
        low, high = min(low, max(int(rare[0]), -(1 << precision))), max(high, min(int(rare[1]), 1 << precision))
    weights = _prior(low, high, middle, s).copy()
    inside = met[(met >= low) & (met <= high)].astype(np.int64)
    weights += np.bincount(inside - low, minlength=len(weights))
    first, last = regular_window(weights, precision)
    escaped = _PRIOR_COUNT + met.size - weights[first:last].sum()
    return low + first, np.append(weights[first:last], max(escaped, 0.0))
