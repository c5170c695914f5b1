"""Bisection in integer arithmetic: values are found by halving the range of all that they can be, decision by decision.

The values that can occur are numbered 0 … N - 1 in ascending order; V(i) is value number i, see `forms`. A value is
coded as decisions whether its number is at least the middle of those that are left. Its inputs, each the logit of a
probability in units of 2^-8, are:

- three *experts*: logistic distributions around a linear prediction of the preceding values, the last value, and the
  value one period ago. Each has a spread, the mean of its recent errors; its input is 0 where it tells nothing;
- four *contexts*: how often the decision was taken before, after the same last values or the same value one period ago;
- a constant.

Two sets of weights, chosen by the size and the place of the interval, and by its depth and the contexts, mix the inputs
(Mahoney 2005, "Adaptive weighing of context models"); the mean of both logits gives the probability. After the decision
weights and contexts are updated. docs/format.md has the formulas; the Python code here defines the result, and the
compiled kernel computes the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.fields.adaptive import BitCoder, start_decoder, start_encoder
from narrows.codec.fields.forms import Form

__all__ = ["MOST_LAGS", "MOST_SPAN", "Bisection", "Prediction"]

MOST_LAGS, MOST_SPAN = 32, 1 << 54
N_EXPERTS, N_CONTEXTS, N_INPUTS = 3, 4, 8
_ONE, _PER_SPREAD, _SLOPE = 1 << 30, 64, 363_332  # 363,332 = 2^14 · 16 · 2 ln 2, rounded
_TAIL = 20 * _PER_SPREAD
_FEWEST = 1 << 16  # of 2^30: the probability of an interval below which an expert tells nothing
_MOST_LOGIT, _MOST_COUNT, _MOST_WEIGHT = 3071, 63, 1 << 22
_LEAST = 8  # of 2^16: the least probability of a decision
_RATE, _HALF = 14, 1 << 13
_FIRST_WEIGHTS = (24_000, 8_000, 8_000, 20_000, 14_000, 14_000, 14_000, 0)
_SHARES = (0, 12, 16)  # sixteenths of the logit of contexts seen 0, 1 and 2 times
_GOLDEN, _WRAP = 0x9E3779B97F4A7C15, (1 << 64) - 1

# No entry before rounding is within 10^-5 of a half-integer, so arithmetic of twelve digits gives the same integers.
TAILS: NDArray[np.int32] = np.rint(_ONE / (1 + np.exp(np.arange(_TAIL + 1) / _PER_SPREAD))).astype(np.int32)
_p = (np.arange(4096) + 0.5) / 4096
LOGITS: NDArray[np.int16] = np.rint(256 * np.log(_p / (1 - _p))).astype(np.int16)
SIGMOID: NDArray[np.int32] = np.clip(
    np.rint(65536 / (1 + np.exp(-np.arange(-_MOST_LOGIT - 1, _MOST_LOGIT + 2) / 256))), 1, 65535
).astype(np.int32)
RATES: NDArray[np.int32] = (655_360 // (10 * np.arange(_MOST_COUNT + 1) + 16)).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of values from preceding ones.

    Attributes
    ----------
    level : int
        A typical value.
    period : int
        The number of steps after which values resemble each other; 0: unknown.
    lags : ndarray of int64
        Distances of preceding values, from 2; 0 stands for the level.
    weights : ndarray of int64
        Their weights in units of 2^-16.
    bases : ndarray of shape (n,), int64
        What other channels predict of each value: differences from it are predicted by preceding ones. Within ±2^44;
        empty if there are none.
    """

    level: int
    period: int
    lags: NDArray[np.int64]
    weights: NDArray[np.int64]
    bases: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


