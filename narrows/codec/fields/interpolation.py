"""Interpolation in integer arithmetic: predicts each value of a pass, and codes its distance in steps.

With y the known values, in units, of which x_k and x'_k are pair k of the neighbours on both sides, and e_m that of
neighbour m in the same pass::

    gap = x'_0 - x_0        P_k = (x_k - x_0) + (x'_k - x_0) - gap         deviation = 2 (y - x_0) - gap, of each value
    prediction = x_0 + ⌊(2^15 gap + Σ_k w_k P_k + Σ_m v_m deviation_m + 2^15) / 2^16⌋, within the range
    y = prediction + step · q, within the range

The bits of q are coded with states that are chosen by its context, the sizes |q| of the neighbours::

    bin = bits of 3 |q_0| + 3 |q'_0| + 8 Σ |q_m| along one axis + 4 Σ |q_m| along two, in half bits, at most 63
    near = the sizes of up to three neighbours along one axis, at most 2 each, and of the nearest pair, at most 8
    sign = those of the first two neighbours in the same pass

The NumPy code here defines the result; the compiled kernel computes the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.fields.adaptive import HALF, RATES, BitCoder, new_states, start_decoder, start_encoder
from narrows.codec.fields.passes import N_AXES, Pass

__all__ = ["Interpolation", "Targets", "Weights", "mirrored", "settings_of"]

N_BINS, N_LENGTHS, N_AVERAGED, _N_NEAR = 64, 24, 3, 243
_NEAR = 2 * N_BINS * N_LENGTHS
_SIGN = _NEAR + 2 * _N_NEAR * N_AVERAGED
_FIRST = _SIGN + 9
_SECOND = _FIRST + N_BINS * N_LENGTHS
N_STATES = _SECOND + 2 * N_LENGTHS
_MOST_STEPS = 1 << 20
_WRAP = 1 << 64


@dataclass(frozen=True, eq=False)
class Targets:
    """What an encoder approximates: the values (m, V) of m records.

    Attributes
    ----------
    values : ndarray of float64 or int64
        The values in units: floats that need not be whole numbers, or integers.
    skipped : ndarray of bool
        Values of which any approximation will do.
    """

    values: NDArray[Any]
    skipped: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Weights:
    """The prediction of a pass, in units of 2^-16: weights of the pairs of a stencil, and of the values before."""

    size: int
    pairs: NDArray[np.int64]
    before: NDArray[np.int64]


class Interpolation:
    """A run over the values of m records, pass by pass.

    Parameters
    ----------
    shape : tuple of int
        The shape of a record, with four axes.
    n_records : int
        m.
    lowest, highest : int
        The range of values in units.
    targets : Targets or None
        The values to be encoded; None to decode.
    data : bytes or int
        The bytes to decode, or the largest number of bytes to encode to.
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        n_records: int,
        lowest: int,
        highest: int,
        *,
        targets: Targets | None = None,
        data: bytes | int,
    ) -> None:
        self.shape, self._lowest, self._highest, self._targets = shape, lowest, highest, targets
        n_values = math.prod(shape)
        self.values = np.zeros((n_records, n_values), np.int64)
        self._steps = np.zeros((n_records, n_values), np.int32)
        self._deviations = np.zeros((n_records, n_values), np.int64)
        self._states = new_states(N_STATES)
        self.state, self.buffer = start_encoder(data) if isinstance(data, int) else start_decoder(data)
        self._scratch = np.empty(5 * shape[3], np.int64)

    @property
    def is_decoding(self) -> bool:
        """Whether values are decoded."""
        return self._targets is None

    def begin(self, step: int) -> None:
        """Code the first value of every record: its prediction is the first value of the record before, or 0."""
        coder = BitCoder(self.state, self.buffer, is_decoding=self.is_decoding)
        known = 0
        for record in range(len(self.values)):
            q = self._code(coder, (0, 0, 0, 0), self._nearest(record, 0, known, step))
            known = min(max(_wrapped(known + step * q), self._lowest), self._highest)
            self.values[record, 0] = known
            self._steps[record, 0] = 0  # its distance says nothing of the others
        coder.store(self.state)

    def run(self, part: Pass, weights: Weights, step: int) -> None:
        """Code the values of a pass."""
        if kernels.compiled is not None:
            stencil, nothing = part.stencil(weights.size), self._nothing
            kernels.compiled.interpolate(
                self.is_decoding,
                settings_of(part, self.shape, step, self._lowest, self._highest),
                *nothing,
                self.values,
                self._steps,
                self._deviations,
                np.array(stencil.pairs, np.int8),
                weights.pairs,
                np.array(stencil.before, np.int8),
                weights.before,
                self._states,
                RATES,
                self.state,
                self.buffer,
                self._scratch,
            )
            return
        coder = BitCoder(self.state, self.buffer, is_decoding=self.is_decoding)
        for record in range(len(self.values)):
            self._run(record, part, weights, step, coder)
        coder.store(self.state)

    @property
    def _nothing(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The targets, as arguments of the kernel."""
        floats, whole, skipped = np.empty(0), np.empty(0, np.int64), np.empty(0, np.bool_)
        if self._targets is None:
            return floats, whole, skipped
        is_float = self._targets.values.dtype.kind == "f"
        given = self._targets.values
        return (given, whole, self._targets.skipped) if is_float else (floats, given, self._targets.skipped)

    def _run(self, record: int, part: Pass, weights: Weights, step: int, coder: BitCoder) -> None:
        """Code the values of a pass of one record."""
        stencil = part.stencil(weights.size)
        grid = [(length - 1) // part.stride for length in self.shape]
        strides = [part.stride * math.prod(self.shape[axis + 1 :]) for axis in range(N_AXES)]
        values, steps = self.values[record], self._steps[record]
        deviations = self._deviations[record]
        limits = (part.first, grid, part.spacing)
        starts = product(*(range(first, last + 1, gap) for first, last, gap in zip(*limits, strict=True)))
        for place in starts:
            pairs = [
                [
                    _at([mirrored(x + sign * o, n) for x, o, n in zip(place, offset, grid, strict=True)], strides)
                    for sign in (1, -1)
                ]
                for offset in stencil.pairs
            ]
            near, other = (int(values[at]) for at in pairs[0])
            gap = _wrapped(other - near)
            total = HALF * gap + HALF
            for weight, (one, two) in zip(weights.pairs.tolist()[1:], pairs[1:], strict=True):
                total += weight * (int(values[one]) - near + int(values[two]) - near - gap)
            nearest_sizes = sum(abs(int(steps[at])) for at in pairs[0])
            activity, context, sign = 3 * nearest_sizes, min(nearest_sizes, 8), 0
            for k, offset in enumerate(stencil.before):
                moved = [x + o for x, o in zip(place, offset, strict=True)]
                if not all(low <= x <= high for low, x, high in zip(part.first, moved, grid, strict=True)):
                    continue
                at = _at(moved, strides)
                total += int(weights.before[k]) * int(deviations[at])
                q = int(steps[at])
                is_axis = k < len(part.axes)
                activity += abs(q) * (8 if is_axis else 4)
                if is_axis and k < 3:
                    context += (81, 27, 9)[k] * min(abs(q), 2)
                if is_axis and k < 2:
                    sign += (1, 3)[k] * (2 if q < 0 else int(q > 0))
            prediction = min(max(_wrapped(near + (_wrapped(total) >> 16)), self._lowest), self._highest)
            at = _at(list(place), strides)
            q = self._nearest(record, at, prediction, step)
            q = self._code(coder, (int(part.level == 1), _bin(activity), context, sign), q)
            value = min(max(_wrapped(prediction + step * q), self._lowest), self._highest)
            values[at], steps[at] = value, min(max(q, -_MOST_STEPS), _MOST_STEPS)
            deviations[at] = _wrapped(2 * (value - near) - gap)

    def _nearest(self, record: int, at: int, prediction: int, step: int) -> int:
        """Return the number of steps from the prediction to the target of a value."""
        if self._targets is None or self._targets.skipped[record, at]:
            return 0
        target = self._targets.values[record, at]
        if self._targets.values.dtype.kind == "f":
            return int(np.rint((target - np.float64(prediction)) / np.float64(step)))
        distance = _wrapped(int(target) - prediction)
        low = distance // step
        return low + (distance - low * step > step // 2)

    def _code(self, coder: BitCoder, where: tuple[int, int, int, int], q: int) -> int:
        """Code q in its context: is_finest, bin, near and sign; a decoder ignores ``q``. Return it."""
        finest, activity, context, sign = where
        size, states = abs(q), self._states
        n_bits = size.bit_length()
        length = 0
        while length < 64:
            which = (finest * N_BINS + activity) * N_LENGTHS + min(length, N_LENGTHS - 1)
            near = _NEAR + (finest * _N_NEAR + context) * N_AVERAGED + length
            both = (which, near) if length < N_AVERAGED else (which,)
            if not coder.adaptive(states, both, int(n_bits > length)):
                break
            length += 1
        if not length:
            return 0
        is_negative = coder.adaptive(states, (_SIGN + sign,), int(q < 0))
        value, kept, second = 1, min(length, N_LENGTHS - 1), 0
        for at in range(length - 2, -1, -1):
            bit = size >> at & 1
            if at == length - 2:
                second = bit = coder.adaptive(states, (_FIRST + activity * N_LENGTHS + kept,), bit)
            elif at == length - 3:
                bit = coder.adaptive(states, (_SECOND + 2 * kept + second,), bit)
            else:
                bit = coder.bit(HALF, bit)
            value = value << 1 | bit
        return _wrapped(-value if is_negative else value)


def settings_of(part: Pass, shape: tuple[int, int, int, int], step: int, lowest: int, highest: int) -> tuple[int, ...]:
    """Return the numbers of a pass, as an argument of the kernels."""
    limits = (step, lowest, highest, int(part.level == 1), len(part.axes))
    return (*shape, part.axis, part.stride, *limits, *part.spacing)


def mirrored(index: Any, last: Any) -> Any:
    """Return the index within 0 … last that an index beyond an edge is mirrored to; for integers and arrays."""
    away = abs(index)
    if isinstance(index, int):
        return max(0, min(away, 2 * last - away))
    return np.maximum(np.minimum(away, 2 * last - away), 0)


def _at(place: list[int], strides: list[int]) -> int:
    return sum(x * stride for x, stride in zip(place, strides, strict=True))


def _bin(activity: int) -> int:
    """Return twice the number of bits, minus 1 if the second highest bit is 0; at most 63."""
    bits = activity.bit_length()
    if not bits:
        return 0
    return min(2 * bits - (bits == 1 or not activity >> (bits - 2) & 1), N_BINS - 1)


def _wrapped(number: int) -> int:
    """Return a number within 64 bits, as sums and products wrap around."""
    return (number + (_WRAP >> 1)) % _WRAP - (_WRAP >> 1)
