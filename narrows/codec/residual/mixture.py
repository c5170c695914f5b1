"""Mixtures of logistic distributions over integers, as integer frequencies.

The distribution of a value is a mixture of K logistic distributions (Salimans et al. 2017) with integer weights, means
and scales. Every machine computes the same frequencies from them, without a table for each context. Values are counted
from the low end of a window, v = low + j; the last place of the window is the escape, for all values outside::

    d = 16 (low + j) - 8 - mean_k             the lower edge of value j, in sixteenths of a value; within ±2^24
    z_k = ⌊d · SLOPES[scale_k] / 2^16⌋        within ±2048
    F(j) = j + ⌊(2^16 - A) · Σ_k weight_k SIGMOID[2048 + z_k] / 2^31⌋          0 < j < A - 1
    F(0) = 0      F(A - 1) = 2^16 - 1      F(A) = 2^16

Value j has the start F(j) and the frequency F(j + 1) - F(j), at least 1. The mass of values outside the window is added
to its first and its last value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels

__all__ = [
    "MAX_COMPONENTS",
    "MAX_WINDOW",
    "N_SCALES",
    "PRECISION",
    "SIXTEENTHS",
    "TABLES",
    "TOTAL",
    "Mixture",
    "scale_of",
]

PRECISION = 16
"""P: frequencies sum to 2^P."""

TOTAL = 1 << 15
"""The sum of the weights of a mixture."""

SIXTEENTHS = 16
"""Means are in sixteenths of a value."""

N_SCALES = 64
"""Scale e is 2^(e/4 - 2) sixteenths of a value."""

MAX_COMPONENTS, MAX_WINDOW = 16, 1 << 13

_PER_OCTAVE, _SMALLEST = 4, -2  # scales per octave, and log2 of the smallest scale
_MOST_DISTANCE = 1 << 24
_FEW = 256  # components of the values per call up to which `finder` tabulates F
_MOST_EDGES, _MOST_HELD = (
    1 << 12,
    1 << 16,
)  # sizes of the tables of F: above the first, a coarse grid; at most the second
_HALF, _PER_LOGIT = 2048, 128  # the sigmoid is tabulated every 1/128 from -16 to 16

# No entry before rounding is within 10^-5 of a half-integer, so arithmetic of ten digits gives the same integers.
SIGMOID: NDArray[np.int64] = np.rint(65536 / (1 + np.exp(-np.arange(-_HALF, _HALF + 1) / _PER_LOGIT))).astype(np.int64)
SLOPES: NDArray[np.int64] = np.rint(
    65536 * _PER_LOGIT * 2.0 ** (-_SMALLEST - np.arange(N_SCALES) / _PER_OCTAVE)
).astype(np.int64)
TABLES = SIGMOID.astype(np.int32), SLOPES
"""Both tables, as arguments of the kernels."""


def scale_of(sixteenths: NDArray[Any]) -> NDArray[np.int64]:
    """Return the indices of the scales nearest to positive widths in sixteenths of a value; only for encoders."""
    exponents = np.rint((np.log2(np.maximum(sixteenths, 2.0**_SMALLEST)) - _SMALLEST) * _PER_OCTAVE)
    scales: NDArray[np.int64] = np.clip(exponents, 0, N_SCALES - 1).astype(np.int64)
    return scales


@dataclass(frozen=True, eq=False)
class Mixture:
    """The distributions of n values.

    Attributes
    ----------
    weights : ndarray of shape (K, n), int32
        Non-negative weights; those of a value sum to 2^15.
    means : ndarray of shape (K, n), int64
        Means in sixteenths of a value, within ±2^62.
    scales : ndarray of shape (K, n), int32
        Indices of scales, 0 to 63.
    lows : ndarray of shape (n,), int64
        The low ends of the windows, within ±2^57.
    window : int
        A, the number of places of a window, 2 to 8192: A - 1 values, and the escape.
    """

    weights: NDArray[np.int32]
    means: NDArray[np.int64]
    scales: NDArray[np.int32]
    lows: NDArray[np.int64]
    window: int

    def intervals(self, values: NDArray[np.int64]) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.bool_]]:
        """Return starts and frequencies of values (n,), and which of them are escapes."""
        n = len(values)
        if kernels.compiled is not None:
            outputs = np.empty(n, np.uint16), np.empty(n, np.uint16), np.empty(n, np.bool_)
            kernels.compiled.intervals(*self.arrays(), np.ascontiguousarray(values, np.int64), *outputs)
            return outputs
        # The difference may overflow 64 bits for extreme values; unsigned integers wrap to large ones.
        places = values.astype(np.uint64) - self.lows.astype(np.uint64)
        escaped = places >= self.window - 1
        j = np.where(escaped, self.window - 1, places.astype(np.int64))
        sums = self._sums(slice(None))
        starts, ends = sums(np.stack([j, j + 1]))
        return starts.astype(np.uint16), (ends - starts).astype(np.uint16), escaped

    def finder(self, n_at_once: int) -> Callable[[slice, NDArray[np.int64]], tuple[NDArray[np.int64], ...]]:
        """Return a function that finds places, starts and frequencies of slots, 0 to 2^16 - 1.

        It must be called with successive slices of at most n_at_once of the n values, and with their slots.
        """
        if n_at_once * len(self.weights) > _FEW:
            return self._find_by_halving
        # NumPy calls take about as long for one value as for hundreds, so F is tabulated for many values at once: at
        # all places, or on a coarse grid of places.
        spacing = 1
        if n_at_once * len(self.weights) * self.window > _MOST_EDGES:
            spacing <<= (self.window.bit_length() + 1) // 2
        edges = np.arange(0, self.window + spacing, spacing)
        n_held = max(1, _MOST_HELD // (n_at_once * len(self.weights) * len(edges))) * n_at_once
        apart = np.arange(n_held) << (PRECISION + 1)  # offsets that make F of all values one ascending sequence
        between = np.arange(spacing + 1)[:, None]
        first, known = -n_held, edges

        def find(records: slice, slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
            nonlocal first, known
            if records.start >= first + n_held:
                first = records.start
                held = slice(first, first + n_held)
                all_edges = np.broadcast_to(edges[:, None], (len(edges), self.lows[held].size))
                known = (self._sums(held)(all_edges) + apart[: all_edges.shape[1]]).T.ravel()
            numbers = np.arange(records.start - first, records.stop - first)
            shifts = apart[numbers]
            at = known.searchsorted(slots + shifts, "right") - 1
            low = (at - numbers * len(edges)) * spacing
            if spacing == 1:
                return low, known[at] - shifts, known[at + 1] - known[at]
            sums = self._sums(records)(low + between)
            further = np.add.reduce(sums <= slots, 0, np.int64) - 1
            starts, ends = sums[further, numbers - numbers[0]], sums[further + 1, numbers - numbers[0]]
            return low + further, starts, ends - starts

        return find

    def _find_by_halving(self, records: slice, slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        sums = self._sums(records)
        low = np.zeros(len(slots), np.int64)
        for shift in range((self.window - 1).bit_length() - 1, -1, -1):
            low += (sums(low + (1 << shift)) <= slots).astype(np.int64) << shift  # F(low) <= slot always
        starts, ends = sums(np.stack([low, low + 1]))
        return low, starts, ends - starts

    def values_of(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the values at places, and which of them are escapes."""
        return self.lows + places, places == self.window - 1

    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], int, NDArray[Any], NDArray[Any]]:
        """Return weights, means, scales, lows, the window, and the two tables, as arguments of the kernels."""
        return (
            np.ascontiguousarray(self.weights, np.int32),
            np.ascontiguousarray(self.means, np.int64),
            np.ascontiguousarray(self.scales, np.int32),
            np.ascontiguousarray(self.lows, np.int64),
            self.window,
            *TABLES,
        )

    def _sums(self, records: slice) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
        """Return F of a slice of the n values, as a function of j (…, n)."""
        first = SIXTEENTHS * self.lows[records] - SIXTEENTHS // 2 - self.means[:, records]  # the distance d for j = 0
        slopes, weights = SLOPES[self.scales[:, records]], self.weights[:, records].astype(np.int64)
        last = self.window - 1

        def sums(j: NDArray[np.int64]) -> NDArray[np.int64]:
            # Called often with few values: np.clip takes three times as long as maximum and minimum in place.
            z = first + SIXTEENTHS * j[..., None, :]
            np.maximum(z, -_MOST_DISTANCE, out=z)
            np.minimum(z, _MOST_DISTANCE, out=z)
            z *= slopes
            z >>= 16
            np.maximum(z, -_HALF, out=z)
            np.minimum(z, _HALF, out=z)
            mass = SIGMOID.take(z + _HALF)
            mass *= weights
            inside = j + (((1 << PRECISION) - self.window) * np.add.reduce(mass, -2) >> 31)
            beyond = j + ((1 << PRECISION) - 1 - last)
            return np.where(j >= last, beyond, inside * (j > 0))

        return sums
