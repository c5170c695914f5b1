"""Fitting the weights of a pass: least squares on a sample, in which values far off count little.

Errors cost bits in proportion to their logarithm, so each equation has the weight 1 / (error² + c²), where c is the
median error (iteratively reweighted least squares). Only encoders fit; the result is integers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.interpolation import Targets, Weights, mirrored
from narrows.codec.fields.passes import N_AXES, Offset, Pass

__all__ = ["UNIT_BITS", "fit_weights", "fixed_weights"]

UNIT_BITS = 7
"""Stored weights are multiples of 2^7 units."""

_MOST_SAMPLE, _ITERATIONS = 6144, 4
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
    part: Pass, shape: tuple[int, ...], values: NDArray[np.int64], targets: Targets, step: int, largest: int
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
    """
    sample = _Sample(part, shape, values, targets, step)
    best, fewest = fixed_weights(part, 0), sample.bits(sample.middle)
    if not len(sample.wanted):
        return best
    cubic = fixed_weights(part, 1)
    bits = sample.bits(sample.middle + sample.columns(cubic)[0] * (_CUBIC / (1 << 16)))
    if bits < fewest:
        best, fewest = cubic, bits
    if largest > 1:
        stencil = part.stencil(largest)
        columns = sample.columns(fixed_weights(part, largest), stencil.before)
        if len(sample.wanted) >= _FEWEST * len(columns):
            found = _solved(np.stack(columns, 1), sample.wanted - sample.middle, step)
            units = np.clip(np.rint(found * (1 << (16 - UNIT_BITS))), -_MOST_WEIGHT, _MOST_WEIGHT).astype(np.int64)
            units <<= UNIT_BITS
            predicted = sample.middle + np.stack(columns, 1) @ (units / (1 << 16))
            if sample.bits(predicted) + _WEIGHT_BITS * len(units) < fewest:
                n_pairs = len(stencil.pairs)
                best = Weights(largest, np.append(0, units[: n_pairs - 1]), units[n_pairs - 1 :].copy())
    return best


class _Sample:
    """Some values of a pass, with their neighbours."""

    def __init__(
        self, part: Pass, shape: tuple[int, ...], values: NDArray[np.int64], targets: Targets, step: int
    ) -> None:
        self._part, self._values, self._step = part, values, step
        self._targets = targets.values
        self._n = values.shape[0] * part.n_values
        self._grid = np.array([(length - 1) // part.stride for length in shape])[:, None]
        self._strides = [part.stride * math.prod(shape[axis + 1 :]) for axis in range(N_AXES)]
        self._random = np.random.default_rng(part.n_values)
        picked = np.arange(self._n)
        if self._n > _MOST_SAMPLE:
            picked = np.unique(self._random.integers(0, self._n, _MOST_SAMPLE))
        record, *places = np.unravel_index(picked, (len(values), *part.counts))
        self._first = np.array(part.first)[:, None]
        self._spacing = np.array(part.spacing)[:, None]
        place = np.stack(places) * self._spacing + self._first
        kept = ~targets.skipped[record, self._index(place)]
        self._place, self._record = place[:, kept], record[kept]
        self.wanted = self._targets[self._record, self._index(self._place)].astype(np.float64)
        nearest = part.stencil(0).pairs[0]
        self._near, self._gap = self._pair(self._place, nearest)
        self.middle = self._near + self._gap / 2

    def bits(self, predicted: NDArray[np.float64]) -> float:
        """Return the approximate number of bits of all values of the pass, given predictions of the sample."""
        if not len(self.wanted):
            return 0.0
        return float(np.log2(1 + np.abs(self.wanted - predicted) / self._step).mean() * self._n)

    def columns(self, weights: Weights, before: tuple[Offset, ...] = ()) -> list[NDArray[np.float64]]:
        """Return what the weights multiply: one column for each pair except the first, and each neighbour before."""
        stencil = self._part.stencil(weights.size)
        found = []
        for offset in stencil.pairs[1:]:
            near, gap = self._pair(self._place, offset)
            found.append(2 * (near - self._near) + gap - self._gap)
        for offset in before:
            moved = self._place + np.array(offset)[:, None]
            inside = ((moved >= self._first) & (moved <= self._grid)).all(0)
            moved = np.where(inside, moved, self._place)
            near, gap = self._pair(moved, stencil.pairs[0])
            value = self._targets[self._record, self._index(moved)].astype(np.float64)
            if self._step > 1:  # the rounding errors that these values will have
                value = value + self._random.uniform(-self._step / 2, self._step / 2, len(value))
            deviation = 2 * (value - near) - gap
            found.append(np.where(inside & np.isfinite(deviation), deviation, 0.0))
        return found

    def _pair(self, place: NDArray[np.int64], offset: Offset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return one neighbour of a pair, and the other minus this one."""
        moved = np.array(offset)[:, None]
        one, two = (
            self._values[self._record, self._index(mirrored(place + sign * moved, self._grid))] for sign in (1, -1)
        )
        return one.astype(np.float64), (two - one).astype(np.float64)

    def _index(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(np.tensordot(self._strides, place, 1))


def _solved(columns: NDArray[np.float64], wanted: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Return the solution of reweighted least squares."""
    weights = np.ones(len(wanted))
    solution = np.zeros(columns.shape[1])
    scale = max(float(np.abs(columns).max()), float(np.abs(wanted).max()), 1.0)
    columns, wanted = columns / scale, wanted / scale
    for _ in range(_ITERATIONS):
        weighted = columns * weights[:, None]
        matrix = columns.T @ weighted
        matrix[np.diag_indices_from(matrix)] += _RIDGE * (np.trace(matrix) / len(matrix)) + 1e-300
        try:
            solution = np.linalg.solve(matrix, weighted.T @ wanted)
        except np.linalg.LinAlgError:
            return np.zeros(columns.shape[1])
        errors = np.abs(wanted - columns @ solution)
        scatter = max(float(np.median(errors)), step / 2 / scale)
        weights = scatter**2 / (errors**2 + scatter**2)
    return solution
