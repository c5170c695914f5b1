"""Fitting the weights of a pass: least squares on a sample, in which values far off count little.

Errors cost bits in proportion to their logarithm, so each equation has the weight 1 / (error² + c²), where c is the
median error (iteratively reweighted least squares). The values before a value in its own pass are not known yet, except
for their targets: the rounding errors that they will have are added to the diagonal of the normal equations. Only
encoders fit; the result is integers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.fields.interpolation import Targets, Weights, mirrored, settings_of
from narrows.codec.fields.passes import N_AXES, Offset, Pass, Stencil
from narrows.numerics.randomness import Stream, rng

__all__ = ["UNIT_BITS", "fit_weights", "fixed_weights", "rounding_variance"]

UNIT_BITS = 7
"""Stored weights are multiples of 2^7 units."""

_ITERATIONS = 3
_RIDGE = 1e-7
_WEIGHT_BITS = 7.0  # the approximate cost of a weight
_MOST_WEIGHT = 1 << 12  # in multiples of 2^7 units
_CUBIC = -4096
_FEWEST = 4  # samples for each weight


def fixed_weights(part: Pass, size: int) -> Weights:
    """Return the mean of the nearest pair (size 0), or the cubic polynomial through the nearest two pairs (size 1)."""
    stencil = part.stencil(size)
    pairs = np.zeros(len(stencil.pairs), np.int64)
    if size:
        pairs[1] = _CUBIC
    return Weights(size, pairs, np.zeros(len(stencil.before), np.int64))


def fit_weights(
    part: Pass,
    shape: tuple[int, int, int, int],
    values: NDArray[np.int64],
    targets: Targets,
    step: int,
    *,
    largest: int,
    n_sample: int,
    variance: float,
) -> Weights:
    """Return the weights that predict a pass in nearly the fewest bits.

    Parameters
    ----------
    part : Pass
        The pass.
    shape : tuple of int
        The shape of a record, with four axes.
    values : ndarray of shape (m, V), int64
        The values that are known before the pass.
    targets : Targets
        The values to be encoded.
    step : int
        The step.
    largest : int
        The size of the largest stencil: 1 for fixed weights only, 2 or 3.
    n_sample : int
        The size of the sample.
    variance : float
        The mean squared rounding error that the values of this pass will probably have.
    """
    record, place, strides = sample_of(part, shape, len(values), n_sample)
    kept = ~targets.skipped[record, strides @ place]
    record, place = record[kept], np.ascontiguousarray(place[:, kept])
    best = fixed_weights(part, 0)
    if not len(record):
        return best
    stencil = part.stencil(largest)
    columns = _columns(part, shape, (values, targets), (record, place), stencil)
    near, gap, columns = columns[0], columns[1], columns[2:]
    wanted = targets.values[record, strides @ place].astype(np.float64) - (near + gap / 2)
    n = len(values) * part.n_values

    def bits(errors: NDArray[np.float64], noise: float = 0.0) -> float:
        return float(np.log2(1 + np.sqrt(errors**2 + noise) / step).mean() * n)

    fewest, cubic = bits(wanted), bits(wanted - columns[0] * (_CUBIC / (1 << 16)))
    if cubic < fewest:
        best, fewest = fixed_weights(part, 1), cubic
    if largest > 1 and len(wanted) >= _FEWEST * len(columns):
        n_pairs = len(stencil.pairs)
        noise = np.zeros(len(columns))
        noise[n_pairs - 1 :] = 4 * variance
        found = _solved(columns, wanted, noise, step)
        units = np.clip(np.rint(found * (1 << (16 - UNIT_BITS))), -_MOST_WEIGHT, _MOST_WEIGHT).astype(np.int64)
        units <<= UNIT_BITS
        used = units / (1 << 16)
        if bits(wanted - used @ columns, float(used**2 @ noise)) + _WEIGHT_BITS * len(units) < fewest:
            best = Weights(largest, np.append(0, units[: n_pairs - 1]), units[n_pairs - 1 :].copy())
    return best


def rounding_variance(
    part: Pass, shape: tuple[int, int, int, int], values: NDArray[np.int64], targets: Targets, n_sample: int
) -> float:
    """Return the mean squared rounding error of the coded values of a pass, of a sample."""
    record, place, strides = sample_of(part, shape, len(values), n_sample)
    index = strides @ place
    kept = ~targets.skipped[record, index]
    record, index = record[kept], index[kept]
    errors = targets.values[record, index] - values[record, index]
    return float(np.mean(errors.astype(np.float64) ** 2)) if len(record) else 0.0


def sample_of(
    part: Pass, shape: tuple[int, ...], n_records: int, most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return records (n,) and places (4, n) of some values of a pass, in units of the stride, and the strides (4,)."""
    strides = np.array([part.stride * math.prod(shape[axis + 1 :]) for axis in range(N_AXES)])
    n = n_records * part.n_values
    picked = np.arange(n)
    if n > most:
        picked = rng(n, Stream.FIELD_SAMPLE).integers(0, n, most)
    record, *places = np.unravel_index(picked, (n_records, *part.counts))
    place = np.stack(places) * np.array(part.spacing)[:, None] + np.array(part.first)[:, None]
    return np.asarray(record, np.int64), place.astype(np.int64), strides