class Bisection:
    """A run over n values.

    Parameters
    ----------
    form : Form
        The values that can occur.
    prediction : Prediction
    n : int
        The number of values.
    has_contexts : bool
        Whether contexts are used.
    data : bytes or int
        The bytes to decode, or the largest number of bytes to encode to.
    """

    def __init__(self, form: Form, prediction: Prediction, n: int, *, has_contexts: bool, data: bytes | int) -> None:
        self._form, self._prediction, self._has_contexts = form, prediction, has_contexts
        self.is_decoding = not isinstance(data, int)
        self.state, self.buffer = start_encoder(data) if isinstance(data, int) else start_decoder(data)
        self.values = np.zeros(n, np.int64)
        self._low, self._high = form.value(0), form.value(form.n - 1)
        bases = prediction.bases
        span = self._high - self._low + int(bases.max(initial=0)) - int(bases.min(initial=0))
        self._shift = max(0, span.bit_length() - 38)
        self._bits = max(14, min(20, n.bit_length() + 5))
        self._slots = np.full((N_CONTEXTS, 1 << self._bits) if has_contexts else (N_CONTEXTS, 1), 1 << 31, np.uint32)
        self._by_place = np.tile(np.array(_FIRST_WEIGHTS, np.int32), (32 * 16, 1))
        self._by_depth = np.tile(np.array(_FIRST_WEIGHTS, np.int32), (2 * 32 * 16, 1))
        self._spreads = np.full(N_EXPERTS, (((self._high - self._low) >> 3) + 1) << 5, np.int64)

    def run(self, numbers: NDArray[np.int64]) -> None:
        """Code the numbers of the values; a decoder writes them."""
        if kernels.compiled is not None:
            given = self._prediction
            settings = (*self._form.settings, given.level, given.period, self._bits)
            kernels.compiled.bisect(
                self.is_decoding,
                self._has_contexts,
                settings,
                self._form.levels,
                given.lags,
                given.weights,
                given.bases,
                numbers,
                self.values,
                self._slots,
                self._by_place,
                self._by_depth,
                self._spreads,
                TAILS,
                LOGITS,
                SIGMOID,
                RATES,
                self.state,
                self.buffer,
            )
            return
        coder = BitCoder(self.state, self.buffer, is_decoding=self.is_decoding)
        for t in range(len(numbers)):
            numbers[t] = _Value(self, t).code(coder, int(numbers[t]))
        coder.store(self.state)

    def before(self, t: int) -> tuple[int, int, int, int]:
        """Return the last three values before step t, and the one a period before."""
        one = int(self.values[t - 1]) if t else self._prediction.level
        two = int(self.values[t - 2]) if t > 1 else one
        three = int(self.values[t - 3]) if t > 2 else two
        period = self._prediction.period
        return one, two, three, int(self.values[t - period]) if 0 < period <= t else two

    def predicted(self, t: int) -> int:
        """Return the linear prediction of the value at step t."""
        level, bases, total = self._prediction.level, self._prediction.bases, 0
        last = self._above_base(t - 1) if t else level
        for lag, weight in zip(self._prediction.lags.tolist(), self._prediction.weights.tolist(), strict=True):
            value = level if lag == 0 else self._above_base(t - lag) if lag <= t else last
            total += weight * ((value - last) >> self._shift)
        found = last + ((total + (1 << 15) >> 16) << self._shift) + (int(bases[t]) if len(bases) else 0)
        return min(max(found, self._low), self._high)

    def _above_base(self, t: int) -> int:
        """Return the difference of value t from its base."""
        bases = self._prediction.bases
        return int(self.values[t]) - (int(bases[t]) if len(bases) else 0)


