"""Fitting a linear predictor to a chunk: weights by trimmed least squares, raw bits, and error distributions by bin.

`fit_linear` fits in this order: the weights of each pattern of neighbours; the number of noisy low bits of a step; the
scale, share and spread of each bin of activity; the window, outside which values are escaped.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.codec.residual.contract import MOST_COARSE, MOST_RAW_BITS, Lattice
from narrows.codec.residual.linear import N_BINS, SHARES, SHIFT, SPREADS, WINDOWS, Linear, LinearRun, inputs_of
from narrows.codec.residual.mixture import N_SCALES, PRECISION, SIXTEENTHS, TOTAL
from narrows.codec.residual.neighbours import Pattern, patterns_of

__all__ = ["fit_linear"]

_FIT_VALUES = 1 << 16  # of each pattern
_MOST_WEIGHT = 1 << 21
_RIDGE = 1e-6
_TRIM_VALUES = 1 << 14
_REFITS, _FAR_OFF, _MOST = 4, 4, 0.9  # refits without errors that exceed four times their 0.9 quantile
_LEAST_BITS = 3  # fractional bits of weights; half a bit more for each doubling of the number of values
_NOISE_RECORDS = 256  # size of the sample that determines the raw bits
_ESCAPE_BITS = 24  # approximate cost of an escape beyond that of an unlikely value
_IN_STEPS = 4  # raw bits for which a sixteenth of a coarse step is a step
_MOST_TYPICAL = 256  # low bits are stored raw if typical errors exceed this many steps


def fit_linear(shape: tuple[int, ...], lattice: Lattice, values: NDArray[np.int64]) -> tuple[Linear, Lattice]:
    """Return the predictor that codes values (V, n) in nearly the fewest bits, and the lattice with its raw bits.

    The fit uses floats; the result is integers.

    Parameters
    ----------
    shape : tuple of int
        Shape of a record.
    lattice : Lattice
        The lattice without raw bits; their number is chosen here, larger for noisier values.
    values : ndarray of shape (V, n), int64
        The values y to be coded.
    """
    weights = [_fit_weights(pattern, lattice, values) for pattern in patterns_of(shape)]
    start = Linear(shape, weights, np.zeros(N_BINS, np.uint8), np.zeros(N_BINS, np.uint8), 0)
    lattice = replace(lattice, raw_bits=_raw_bits(start, lattice, values))
    errors, bins = start.start(lattice).errors(values)
    scales, kinds = _fit_bins(errors, bins)
    # A wide window takes frequency from all values; a narrow one has more escapes.
    steps = np.abs(errors) // SIXTEENTHS
    escapes = np.array([np.count_nonzero(steps >= size // 2 - 1) for size in WINDOWS])
    lacking = -np.log2(1 - np.array(WINDOWS) / (1 << PRECISION))
    window = int(np.argmin(steps.size * lacking + escapes * _ESCAPE_BITS))
    return Linear(shape, weights, scales, kinds, window), lattice


def _fit_weights(pattern: Pattern, lattice: Lattice, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the least-squares weights as integers: those of the inputs, then the constant."""
    n = values.shape[1]
    positions = pattern.positions
    per_record = max(1, min(len(positions), _FIT_VALUES // max(n, 1)))
    positions = positions[np.linspace(0, len(positions) - 1, per_record).astype(np.int64)]
    records = slice(None, None, -(-n * per_record // _FIT_VALUES))
    some = replace(lattice, anchors=lattice.anchors[:, records])
    sample = values[:, records]
    inputs = [x.ravel().astype(np.float64) for x in inputs_of(pattern, some, sample, positions)]
    target = sample[positions].ravel().astype(np.float64)
    if not inputs:
        return np.array([_whole(np.median(target))], np.int64)
    if len(inputs) == 1:
        return np.array([0, _whole(np.median(target - inputs[0]))], np.int64)
    x = np.ones((len(target), len(inputs)))
    for number, other in enumerate(inputs[1:]):
        np.subtract(other, inputs[0], out=x[:, number])
    y = target - inputs[0]
    scale = max(float(np.abs(x[:, :-1]).max(initial=0)), 1.0)
    x[:, :-1] /= scale
    solved = _trimmed_least_squares(x, y)
    solved[:-1] /= scale
    # Weights fitted to few values are not accurate enough to justify many bits.
    coarse = 1 << max(0, SHIFT - _LEAST_BITS - math.ceil(math.log2(len(y)) / 2))
    whole = _whole(solved)
    whole[:-1] = np.clip((whole[:-1] + coarse // 2) // coarse * coarse, -_MOST_WEIGHT, _MOST_WEIGHT)
    return np.concatenate([[0], whole])


def _trimmed_least_squares(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return w with the least Σ (y - x w)², without outliers, which are identified on a sample; overwrites x and y.

    The squares of outliers (edges of missing values, fronts, NaNs as bits) would outweigh those of all other values.
    """
    sample = slice(None, None, -(-len(y) // _TRIM_VALUES))
    some_x, some_y = x[sample].copy(), y[sample].copy()
    solved = _least_squares(some_x, some_y)
    near = np.ones(len(some_y), bool)  # rows of the last fit
    for _ in range(_REFITS):
        before, near = near, ~_is_far(some_x, some_y, solved)
        if np.array_equal(near, before):
            break
        solved = _least_squares(some_x[near], some_y[near])
    far = _is_far(x, y, solved)
    if len(some_y) == len(y) and near.all() and not far.any():
        return solved
    x[far], y[far] = 0, 0  # removes the rows from the sums, without copying the others
    return _least_squares(x, y)


def _is_far(x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    off = np.abs(y - x @ weights)
    most = int(_MOST * (len(off) - 1))
    return np.asarray(off > _FAR_OFF * np.partition(off, most)[most])


def _least_squares(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return w with the least Σ (y - x w)² plus a small ridge penalty."""
    gram = x.T @ x
    diagonal = gram.reshape(-1)[:: len(gram) + 1]
    diagonal += _RIDGE * max(float(diagonal.sum()) / len(gram), 1e-12)
    return np.asarray(np.linalg.solve(gram, x.T @ y), np.float64)


def _whole(weights: ArrayLike) -> NDArray[np.int64]:
    """Return weights as integers in units of 2^-16, clipped to ±2^61."""
    return np.clip(np.rint(np.asarray(weights, np.float64) * 2.0**SHIFT), -(2.0**61), 2.0**61).astype(np.int64)


def _raw_bits(model: Linear, lattice: Lattice, values: NDArray[np.int64]) -> int:
    """Return the number of noisy low bits of the steps: without them, typical errors are at most some hundreds."""
    if (lattice.highest - lattice.lowest) // lattice.step <= 4 * _MOST_TYPICAL:
        return 0
    some = slice(None, None, -(-values.shape[1] // _NOISE_RECORDS))
    sample = replace(lattice, anchors=lattice.anchors[:, some], raw_bits=_IN_STEPS)
    errors, _ = LinearRun(model, sample).errors(values[:, some])
    typical = float(np.quantile(np.abs(errors.astype(np.float64)), 0.75))
    most = min(MOST_RAW_BITS, MOST_COARSE.bit_length() - 1 - lattice.step.bit_length())
    return min(max(0, math.ceil(math.log2(max(typical, 1) / _MOST_TYPICAL))), most)


def _fit_bins(errors: NDArray[np.int64], bins: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the scale and the kind of each bin that minimise the cost of errors.

    Both arguments have the shape (V, n); errors are in sixteenths of a coarse step.
    """
    # Classes of errors by magnitude: each sixteenth up to 8 steps, then eighths of an octave. Sixteenths matter: under
    # a narrow distribution a value half a step from the mean is much less likely than one at the mean.
    edges = np.unique(np.concatenate([np.arange(128), np.rint(2.0 ** np.arange(7, 44, 0.125))])).astype(np.int64)
    some = slice(None, None, -(-errors.size // _FIT_VALUES))
    classes = np.searchsorted(edges, np.abs(errors.ravel()[some]), side="right") - 1
    counts = np.bincount(bins.ravel()[some].astype(np.int64) * len(edges) + classes, minlength=N_BINS * len(edges))
    counts = counts.reshape(N_BINS, len(edges)).astype(np.float64)
    used, met = counts.any(1), counts.any(0)  # empty bins and classes are skipped
    edges, counts = edges[met], counts[np.ix_(used, met)]
    widths = 2.0 ** (np.arange(N_SCALES) / 4 - 2)  # in sixteenths of a step
    half = SIXTEENTHS / 2

    def below(at: float) -> NDArray[np.float64]:
        """Return the cumulative distribution at a point, for each scale and each magnitude of errors."""
        return np.asarray(1 / (1 + np.exp(-np.clip((at - edges) / widths[:, None], -700, 700))))

    narrow = below(half) - below(-half)
    costs = []
    for spread in SPREADS:
        wide = narrow[np.minimum(np.arange(N_SCALES) + spread, N_SCALES - 1)]
        for share in SHARES:
            chance = (1 - share / TOTAL) * narrow + share / TOTAL * wide
            costs.append(-np.log2(chance * (1 - 2.0**-8) + 2.0**-16) @ counts.T)  # (scales, bins)
    best = np.zeros(N_BINS, np.int64)
    best[used] = np.argmin(np.concatenate(costs), 0)
    return (best % N_SCALES).astype(np.uint8), (best // N_SCALES).astype(np.uint8)
