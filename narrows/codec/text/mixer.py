"""Mixing: what is learnt of contexts and matches, and the weights of their predictions.

A *map* has a state of `fields.adaptive` for each state of a cell: its last bits, and n below 8, 20, 250 or not. *Hits*
have states of whether a match is right: by the length (below 1, 4, 8, 12, 16, 24, 32 or not) and the misses, at most 7.
In units of 1/256 of a natural logarithm of odds, limited to ±2047, the inputs are ::

    x[i], x[24 + i]         of context i: those of its cell and of the state of its map; 0 if n = 0
    x[20 + k], x[44 + k]    of match k: that of its hits h if it expects a 1, else its opposite; 256 if h > 0, else 0,
                            with the same sign; 0 without a match, or if it disagrees with the first bits of the byte
    x[23]                   256

Five or six sets of weights each give an output; each uses the row of one context. The outputs are mixed again::

    y[k] = (Σ (x w[k]) >> 8) >> 8         z = (Σ y v) >> 16                           limited to ±2815 each
    w[k] += (x e[k] + 2^15) >> 16         e[k] = (2^16 bit - SQUASH[y[k]]) rate >> 8  limited to ±2^19
    v[k] += (y[k] (2^16 bit - SQUASH[z]) 2 + 2^19) >> 20

The first models have 18 contexts and five sets.

The rate is 32 + ⌊192 · 20000 / (20000 + n)⌋ after n bytes, n at most 2^24.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.adaptive import MOST_COUNT, RATES
from narrows.codec.text.line import Line, class_of
from narrows.codec.text.matches import Match
from narrows.codec.text.tables import MOST_CELL_COUNT, MOST_STRETCHED, N_MATCHES, SQUASH, STRETCH

__all__ = [
    "FIRST",
    "LARGER",
    "N_LEARNT",
    "OF_COUNT",
    "OF_END",
    "Bit",
    "Size",
    "new_learnt",
    "numbers_of",
    "set_numbers",
    "updated_state",
]


class Size(NamedTuple):
    """The number of contexts and of sets of weights."""

    n_contexts: int
    n_sets: int


FIRST, LARGER = Size(18, 5), Size(20, 6)

_N_CONTEXTS = LARGER.n_contexts
_N_INPUTS, _HALF, _N_MAP, _N_HITS, _N_LAST = 48, 24, 1024, 64, 8
_ROWS = _, _BY_BYTE, _BY_MATCH, _BY_KNOWN, _BY_SHAPE, _BY_KEY, _N_ROWS = 0, 256, 512, 836, 1004, 2004, 2516
_ONE, _MOST_WEIGHT, _MOST_LEARNT = 256, 1 << 19, 1 << 24
_LENGTH_BOUNDS = np.array([1, 4, 8, 12, 16, 24, 32])
_COUNT_BOUNDS = np.array([8, 20, MOST_CELL_COUNT])

OF_COUNT, OF_END, _OF_MAPS = 0, 1, 16
_OF_HITS = _OF_MAPS + _N_CONTEXTS * _N_MAP
_OF_WEIGHTS = _OF_HITS + N_MATCHES * _N_HITS
_OF_LAST = _OF_WEIGHTS + _N_ROWS * _N_INPUTS
N_LEARNT = _OF_LAST + 256 * _N_LAST


def new_learnt(size: Size) -> NDArray[np.int32]:
    """Return what is known before the first byte: count, state of record ends, maps, hits, weights."""
    learnt = np.zeros(N_LEARNT, np.int32)
    states = learnt.view(np.uint32)
    states[OF_END] = 1 << 31
    by_history = np.full(256, 1 << 21, np.int64)
    for history in range(2, 128):
        n = history.bit_length() - 1
        ones = history.bit_count() - 1
        by_history[history] = (10 * ones + 4) * ((1 << 22) - 1) // (10 * n + 8)
    states[_OF_MAPS:_OF_HITS] = np.tile(by_history << 10, _N_CONTEXTS * _N_MAP // 256)
    states[_OF_HITS:_OF_WEIGHTS] = 9 * ((1 << 22) - 1) // 10 << 10
    learnt[_OF_WEIGHTS:_OF_LAST] = 7864
    learnt[_OF_LAST:] = (1 << 16) // size.n_sets
    return learnt


def numbers_of(learnt: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return what is averaged of what is learnt: the probabilities of maps and hits, in 22 bits, and all weights."""
    numbers = learnt[_OF_MAPS:].astype(np.int64)
    numbers[: _OF_WEIGHTS - _OF_MAPS] = learnt.view(np.uint32)[_OF_MAPS:_OF_WEIGHTS] >> 10
    return numbers


def set_numbers(learnt: NDArray[np.int32], numbers: NDArray[np.int64]) -> None:
    """Set what `numbers_of` returns."""
    states, n_states = learnt.view(np.uint32)[_OF_MAPS:_OF_WEIGHTS], _OF_WEIGHTS - _OF_MAPS
    states[:] = numbers[:n_states].astype(np.uint32) << 10 | states & 1023
    learnt[_OF_WEIGHTS:] = numbers[n_states:]


def updated_state(state: int, bit: int) -> int:
    """Return a state of `fields.adaptive` after a bit."""
    n, p = state & 1023, state >> 10
    p += ((bit << 22) - bit - p) * int(RATES[n]) >> 16
    return p << 10 | min(n + 1, MOST_COUNT)


def _limited(x: int) -> int:
    return max(-MOST_STRETCHED, min(x, MOST_STRETCHED))