def _columns(
    part: Pass,
    shape: tuple[int, int, int, int],
    known: tuple[NDArray[np.int64], Targets],
    at: tuple[NDArray[np.int64], NDArray[np.int64]],
    stencil: Stencil,
) -> NDArray[np.float64]:
    """Return the first of the nearest neighbours, the other minus it, and what each weight multiplies, all (…, n)."""
    (record, place), (values, targets) = at, known
    floats = targets.values if targets.values.dtype == np.float64 else targets.values.astype(np.float64)
    if kernels.compiled is not None:
        columns = np.empty((1 + len(stencil.pairs) + len(stencil.before), len(record)))
        settings = settings_of(part, shape, 1, -1, 1)
        offsets = (np.array(stencil.pairs, np.int8), np.array(stencil.before, np.int8))
        kernels.compiled.neighbours(settings, values, floats, targets.skipped, record, place, *offsets, columns)
        return columns
    grid = np.array([(length - 1) // part.stride for length in shape])[:, None]
    strides = np.array([part.stride * math.prod(shape[axis + 1 :]) for axis in range(N_AXES)])
    first = np.array(part.first)[:, None]

    def pair(places: NDArray[np.int64], offset: Offset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        moved = np.array(offset)[:, None]
        one, two = (values[record, strides @ mirrored(places + sign * moved, grid)] for sign in (1, -1))
        return one.astype(np.float64), (two - one).astype(np.float64)

    near, gap = pair(place, stencil.pairs[0])
    found = [near, gap]
    for offset in stencil.pairs[1:]:
        one, apart = pair(place, offset)
        found.append(2 * (one - near) + apart - gap)
    for offset in stencil.before:
        moved = place + np.array(offset)[:, None]
        inside = ((moved >= first) & (moved <= grid)).all(0)
        moved = np.where(inside, moved, place)
        index = strides @ moved
        one, apart = pair(moved, stencil.pairs[0])
        deviation = 2 * (floats[record, index] - one) - apart
        found.append(np.where(inside & ~targets.skipped[record, index], deviation, 0.0))
    return np.stack(found)


def _solved(
    columns: NDArray[np.float64], wanted: NDArray[np.float64], noise: NDArray[np.float64], step: int
) -> NDArray[np.float64]:
    """Return the solution of reweighted least squares, given the variance of the noise of each column (k, n)."""
    scale = max(float(np.abs(columns).max()), float(np.abs(wanted).max()), 1.0)
    columns, wanted, noise = columns / scale, wanted / scale, noise / scale / scale
    weights: NDArray[Any] = np.ones(len(wanted))
    solution = np.zeros(len(columns))
    diagonal = np.diag_indices(len(columns))
    for _ in range(_ITERATIONS):
        weighted = columns * weights
        matrix = weighted @ columns.T
        matrix[diagonal] += _RIDGE * (np.trace(matrix) / len(matrix)) + noise * weights.sum() + 1e-300
        try:
            solution = np.linalg.solve(matrix, weighted @ wanted)
        except np.linalg.LinAlgError:
            return np.zeros(len(columns))
        errors = np.abs(wanted - solution @ columns)
        scatter = max(float(np.median(errors)), step / 2 / scale)
        weights = np.asarray(scatter**2 / (errors**2 + scatter**2), np.float64)
    return solution
