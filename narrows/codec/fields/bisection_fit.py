"""Choosing how values are bisected: which values can occur, and what predicts them. Only encoders use it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.bisection import Prediction
from narrows.codec.fields.forms import MOST_DECIMAL_DIGITS, Form, Numbering

__all__ = ["WEIGHT_BITS", "forms_of", "period_of", "predictions_of", "weights_of_channels"]

WEIGHT_BITS = 7
"""Stored weights are multiples of 2^7 units of 2^-16."""

_MOST_WEIGHT = 1 << 13
_FEW_LEVELS = 1 << 16
_PER_LEVEL = 4  # values for each level, at least
_NEAR = (0, 2, 3, 4, 5, 6, 8)  # lags; 0 is the level
_ITERATIONS = 4
_BITS_PER_LAG = 20
_LEAST_GAIN = 0.02  # bits a value, from which a modulus is tried
_MOST_MODULUS = 20_000
_LEAST_PERIOD, _LEAST_CORRELATION, _AS_HIGH = 5, 0.1, 0.92


def forms_of(values: NDArray[np.int64]) -> list[Form]:
    """Return forms in which values can be numbered, the plainest first."""
    lowest, highest = int(values.min()), int(values.max())
    factor = int(np.gcd.reduce(values - lowest)) or 1
    found = [Form(Numbering.EVEN, (highest - lowest) // factor + 1, lowest, factor)]
    modulus = _modulus(values)
    if modulus > 1:
        offset = lowest - lowest % modulus
        found.append(Form(Numbering.EVEN, highest - offset + 1, offset, 1, modulus))
    levels = np.unique(values)
    if len(levels) * _PER_LEVEL <= len(values) and len(levels) <= _FEW_LEVELS:
        found.append(Form(Numbering.LEVELS, len(levels), levels=levels))
    digits = _significant_digits(values)
    if digits <= MOST_DECIMAL_DIGITS and max(-lowest, highest) > 10**digits:
        numbers = Form(Numbering.DIGITS, 1, digits=digits).numbers(np.array([lowest, highest]))
        found.append(Form(Numbering.DIGITS, int(numbers[1] - numbers[0]) + 1, int(numbers[0]), digits=digits))
    return found


def _modulus(values: NDArray[np.int64]) -> int:
    """Return the product of powers of 2 and 5 whose remainders differ most in frequency; 1 if they hardly do."""
    best, span, n = (_LEAST_GAIN, 1), int(np.ptp(values)), len(values)
    for candidate in sorted({2**i * 5**j for i in range(7) for j in range(7)} - {1}):
        if 4 * candidate > span or candidate > _MOST_MODULUS:
            continue
        counts = np.unique(values % candidate, return_counts=True)[1] / n
        entropy = -float((counts * np.log2(counts)).sum())
        cost = len(counts) * (math.log2(n) / 2 + math.log2(candidate)) / n
        best = max(best, (math.log2(candidate) - entropy - cost, candidate))
    return best[1]


def _significant_digits(values: NDArray[np.int64]) -> int:
    """Return the most digits of a value without the zeros at its end."""
    left = np.abs(values)
    while (ends := (left % 10 == 0) & (left > 0)).any():
        left = np.where(ends, left // 10, left)
    return len(str(int(left.max())))


def predictions_of(values: NDArray[np.int64], bases: NDArray[np.int64]) -> list[Prediction]:
    """Return predictions of values, the one that probably takes the fewest bits first.

    Parameters
    ----------
    values : ndarray of shape (n,), int64
        The values.
    bases : ndarray of shape (n,), int64
        What other channels predict of them; empty if there are none.
    """
    period = period_of(values)
    left = values - bases if len(bases) else values
    level = int(np.sort(left)[len(left) // 2])
    seasonal = (*_NEAR, period - 1, period, period + 1, 2 * period) if period > max(_NEAR) + 1 else ()
    found: list[tuple[float, Prediction]] = []
    for lags in ((), _NEAR, seasonal):
        if lags or not found:
            bits, weights = _fitted(left, level, lags)
            found.append((bits, Prediction(level, period, np.array(lags, np.int64), weights, bases)))
    found.sort(key=lambda one: one[0])
    return [prediction for _, prediction in found]


def period_of(values: NDArray[np.int64]) -> int:
    """Return the number of steps after which values resemble each other, by their autocorrelation; 0 if unknown."""
    floats = values - values.mean()
    n = len(floats)
    if n < 64 or not floats.any():
        return 0
    spectrum = np.fft.rfft(floats, 2 * n)
    sums = np.fft.irfft(spectrum * spectrum.conj())[: n // 2]
    correlation = sums / np.arange(n, n - n // 2, -1)
    correlation /= correlation[0]
    low = correlation < correlation[1:].max() / 2
    start = max(int(np.argmax(low)) if low.any() else 2, _LEAST_PERIOD - 1)
    later = correlation[start:]
    if len(later) < 3 or later.max() < _LEAST_CORRELATION:
        return 0
    is_peak = (later[1:-1] >= later[:-2]) & (later[1:-1] >= later[2:]) & (later[1:-1] > _AS_HIGH * later.max())
    return start + (int(np.argmax(is_peak)) + 1 if is_peak.any() else int(np.argmax(later)))


def weights_of_channels(
    values: NDArray[np.int64], others: NDArray[np.float64], *, by_changes: bool
) -> NDArray[np.float64]:
    """Return the weights (k,) with which other channels (k, n) predict values (n,).

    Parameters
    ----------
    by_changes : bool
        Whether the changes of values are predicted from those of the others and from preceding values. Otherwise the
        values themselves are predicted.
    """
    first, lags = (max(_NEAR), _NEAR[1:]) if by_changes else (0, ())
    if len(values) - first < 4 * (len(lags) + len(others)):
        return np.zeros(len(others))
    if by_changes:
        columns, wanted = _columns(values.astype(np.float64), 0, lags, first)
        others = np.diff(others, axis=1)[:, first - 1 :]
    else:
        columns, wanted = np.ones((1, len(values))), values.astype(np.float64) - float(values[0])
    scales = np.abs(others).mean(axis=1) + 1e-9
    scale = float(np.abs(wanted).mean()) + 1e-9
    matrix = np.concatenate([columns / scale, others / scales[:, None]])
    found: NDArray[np.float64] = _solved(matrix, wanted / scale)[len(columns) :] * scale / scales
    return found


def _fitted(values: NDArray[np.int64], level: int, lags: tuple[int, ...]) -> tuple[float, NDArray[np.int64]]:
    """Return the approximate bits of values, and the weights of lags, by iteratively reweighted least squares."""
    start = max(lags, default=1)
    if len(values) - start < 4 * len(lags) + 1:
        return math.inf, np.zeros(len(lags), np.int64)
    matrix, wanted = _columns(values.astype(np.float64), level, lags, start)
    scale = float(np.abs(wanted).mean()) + 1e-9
    solution = _solved(matrix / scale, wanted / scale)
    units = np.clip(np.rint(solution * (1 << (16 - WEIGHT_BITS))), -_MOST_WEIGHT, _MOST_WEIGHT).astype(np.int64)
    stored = units << WEIGHT_BITS
    errors = np.abs(wanted - (stored / (1 << 16)) @ matrix)
    unit = scale * 1e-3 + 1e-9
    return float(np.log2(unit + errors).mean() * len(values)) + _BITS_PER_LAG * len(lags), stored


def _columns(
    floats: NDArray[np.float64], level: int, lags: tuple[int, ...], start: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return preceding values (lags, n), and the values, from a start on; both minus the value before."""
    last = floats[start - 1 : -1]
    columns = [(level if lag == 0 else floats[start - lag : len(floats) - lag]) - last for lag in lags]
    return np.stack(columns) if columns else np.zeros((0, len(last))), floats[start:] - last


def _solved(matrix: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the solution (k,) of wanted = solution @ matrix, with little weight for large errors."""
    n_columns = len(matrix)
    solution: NDArray[Any] = np.zeros(n_columns)
    weights: NDArray[Any] = np.ones(len(wanted))
    for _ in range(_ITERATIONS if n_columns else 0):
        weighted = matrix * weights
        normal = weighted @ matrix.T
        normal += np.eye(n_columns) * (1e-6 * np.trace(normal) / n_columns + 1e-12)
        solution = np.linalg.solve(normal, weighted @ wanted)
        relative = np.abs(wanted - solution @ matrix)
        scatter = float(np.median(relative)) + 1e-3
        weights = scatter**2 / (relative**2 + scatter**2)
    return solution