def _squashed(x: int) -> int:
    return int(SQUASH[x + MOST_STRETCHED])


@dataclass(eq=False)
class Bit:
    """The prediction of a bit, from which can be learnt.

    Parameters
    ----------
    learnt : ndarray of int32
        What is learnt; changed by `learn`.
    partial, place : int
        The byte so far, after a 1; the number of its bits.
    n_sets : int
        The number of sets of weights.
    """

    learnt: NDArray[np.int32]
    partial: int
    place: int
    n_sets: int
    _maps: list[int] = field(default_factory=list)
    _hits: dict[int, int] = field(default_factory=dict)
    _expected: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._states = self.learnt.view(np.uint32)
        self._x = np.zeros(_N_INPUTS, np.int64)
        self._x[_HALF - 1] = _ONE

    def predict(self, cells: Sequence[int], matches: Sequence[Match], bytes_: Sequence[int], line: Line) -> int:
        """Return the probability of a 1, in 16 bits.

        Parameters
        ----------
        cells : sequence of int
            The cell of each context.
        matches : sequence of Match
            The matches.
        bytes_ : sequence of int
            The byte that each match predicts, plus 256; 0 without one.
        line : Line
            The line.
        """
        self._add_contexts(cells)
        self._add_matches(matches, bytes_)
        n_known = sum(cell >> 8 & 255 > 0 for cell in cells)
        rows = self._rows(matches, n_known, line)[: self.n_sets]
        self._weights = [slice(at := _OF_WEIGHTS + row * _N_INPUTS, at + _N_INPUTS) for row in rows]
        self._last = slice(at := _OF_LAST + self.partial * _N_LAST, at + self.n_sets)
        products = [(self._x * self.learnt[row] >> 8).sum() for row in self._weights]
        self._y = [_limited(int(product) >> 8) for product in products]
        self._z = _limited(int(np.array(self._y) @ self.learnt[self._last].astype(np.int64)) >> 16)
        return _squashed(self._z)

    def _add_contexts(self, cells: Sequence[int]) -> None:
        for i, cell in enumerate(cells):
            n = cell >> 8 & 255
            kind = int(np.searchsorted(_COUNT_BOUNDS, n, "right"))
            at = _OF_MAPS + i * _N_MAP + kind * 256 + (cell & 255)
            self._maps.append(at if n else 0)
            if n:
                self._x[[i, _HALF + i]] = STRETCH[cell >> 20], STRETCH[int(self._states[at]) >> 20]

    def _add_matches(self, matches: Sequence[Match], bytes_: Sequence[int]) -> None:
        for k, (match, byte) in enumerate(zip(matches, bytes_, strict=True)):
            if byte >> 8 - self.place != self.partial:
                continue
            length = int(np.searchsorted(_LENGTH_BOUNDS, match.length, "right"))
            self._hits[k] = at = _OF_HITS + k * _N_HITS + length * 8 + min(match.misses, 7)
            self._expected[k] = byte >> 7 - self.place & 1
            sign, sure = 2 * self._expected[k] - 1, int(STRETCH[int(self._states[at]) >> 20])
            self._x[_N_CONTEXTS + k] = sign * sure
            self._x[_HALF + _N_CONTEXTS + k] = sign * _ONE if sure > 0 else 0

    def _rows(self, matches: Sequence[Match], n_known: int, line: Line) -> list[int]:
        """Return the rows by partial byte, last byte, matches, known contexts, last classes and key."""
        first = second = third = agree = 0
        if 0 in self._hits:
            first = 1 + (matches[0].length > 15) + (matches[0].length > 31)
        if 1 in self._hits:
            second = 1 + int(np.searchsorted(_LENGTH_BOUNDS, matches[1].length, "right"))
        if 2 in self._hits:
            third = 1 + (matches[2].misses < 1)
        if 0 in self._hits and 2 in self._hits:
            agree = 1 if self._expected[0] == self._expected[2] else 2
        by_match = ((second * 4 + first) * 3 + third) * 3 + agree
        one, two, three = (class_of(line.window >> 8 * back & 255) for back in range(3))
        by_shape = ((one * 5 + two) * 5 + three) * 8 + self.place
        known = _BY_KNOWN + n_known * 8 + self.place
        by_line = _BY_SHAPE + by_shape, _BY_KEY + (line.key & 63) * 8 + self.place
        return [self.partial, _BY_BYTE + (line.window & 255), _BY_MATCH + by_match, known, *by_line]

    def learn(self, bit: int) -> None:
        """Learn from the bit."""
        for at in filter(None, self._maps):
            self._states[at] = updated_state(int(self._states[at]), bit)
        for k, at in self._hits.items():
            self._states[at] = updated_state(int(self._states[at]), self._expected[k] == bit)
        rate = 32 + 192 * 20000 // (20000 + int(self.learnt[OF_COUNT]))
        error = (bit << 16) - _squashed(self._z)
        self.learnt[self._last] += (np.array(self._y) * error * 2 + (1 << 19)) >> 20
        for row, y in zip(self._weights, self._y, strict=True):
            e = ((bit << 16) - _squashed(y)) * rate >> 8
            learnt = self.learnt[row] + ((self._x * e + (1 << 15)) >> 16)
            self.learnt[row] = np.clip(learnt, -_MOST_WEIGHT, _MOST_WEIGHT)

    @staticmethod
    def count(learnt: NDArray[np.int32]) -> None:
        """Count a byte that was learnt from."""
        learnt[OF_COUNT] = min(int(learnt[OF_COUNT]) + 1, _MOST_LEARNT)