class _Expert:
    """A logistic distribution, and the interval of it that is left."""

    def __init__(self, centre: int, spread: int) -> None:
        self.centre = 2 * centre
        self._shift = max(0, spread.bit_length() - 24)
        short = spread >> self._shift
        self._slope, self._cap = (_SLOPE << 28) // short, 9 * short // 10
        self.low, self.high = 0, _ONE

    def below(self, edge: int) -> int:
        """Return the probability of all below an edge, of 2^30."""
        distance = abs(edge - self.centre) >> self._shift
        tail = int(TAILS[_TAIL])
        if distance < self._cap:
            along = distance * self._slope >> 20
            first, second = (int(one) for one in TAILS[along >> 16 : (along >> 16) + 2])
            tail = first + ((second - first) * (along & 0xFFFF) >> 16)
        return min(max(_ONE - tail if edge > self.centre else tail, self.low), self.high)

    def logit(self, below: int) -> int:
        """Return the logit of the upper part of the interval."""
        whole = self.high - self.low
        return int(LOGITS[(self.high - below) * 4095 // whole]) if whole >= _FEWEST else 0


class _Value:
    """The decisions of one value."""

    def __init__(self, run: Bisection, t: int) -> None:
        self._run, self._t, self._form = run, t, run._form
        one, two, three, past = run.before(t)
        self._last = one
        centres = (run.predicted(t), one, past)
        self._experts = [_Expert(c, s) for c, s in zip(centres, run._spreads.tolist(), strict=True)]
        self._keys = [_key(0, 0), _key(1, one, two), _key(2, past), _key(3, one, two, three)]
        self._span = [2 * run._low, 2 * run._high]
        self._depth, self._stage, self._first = 0, 0, 0

    def code(self, coder: BitCoder, number: int) -> int:
        """Code the number of the value, in multiples of the modulus first, and return it."""
        form, modulus = self._form, self._form.modulus
        at = self._halve(coder, number, 0, modulus, -(-form.n // modulus))
        if modulus > 1:
            base = at
            digits = len(str(abs(form.value(at)))) if form.value(at) else 0
            self._stage, self._first = 1, base
            self._keys = [_key(4, digits), _key(5, 0), _key(6, base), _key(7, base, self._last)]
            at = self._halve(coder, number, base, 1, min(modulus, form.n - base))
        run, value = self._run, form.value(at)
        run.values[self._t] = value
        shift = min(4, (self._t + 1).bit_length())
        for j, expert in enumerate(self._experts):
            spread = int(run._spreads[j])
            run._spreads[j] = max(8, spread + ((16 * abs(2 * value - expert.centre) - spread) >> shift))
        return at

    def _halve(self, coder: BitCoder, number: int, at: int, step: int, n: int) -> int:
        """Return the number among ``at + step · i``, i = 0 … n - 1, that is coded."""
        half = 1 << (n - 1).bit_length() >> 1
        left = n
        while half:
            if half < left:
                middle = at + half * step
                if self._decide(coder, middle, number >= middle):
                    at, left = middle, left - half
                else:
                    left = half
            half >>= 1
        return at

    def _decide(self, coder: BitCoder, middle: int, bit: bool) -> int:
        run, edge = self._run, self._form.value(middle - 1) + self._form.value(middle)
        below = [expert.below(edge) for expert in self._experts]
        inputs = [expert.logit(one) for expert, one in zip(self._experts, below, strict=True)]
        slots = self._slots(middle) if run._has_contexts else []
        seen = [int(run._slots[c, slot]) >> 10 & 63 for c, slot in enumerate(slots)]
        for c, slot in enumerate(slots):
            logit = int(LOGITS[int(run._slots[c, slot]) >> 20])
            inputs.append(logit if seen[c] > 2 else logit * _SHARES[seen[c]] >> 4)
        inputs += [0] * (N_INPUTS - 1 - len(inputs))
        if any(inputs):
            bit = self._mixed(coder, edge, [*inputs, 256], sum((n > 2) << c for c, n in enumerate(seen)), bit)
        else:
            bit = bool(coder.bit(1 << 15, int(bit)))
        for c, slot in enumerate(slots):
            p, n, check = _parts(int(run._slots[c, slot]))
            p += ((65535 if bit else 0) - p) * int(RATES[n]) >> 16
            run._slots[c, slot] = p << 16 | min(n + 1, _MOST_COUNT) << 10 | check
        for expert, one in zip(self._experts, below, strict=True):
            if bit:
                expert.low = one
            else:
                expert.high = one
        self._span[not bit] = edge
        self._depth += 1
        return bit

    def _mixed(self, coder: BitCoder, edge: int, inputs: list[int], seen: int, bit: bool) -> bool:
        """Code a decision with the mixed probability, and update the weights."""
        run, expert = self._run, self._experts[0]
        spread = int(run._spreads[0]).bit_length()
        size = min(max((16 * (self._span[1] - self._span[0])).bit_length() - spread + 8, 0), 31)
        place = min(max((16 * abs(edge - expert.centre)).bit_length() - spread + 3, 0), 7)
        depth = 32 * self._stage + min(self._depth, 31)
        rows = run._by_place[16 * size + 2 * place + (edge > expert.centre)], run._by_depth[16 * depth + seen]
        limit = _MOST_LOGIT
        sums = [sum(w * x for w, x in zip(row.tolist(), inputs, strict=True)) >> 16 for row in rows]
        logits = [min(max(one, -limit), limit) for one in sums]
        p = int(SIGMOID[(logits[0] + logits[1] >> 1) + limit + 1])
        bit = bool(coder.bit(min(max(p, _LEAST), (1 << 16) - _LEAST), int(bit)))
        for row, logit in zip(rows, logits, strict=True):
            error = (bit << 16) - int(SIGMOID[logit + limit + 1])
            for i, x in enumerate(inputs):
                changed = int(row[i]) + (x * error + _HALF >> _RATE)
                row[i] = min(max(changed, -_MOST_WEIGHT), _MOST_WEIGHT)
        return bit

    def _slots(self, middle: int) -> list[int]:
        """Return the slots of the contexts of a decision; one that another decision had is made new."""
        run, found = self._run, []
        for c, key in enumerate(self._keys):
            mixed = _mix(key, (middle - self._first) << 1 | self._stage)
            slot, check = mixed & ((1 << run._bits) - 1), mixed >> 54
            if int(run._slots[c, slot]) & 1023 != check:
                run._slots[c, slot] = 1 << 31 | check
            found.append(slot)
        return found


def _parts(slot: int) -> tuple[int, int, int]:
    """Return the probability, the count and the check of a slot."""
    return slot >> 16, slot >> 10 & 63, slot & 1023


def _mix(key: int, value: int) -> int:
    mixed = (key ^ value & _WRAP) * _GOLDEN & _WRAP
    return mixed ^ mixed >> 32


def _key(first: int, *values: Any) -> int:
    key = _mix(0, first + 1)
    for value in values:
        key = _mix(key, value)
    return key
