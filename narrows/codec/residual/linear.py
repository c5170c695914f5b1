"""Linear prediction from neighbours, with weights that each chunk carries: for any data, without training.

The inputs x_0, x_1 … of a position are, where there is a code, its anchor; then its neighbours before it, nearest
first; then, where there is a code, the anchors of these neighbours and of those after it::

    prediction = x_0 + ⌊(Σ_i c_i (x_i - x_0) + b) / 2^16⌋           x_0 = 0 where there are no inputs
    m = ⌊16 (prediction - anchor - ⌊(coarse - step) / 2⌋) / coarse⌋  in sixteenths of a coarse step
    activity = ⌊Σ_j v_j |e_j| / Σ_j v_j⌋                             e = ⌊16 (y - prediction) / coarse⌋ of the nearest
    bin = number of bits of activity, in halves                      neighbours; v_j = 2 for the nearest two, then 1
    scale, share, spread = those of the bin

The value is expected from a logistic distribution of that scale, and with a small share from a wider one.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.codec import inner
from narrows.codec.rans import Decoder
from narrows.codec.residual.contract import (
    MOST_COARSE,
    MOST_RAW_BITS,
    TOO_FEW_ESCAPES,
    Lattice,
    Placed,
    Run,
    check_all_used,
    in_sixteenths,
)
from narrows.codec.residual.mixture import MAX_WINDOW, N_SCALES, PRECISION, SIXTEENTHS, TABLES, TOTAL, Mixture
from narrows.codec.residual.neighbours import Pattern, patterns_of
from narrows.errors import CorruptArchiveError

__all__ = ["Linear"]

N_BINS = 96
SHARES = (8, 512, 2048, 8192)  # of the wide one, of 2^15
SPREADS = (6, 12)  # how many scales wider it is
WINDOWS = (16, 32, 64, 128, 256, 512, 1024, 4096)

_SHIFT = 16
_MOST_WEIGHT = 1 << 21
_MOST_STORED = 1 << 62
_MOST_ACTIVITY = 1 << 46
_NEAREST = 6
_FIT_VALUES = 1 << 17  # of each pattern
_RIDGE = 1e-6
_TRIM_VALUES = 1 << 14
_AGAIN, _FAR_OFF, _MOST = 4, 4, 0.9  # fits again without what is four times further off than most
_LEAST_BITS = 3  # behind the point; half a bit more each time there are twice as many values to learn from
_LOOK_RECORDS = 256
_ESCAPE_BITS = 24  # that one costs, about, beyond what an unlikely value does
_IN_STEPS = 4  # raw bits with which a sixteenth of a coarse step is a step
_MOST_TYPICAL = 256  # steps that an error is large, before low bits are kept raw
_HEAD = np.dtype([("window", "u1"), ("bins", "u1", N_BINS), ("kinds", "u1", N_BINS)])


@dataclass(frozen=True, eq=False)
class Linear:
    """Weights for every pattern of neighbours, and what errors to expect where those nearby were how large.

    Attributes
    ----------
    shape : tuple of int
        Shape of a record.
    weights : list of ndarray of int64
        For each pattern c of each input, then b.
    scales : ndarray of shape (96,), uint8
        For each bin.
    kinds : ndarray of shape (96,), uint8
        For each bin, share + 4 · spread: which of SHARES and SPREADS.
    window : int
        Which of WINDOWS.
    """

    shape: tuple[int, ...]
    weights: list[NDArray[np.int64]]
    scales: NDArray[np.uint8]
    kinds: NDArray[np.uint8]
    window: int

    @classmethod
    def fit(cls, shape: tuple[int, ...], lattice: Lattice, values: NDArray[np.int64]) -> tuple[Linear, Lattice]:
        """Return what suits values (V, n) best, about, and the lattice with as many raw bits as they are wild.

        Floats are used here; what is kept are whole numbers.
        """
        weights = [_fitted(pattern, lattice, values) for pattern in patterns_of(shape)]
        start = cls(shape, weights, np.zeros(N_BINS, np.uint8), np.zeros(N_BINS, np.uint8), 0)
        lattice = replace(lattice, raw_bits=_raw_bits(start, lattice, values))
        errors, bins = start.start(lattice).errors(values)
        scales, kinds = _suited(errors, bins)
        # Each place of a window has a frequency, which others then lack; what is beyond it is an escape.
        steps = np.abs(errors) // SIXTEENTHS
        escapes = np.array([np.count_nonzero(steps >= size // 2 - 1) for size in WINDOWS])
        lacking = -np.log2(1 - np.array(WINDOWS) / (1 << PRECISION))
        window = int(np.argmin(steps.size * lacking + escapes * _ESCAPE_BITS))
        return cls(shape, weights, scales, kinds, window), lattice

    def start(self, lattice: Lattice) -> LinearRun:
        """Return a run over the records of a lattice."""
        return LinearRun(self, lattice)

    def to_bytes(self) -> bytes:
        """Return all of it but the shape."""
        head = np.zeros((), _HEAD)
        head["window"], head["bins"], head["kinds"] = self.window, self.scales, self.kinds
        weights = np.concatenate([*self.weights, np.empty(0, np.int64)]).astype("<i8")
        return zlib.compress(head.tobytes() + weights.tobytes(), 9)

    @classmethod
    def from_bytes(cls, data: bytes, shape: tuple[int, ...], *, has_code: bool) -> Linear:
        """Return what `to_bytes` was called of.

        Raises
        ------
        CorruptArchiveError
            These are no such bytes.
        """
        sizes = [_n_inputs(pattern, has_code=has_code) + 1 for pattern in patterns_of(shape)]
        n_bytes = _HEAD.itemsize + 8 * sum(sizes)
        inflate = zlib.decompressobj()
        try:
            plain = inflate.decompress(data, n_bytes + 1)
        except zlib.error as error:
            raise CorruptArchiveError("The weights of a chunk are damaged.") from error
        if len(plain) != n_bytes or not inflate.eof or inflate.unused_data:
            raise CorruptArchiveError("The weights of a chunk are damaged.")
        head = np.frombuffer(plain, _HEAD, 1)[0]
        weights = np.frombuffer(plain, "<i8", offset=_HEAD.itemsize).astype(np.int64)
        if (
            head["window"] >= len(WINDOWS)
            or (head["bins"] >= N_SCALES).any()
            or (head["kinds"] >= len(SHARES) * len(SPREADS)).any()
            or (weights < -_MOST_STORED).any()
            or (weights > _MOST_STORED).any()
        ):
            raise CorruptArchiveError("The weights of a chunk are out of range.")
        parts = np.split(weights, np.cumsum(sizes)[:-1])
        return cls(shape, parts, head["bins"].copy(), head["kinds"].copy(), int(head["window"]))


class LinearRun(Run):
    """A linear predictor on its way through records."""

    def __init__(self, model: Linear, lattice: Lattice) -> None:
        n_values, n = lattice.anchors.shape
        self.lattice, self._model = lattice, model
        self._pattern_of = np.zeros(n_values, np.int64)
        self._patterns = patterns_of(model.shape)
        for number, pattern in enumerate(self._patterns):
            self._pattern_of[pattern.positions] = number
        self._values = np.empty((n_values, n), np.int64)
        self._errors = np.empty((n_values, n), np.int64)  # without their sign
        self._position = 0
        kinds = model.kinds.astype(np.int64)
        scales = model.scales.astype(np.int32)
        wide = scales + np.take(SPREADS, kinds // len(SHARES))
        self._scales = np.stack([scales, np.minimum(wide, N_SCALES - 1)]).astype(np.int32)
        share = np.take(SHARES, kinds % len(SHARES)).astype(np.int32)
        self._weights = np.stack([TOTAL - share, share]).astype(np.int32)
        self._window = WINDOWS[model.window]

    def predict(self) -> Mixture:
        bins = self._look()
        means = np.broadcast_to(self._mean, (2, len(bins)))
        lows = ((self._mean + SIXTEENTHS // 2) >> 4) - self._window // 2
        return Mixture(self._weights[:, bins], means, self._scales[:, bins], lows, self._window)

    def see(self, values: NDArray[np.int64]) -> None:
        self._note(values)

    def errors(self, values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return how far off predictions of values (V, n), from the first on, are and their bins, both (V, n).

        They are told in sixteenths of a coarse step.
        """
        errors, bins = np.empty(values.shape, np.int64), np.empty(values.shape, np.uint8)
        if inner.compiled is not None:
            self._values[...] = values
            inner.compiled.linear_look(*self._arrays(), errors, bins)
            return errors, bins
        for position, seen in enumerate(values):
            bins[position] = self._look()
            errors[position] = self._note(seen)
        return errors, bins

    def place(self, q: NDArray[np.int64]) -> Placed:
        if inner.compiled is None:
            return super().place(q)
        lattice, coarse = self.lattice, np.ascontiguousarray(q >> self.lattice.raw_bits)
        self._values[...] = np.clip(lattice.anchors + lattice.step * q, lattice.lowest, lattice.highest)
        starts, frequencies, escaped = (
            np.empty(q.shape, np.uint16),
            np.empty(q.shape, np.uint16),
            np.empty(q.shape, bool),
        )
        inner.compiled.linear_place(*self._arrays(), *self._shapes(), coarse, starts, frequencies, escaped)
        return Placed(starts, frequencies, coarse[escaped])

    def pop(self, decoder: Decoder, escapes: NDArray[np.int64], low: NDArray[np.int64]) -> NDArray[np.int64]:
        if inner.compiled is None:
            return super().pop(decoder, escapes, low)
        pop, raw_bits, taken = inner.compiled.linear_pop, self.lattice.raw_bits, 0

        def loop(*message: Any) -> int:
            nonlocal taken
            given = low if raw_bits else np.empty(0, np.int64)
            n_read, taken = pop(*self._arrays(), *self._shapes(), *message, escapes, given, raw_bits)
            return int(n_read)

        decoder.lend(loop)
        if taken < 0:
            raise CorruptArchiveError(TOO_FEW_ESCAPES)
        check_all_used(taken, escapes)
        return self._values

    def _look(self) -> NDArray[np.int64]:
        """Find the mean of the next position, in sixteenths of a step, and return its bins."""
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

    def _note(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take note of the values of the next position; return how far off their prediction was."""
        position = self._position
        self._values[position] = values
        errors = in_sixteenths(values - self._prediction, self.lattice.coarse)
        self._errors[position] = np.minimum(np.abs(errors), _MOST_ACTIVITY)
        self._position += 1
        return errors

    def _arrays(self) -> tuple[Any, ...]:
        """Return everything that does not change, and room for what does, as the inner loops take it."""
        lattice, weights = self.lattice, self._model.weights
        deltas = [np.array(pattern.before + pattern.after, np.int64) for pattern in self._patterns]
        told = np.zeros((len(deltas), 4), np.int64)  # the first of its deltas, how many before and after, first weight
        told[1:, 0] = np.cumsum([len(of_one) for of_one in deltas[:-1]])
        told[:, 1] = [len(pattern.before) for pattern in self._patterns]
        told[:, 2] = [len(pattern.after) for pattern in self._patterns]
        told[1:, 3] = np.cumsum([len(of_one) for of_one in weights[:-1]])
        return (
            np.ascontiguousarray(lattice.anchors) if lattice.has_code else np.empty(0, np.int64),
            self._pattern_of,
            told,
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


def _inputs(
    pattern: Pattern, lattice: Lattice, values: NDArray[np.int64], positions: NDArray[np.int64] | int
) -> list[NDArray[np.int64]]:
    before = [values[positions + delta] for delta in pattern.before]
    if not lattice.has_code:
        return before
    around = [lattice.anchors[positions + delta] for delta in (*pattern.before, *pattern.after)]
    return [lattice.anchors[positions], *before, *around]


def _predicted(
    pattern: Pattern, lattice: Lattice, values: NDArray[np.int64], position: int, weights: NDArray[np.int64]
) -> NDArray[np.int64]:
    inputs = _inputs(pattern, lattice, values, position)
    total = np.full(lattice.anchors.shape[1], weights[-1])
    for weight, x in zip(weights[1:-1], inputs[1:], strict=True):
        if weight:
            total += weight * (x - inputs[0])
    total >>= _SHIFT
    if inputs:
        total += inputs[0]
    return np.asarray(np.clip(total, lattice.lowest, lattice.highest))


def _fitted(pattern: Pattern, lattice: Lattice, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the weights of least squares, in whole numbers: of each input, then the constant."""
    n = values.shape[1]
    positions = pattern.positions
    per_record = max(1, min(len(positions), _FIT_VALUES // max(n, 1)))
    positions = positions[np.linspace(0, len(positions) - 1, per_record).astype(np.int64)]
    records = slice(None, None, -(-n * per_record // _FIT_VALUES))
    some = replace(lattice, anchors=lattice.anchors[:, records])
    seen = values[:, records]
    inputs = [x.ravel().astype(np.float64) for x in _inputs(pattern, some, seen, positions)]
    target = seen[positions].ravel().astype(np.float64)
    if not inputs:
        return np.array([_whole(np.median(target))], np.int64)
    if len(inputs) == 1:
        return np.array([0, _whole(np.median(target - inputs[0]))], np.int64)
    x = np.stack([other - inputs[0] for other in inputs[1:]] + [np.ones_like(target)], -1)
    y = target - inputs[0]
    scale = max(float(np.abs(x[:, :-1]).max(initial=0)), 1.0)
    x[:, :-1] /= scale
    solved = _trimmed_least_squares(x, y)
    solved[:-1] /= scale
    # Weights found from few values are not worth many bits.
    coarse = 1 << max(0, _SHIFT - _LEAST_BITS - math.ceil(math.log2(len(y)) / 2))
    whole = _whole(solved)
    whole[:-1] = np.clip((whole[:-1] + coarse // 2) // coarse * coarse, -_MOST_WEIGHT, _MOST_WEIGHT)
    return np.concatenate([[0], whole])


def _trimmed_least_squares(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return w with the least Σ (y - x w)² over those that are not far off, found on some of them; x and y change.

    Squares of what is far off (edges of what is missing, fronts, NaNs as bits) would drown all else, which is most.
    """
    few = slice(None, None, -(-len(y) // _TRIM_VALUES))
    some_x, some_y = x[few].copy(), y[few].copy()
    solved = _least_squares(some_x, some_y)
    for _ in range(_AGAIN):
        near = ~_is_far(some_x, some_y, solved)
        solved = _least_squares(some_x[near], some_y[near])
    far = _is_far(x, y, solved)
    x[far], y[far] = 0, 0  # counts for nothing, and is quicker than to copy the others
    return _least_squares(x, y)


def _is_far(x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    off = np.abs(y - x @ weights)
    most = int(_MOST * (len(off) - 1))
    return np.asarray(off > _FAR_OFF * np.partition(off, most)[most])


def _least_squares(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return w with the least Σ (y - x w)², a little ridge added."""
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += _RIDGE * max(float(np.trace(gram)) / len(gram), 1e-12)
    return np.asarray(np.linalg.solve(gram, x.T @ y), np.float64)


def _whole(weights: ArrayLike) -> NDArray[np.int64]:
    """Return weights in units of 2^-16, as far as they fit."""
    return np.clip(np.rint(np.asarray(weights, np.float64) * 2.0**_SHIFT), -(2.0**61), 2.0**61).astype(np.int64)


def _raw_bits(model: Linear, lattice: Lattice, values: NDArray[np.int64]) -> int:
    """Return how many low bits of the steps are noise: as many as leave errors of some hundreds."""
    if (lattice.highest - lattice.lowest) // lattice.step <= 4 * _MOST_TYPICAL:
        return 0
    some = slice(None, None, -(-values.shape[1] // _LOOK_RECORDS))
    few = replace(lattice, anchors=lattice.anchors[:, some], raw_bits=_IN_STEPS)
    errors, _ = LinearRun(model, few).errors(values[:, some])
    typical = float(np.quantile(np.abs(errors.astype(np.float64)), 0.75))
    most = min(MOST_RAW_BITS, MOST_COARSE.bit_length() - 1 - lattice.step.bit_length())
    return min(max(0, math.ceil(math.log2(max(typical, 1) / _MOST_TYPICAL))), most)


def _bins(activity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return twice the number of bits, one less where the bit below the first is 0; below 96."""
    mantissa, exponent = np.frexp(activity.astype(np.float64))  # exact: below 2^53
    return np.where(activity > 0, 2 * exponent - (mantissa < 0.75), 0).astype(np.int64)


def _suited(errors: NDArray[np.int64], bins: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return for each bin the scale and the kind under which errors cost least.

    Both are (V, n), errors in sixteenths of a coarse step.
    """
    # Errors by magnitude: each sixteenth up to 8 steps, then by eighths of an octave. Where between two values a mean
    # lies counts: under a narrow distribution a value half a step away is much less likely than one that is hit.
    edges = np.unique(np.concatenate([np.arange(128), np.rint(2.0 ** np.arange(7, 44, 0.125))])).astype(np.int64)
    some = slice(None, None, -(-errors.size // _FIT_VALUES))
    classes = np.searchsorted(edges, np.abs(errors.ravel()[some]), side="right") - 1
    counts = np.bincount(bins.ravel()[some].astype(np.int64) * len(edges) + classes, minlength=N_BINS * len(edges))
    counts = counts.reshape(N_BINS, len(edges)).astype(np.float64)
    used, met = counts.any(1), counts.any(0)  # the rest, most of it where there is little data, costs nothing
    edges, counts = edges[met], counts[np.ix_(used, met)]
    widths = 2.0 ** (np.arange(N_SCALES) / 4 - 2)  # in sixteenths of a step
    half = SIXTEENTHS / 2

    def below(at: float) -> NDArray[np.float64]:
        """Return the mass below a place, for each scale and each magnitude of errors."""
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


assert max(WINDOWS) <= MAX_WINDOW
