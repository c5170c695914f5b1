"""Linear prediction from neighbours in integer arithmetic, for any data; each chunk stores its weights.

`narrows.codec.residual.linear_fit` fits the weights.

The inputs x_0, x_1 … of a position are: its anchor, if there is a code; its preceding neighbours, nearest first; and
the anchors of these neighbours and of the following ones, if there is a code::

    prediction = x_0 + ⌊(Σ_i c_i (x_i - x_0) + b) / 2^16⌋           x_0 = 0 without inputs
    m = ⌊16 (prediction - anchor - ⌊(coarse - step) / 2⌋) / coarse⌋  in sixteenths of a coarse step
    activity = ⌊Σ_j v_j |e_j| / Σ_j v_j⌋                             e = ⌊16 (y - prediction) / coarse⌋ of the nearest
    bin = number of bits of activity, in half bits                   neighbours; v_j = 2 for the nearest two, then 1
    scale, share, spread = those of the bin

The distribution of the value is a logistic one of that scale, mixed with a small share of a wider one.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.rans import Decoder
from narrows.codec.residual.contract import (
    TOO_FEW_ESCAPES,
    Intervals,
    Lattice,
    Run,
    check_all_used,
    in_sixteenths,
)
from narrows.codec.residual.mixture import MAX_WINDOW, N_SCALES, SIXTEENTHS, TABLES, TOTAL, Mixture
from narrows.codec.residual.neighbours import Pattern, patterns_of
from narrows.errors import CorruptArchiveError

__all__ = ["N_BINS", "SHARES", "SHIFT", "SPREADS", "WINDOWS", "Linear", "LinearRun", "inputs_of"]

N_BINS = 96
SHARES = (8, 512, 2048, 8192)  # weight of the wide distribution, of 2^15
SPREADS = (6, 12)  # its scale minus that of the narrow one
WINDOWS = (16, 32, 64, 128, 256, 512, 1024, 4096)

SHIFT = 16
"""Weights are integers in units of 2^-16."""

_MOST_STORED = 1 << 62
_MOST_ACTIVITY = 1 << 46
_NEAREST = 6
_HEAD = np.dtype([("window", "u1"), ("bins", "u1", N_BINS), ("kinds", "u1", N_BINS)])


@dataclass(frozen=True, eq=False)
class Linear:
    """Weights of each pattern of neighbours, and the distribution of errors of each bin of activity.

    Attributes
    ----------
    shape : tuple of int
        Shape of a record.
    weights : list of ndarray of int64
        For each pattern the weights c_i of the inputs, then the constant b.
    scales : ndarray of shape (96,), uint8
        The scale of each bin.
    kinds : ndarray of shape (96,), uint8
        For each bin share + 4 · spread, the indices into SHARES and SPREADS.
    window : int
        Index into WINDOWS.
    """

    shape: tuple[int, ...]
    weights: list[NDArray[np.int64]]
    scales: NDArray[np.uint8]
    kinds: NDArray[np.uint8]
    window: int

    def start(self, lattice: Lattice) -> LinearRun:
        """Return a run over the records of a lattice."""
        return LinearRun(self, lattice)

    def to_bytes(self) -> bytes:
        """Serialise everything except the shape."""
        head = np.zeros((), _HEAD)
        head["window"], head["bins"], head["kinds"] = self.window, self.scales, self.kinds
        weights = np.concatenate([*self.weights, np.empty(0, np.int64)]).astype("<i8")
        return zlib.compress(head.tobytes() + weights.tobytes(), 9)

    @classmethod
    def from_bytes(cls, data: bytes, shape: tuple[int, ...], *, has_code: bool) -> Linear:
        """Return the predictor of `to_bytes`.

        Raises
        ------
        CorruptArchiveError
            If the bytes are damaged, or hold values out of range.
        """
        sizes = [_n_inputs(pattern, has_code=has_code) + 1 for pattern in patterns_of(shape)]
        n_bytes = _HEAD.itemsize + 8 * sum(sizes)
        inflate = zlib.decompressobj()
        try:
            plain = inflate.decompress(data, n_bytes + 1)
        except zlib.error as error:
            raise CorruptArchiveError("The weights of a chunk are damaged: zlib cannot decompress them.") from error
        if len(plain) != n_bytes or not inflate.eof or inflate.unused_data:
            raise CorruptArchiveError(f"The weights of a chunk must take {n_bytes:,} bytes.")
        head = np.frombuffer(plain, _HEAD, 1)[0]
        weights = np.frombuffer(plain, "<i8", offset=_HEAD.itemsize).astype(np.int64)
        if (
            head["window"] >= len(WINDOWS)
            or (head["bins"] >= N_SCALES).any()
            or (head["kinds"] >= len(SHARES) * len(SPREADS)).any()
            or (weights < -_MOST_STORED).any()
            or (weights > _MOST_STORED).any()
        ):
            raise CorruptArchiveError(f"The weights of a chunk are damaged: they must be within ±{_MOST_STORED:,}.")
        parts = np.split(weights, np.cumsum(sizes)[:-1])
        return cls(shape, parts, head["bins"].copy(), head["kinds"].copy(), int(head["window"]))


class LinearRun(Run):
    """A run of a linear predictor over records."""

    def __init__(self, model: Linear, lattice: Lattice) -> None:
        n_values, n = lattice.anchors.shape
        self.lattice, self._model = lattice, model
        self._pattern_of = np.zeros(n_values, np.int64)
        self._patterns = patterns_of(model.shape)
        for number, pattern in enumerate(self._patterns):
            self._pattern_of[pattern.positions] = number
        self._values = np.empty((n_values, n), np.int64)
        self._errors = np.empty((n_values, n), np.int64)  # absolute
        self._position = 0
        kinds = model.kinds.astype(np.int64)
        scales = model.scales.astype(np.int32)
        wide = scales + np.take(SPREADS, kinds // len(SHARES))
        self._scales = np.stack([scales, np.minimum(wide, N_SCALES - 1)]).astype(np.int32)
        share = np.take(SHARES, kinds % len(SHARES)).astype(np.int32)
        self._weights = np.stack([TOTAL - share, share]).astype(np.int32)
        self._window = WINDOWS[model.window]

    def predict(self) -> Mixture:
        bins = self._predict()
        means = np.broadcast_to(self._mean, (2, len(bins)))
        lows = ((self._mean + SIXTEENTHS // 2) >> 4) - self._window // 2
        return Mixture(self._weights[:, bins], means, self._scales[:, bins], lows, self._window)

    def update(self, values: NDArray[np.int64]) -> None:
        self._record(values)

    def errors(self, values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the prediction errors of values (V, n) in sixteenths of a coarse step, and their bins, both (V, n)."""
        errors, bins = np.empty(values.shape, np.int64), np.empty(values.shape, np.uint8)
        if kernels.compiled is not None:
            self._values[...] = values
            kernels.compiled.linear_errors(*self._arrays(), errors, bins)
            return errors, bins
        for position, known in enumerate(values):
            bins[position] = self._predict()
            errors[position] = self._record(known)
        return errors, bins

    def intervals(self, q: NDArray[np.int64]) -> Intervals:
        if kernels.compiled is None:
            return super().intervals(q)
        lattice, coarse = self.lattice, np.ascontiguousarray(q >> self.lattice.raw_bits)
        self._values[...] = np.clip(lattice.anchors + lattice.step * q, lattice.lowest, lattice.highest)
        starts, frequencies, escaped = (
            np.empty(q.shape, np.uint16),
            np.empty(q.shape, np.uint16),
            np.empty(q.shape, bool),
        )
        kernels.compiled.linear_intervals(*self._arrays(), *self._shapes(), coarse, starts, frequencies, escaped)
        return Intervals(starts, frequencies, coarse[escaped])

    def pop(self, decoder: Decoder, escapes: NDArray[np.int64], low: NDArray[np.int64]) -> NDArray[np.int64]:
        if kernels.compiled is None:
            return super().pop(decoder, escapes, low)
        pop, raw_bits, taken = kernels.compiled.linear_pop, self.lattice.raw_bits, 0

        def loop(*message: Any) -> int:
            nonlocal taken
            low_bits = low if raw_bits else np.empty(0, np.int64)
            n_read, taken = pop(*self._arrays(), *self._shapes(), *message, escapes, low_bits, raw_bits)
            return int(n_read)

        decoder.lend(loop)
        if taken < 0:
            raise CorruptArchiveError(TOO_FEW_ESCAPES)
        check_all_used(taken, escapes)
        return self._values

    def _predict(self) -> NDArray[np.int64]:
        """Compute the prediction and the mean at the next position, and return the bins."""
        position, lattice = self._position, self.lattice
        number = self._pattern_of[position]
        pattern, weights = self._patterns[number], self._model.weights[number]
        self._prediction = _predicted(pattern, lattice, self._values, position, weights)
        self._mean = lattice.sixteenths(position, self._prediction)
        near = pattern.before[:_NEAREST]
        activity = np.zeros(len(self._mean), np.int64)
        for rank, delta in enumerate(near):
            activity += self._errors[position + delta] * (2 if rank < 2 else 1)
        activity //= max(1, len(near) + min(2, len(near)))
        return _bins(activity)

    def _record(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Record the values of the next position, and return the errors of their prediction."""
        position = self._position
        self._values[position] = values
        errors = in_sixteenths(values - self._prediction, self.lattice.coarse)
        self._errors[position] = np.minimum(np.abs(errors), _MOST_ACTIVITY)
        self._position += 1
        return errors

    def _arrays(self) -> tuple[Any, ...]:
        """Return the arguments of the kernels: the constant arrays, and buffers of values and errors."""
        lattice, weights = self.lattice, self._model.weights
        deltas = [np.array(pattern.before + pattern.after, np.int64) for pattern in self._patterns]
        table = np.zeros((len(deltas), 4), np.int64)  # first delta, numbers of deltas before and after, first weight
        table[1:, 0] = np.cumsum([len(of_one) for of_one in deltas[:-1]])
        table[:, 1] = [len(pattern.before) for pattern in self._patterns]
        table[:, 2] = [len(pattern.after) for pattern in self._patterns]
        table[1:, 3] = np.cumsum([len(of_one) for of_one in weights[:-1]])
        return (
            np.ascontiguousarray(lattice.anchors) if lattice.has_code else np.empty(0, np.int64),
            self._pattern_of,
            table,
            np.concatenate(deltas),
            np.concatenate(weights),
            self._values,
            self._errors,
            (lattice.step, lattice.coarse, lattice.lowest, lattice.highest, lattice.has_code),
        )

    def _shapes(self) -> tuple[Any, ...]:
        return self._weights, self._scales, *TABLES, self._window


def _n_inputs(pattern: Pattern, *, has_code: bool) -> int:
    return len(pattern.before) + (1 + len(pattern.before) + len(pattern.after)) * has_code


def inputs_of(
    pattern: Pattern, lattice: Lattice, values: NDArray[np.int64], positions: NDArray[np.int64] | int
) -> list[NDArray[np.int64]]:
    """Return the inputs x_0, x_1 … at positions of a pattern, each with the shape of ``values[positions]``."""
    before = [values[positions + delta] for delta in pattern.before]
    if not lattice.has_code:
        return before
    around = [lattice.anchors[positions + delta] for delta in (*pattern.before, *pattern.after)]
    return [lattice.anchors[positions], *before, *around]


def _predicted(
    pattern: Pattern, lattice: Lattice, values: NDArray[np.int64], position: int, weights: NDArray[np.int64]
) -> NDArray[np.int64]:
    inputs = inputs_of(pattern, lattice, values, position)
    total = np.full(lattice.anchors.shape[1], weights[-1])
    for weight, x in zip(weights[1:-1], inputs[1:], strict=True):
        if weight:
            total += weight * (x - inputs[0])
    total >>= SHIFT
    if inputs:
        total += inputs[0]
    return np.asarray(np.clip(total, lattice.lowest, lattice.highest))


def _bins(activity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return twice the number of bits of activity, minus 1 if the second highest bit is 0; below 96."""
    mantissa, exponent = np.frexp(activity.astype(np.float64))  # exact: below 2^53
    return np.where(activity > 0, 2 * exponent - (mantissa < 0.75), 0).astype(np.int64)


assert max(WINDOWS) <= MAX_WINDOW
