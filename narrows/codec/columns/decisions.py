"""The probability of a decision: contexts find states in a table; maps refine their predictions, which are mixed.

Context j of column k has the hash h = k · 12 + j, then h = mix(h, f) for each feature f (`text.tables.mix`). In block b
of the tree, its bucket has the hash h, or mix(h, b) if b > 0. A *bucket* has a check of 32 bits and seven states of
`fields.adaptive`, one for each cell of the block. There are 2^bits; the bucket of a hash is i = h mod 2^bits, or i
with the lowest bit inverted, and its check is h >> 32, with the lowest bit set. If neither has the check, the first of
them is cleared, unless the second is empty and the first is not, or both are in use and fewer bits were seen in the
first state of the second.

A *map* has, for each context, a state for each class of counts n (0, 1, … 5, then from 6, 8, 12, 20, 40, 80, 160 and
250) and ⌊(s + 2048) / 128⌋, where s is the stretched probability of the context's state (`text.tables.STRETCH`). In
units of 1/256 of a natural logarithm of odds, the inputs are ::

    x[2 j], x[2 j + 1]   those of the state, and of the state of its map; 0 if n = 0
    x[2 J]               256, for J contexts

Three sets of weights each give an output, that of row ::

    number of the node, at most 127
    8 · (number of contexts with n > 0) + depth, at most 7
    4 (4 c[1] + c[2]) + c[3]     c[j] = 0 if n = 0, 1 to 3, 2 to 30, or 3; without context j, it is left out

The outputs are mixed again, and weights adjusted, as in `text.mixer`, without its division into 5 sets. The rate is
``rate + ⌊224 · 400 / (400 + n)⌋`` after n bits of the node, n at most 2^20. If n > 0, the state of the map learns; the
state of the context always does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.plan import MOST_CONTEXTS, N_BY_KNOWN, N_BY_NODE, N_LAST, N_MAP, N_SETS, Layout
from narrows.codec.fields.adaptive import MOST_COUNT
from narrows.codec.text.mixer import updated_state
from narrows.codec.text.tables import MOST_STRETCHED, SQUASH, STRETCH, mix

__all__ = ["N_SLOT", "Decider", "State"]

N_SLOT = 8
_ONE, _MOST_WEIGHT, _MOST_LEARNT = 256, 1 << 19, 1 << 20
_COUNT_BOUNDS = np.array([1, 2, 3, 4, 5, 6, 8, 12, 20, 40, 80, 160, MOST_COUNT])
_FIRST_RATE, _RATE_BITS = 224, 400


@dataclass(eq=False)
class State:
    """What is learnt of rows: the buckets, and maps and weights."""

    cells: NDArray[np.uint32]
    learnt: NDArray[np.int32]

    @classmethod
    def empty(cls, layout: Layout, bits: int) -> State:
        """Return the state before the first row, with 2^bits buckets."""
        return cls(np.zeros(N_SLOT << bits, np.uint32), layout.new_learnt())

    def bucket_of(self, hashed: int) -> int:
        """Return the position of the bucket of a hash, which is cleared if another hash had it."""
        number = hashed & len(self.cells) // N_SLOT - 1
        one, two, check = N_SLOT * number, N_SLOT * (number ^ 1), hashed >> 32 | 1
        found = int(self.cells[one]), int(self.cells[two])
        if check in found:
            return one if check == found[0] else two
        seen = [int(self.cells[at + 1]) & 1023 for at in (one, two)]
        at = one if not found[0] or (found[1] and seen[0] <= seen[1]) else two
        self.cells[at] = check
        self.cells[at + 1 : at + N_SLOT] = 1 << 31
        return at


def _limited(x: int) -> int:
    return max(-MOST_STRETCHED, min(x, MOST_STRETCHED))


def _squashed(x: int) -> int:
    return int(SQUASH[x + MOST_STRETCHED])


class Decider:
    """Predicts the decisions of one number and learns from them.

    Parameters
    ----------
    state : State
        What is learnt.
    hashes : list of int
        The hash of each context.
    places : tuple of int
        Where the column's maps, weights and last weights are.
    rate : int
        The lowest rate.
    """

    def __init__(self, state: State, hashes: list[int], places: tuple[int, int, int], rate: int) -> None:
        assert len(hashes) <= MOST_CONTEXTS
        self._state, self._hashes, self._rate = state, hashes, rate
        self._of_maps, self._of_weights, self._of_last = places
        self._n_inputs = 2 * len(hashes) + 8 & ~7
        self._states = state.learnt.view(np.uint32)

    def predict(self, number: int, block: int, cell: int, depth: int) -> int:
        """Return the probability, in 16 bits, of a 1 at a node."""
        cells, learnt = self._state.cells, self._state.learnt
        x = np.zeros(self._n_inputs, np.int64)
        self._cells, self._maps, counts = [], [], []
        if cell == 1:
            hashes = [mix(hashed, block) if block else hashed for hashed in self._hashes]
            self._buckets = [self._state.bucket_of(hashed) for hashed in hashes]
        for i, bucket in enumerate(self._buckets):
            self._cells.append(bucket + cell)
            state = int(cells[self._cells[-1]])
            n, stretched = state & 1023, int(STRETCH[state >> 20])
            kind = int(np.searchsorted(_COUNT_BOUNDS, n, "right"))
            self._maps.append(self._of_maps + i * N_MAP + 32 * kind + (stretched + 2048 >> 7))
            if n:
                x[2 * i : 2 * i + 2] = stretched, STRETCH[int(self._states[self._maps[-1]]) >> 20]
            counts.append(n)
        x[2 * len(self._hashes)] = _ONE
        by_counts = 0
        for n in counts[1:4]:
            by_counts = 4 * by_counts + (1 + (n > 3) + (n > 30) if n else 0)
        by_node = min(number, N_BY_NODE - 1)
        by_known = N_BY_NODE + 8 * sum(n > 0 for n in counts) + min(depth, 7)
        rows = by_node, by_known, N_BY_NODE + N_BY_KNOWN + by_counts
        self._weights = [slice(at := self._of_weights + row * self._n_inputs, at + self._n_inputs) for row in rows]
        self._last = self._of_last + by_node * N_LAST
        self._x = x
        products = [(x * learnt[row] >> 8).sum() for row in self._weights]
        self._y = [_limited(int(product) >> 8) for product in products]
        last = learnt[self._last : self._last + N_SETS].tolist()
        self._z = _limited(sum(y * w for y, w in zip(self._y, last, strict=True)) >> 16)
        return _squashed(self._z)

    def learn(self, bit: int) -> None:
        """Learn from the decision."""
        learnt = self._state.learnt
        count = self._last + N_LAST - 1
        rate = self._rate + _FIRST_RATE * _RATE_BITS // (_RATE_BITS + int(learnt[count]))
        learnt[count] += learnt[count] < _MOST_LEARNT
        error = (bit << 16) - _squashed(self._z)
        for at, cell in zip(self._maps, self._cells, strict=True):
            state = int(self._state.cells[cell])
            if state & 1023:
                self._states[at] = updated_state(int(self._states[at]), bit)
            self._state.cells[cell] = updated_state(state, bit)
        for k, (row, y) in enumerate(zip(self._weights, self._y, strict=True)):
            learnt[self._last + k] += y * error * 2 + (1 << 19) >> 20
            e = ((bit << 16) - _squashed(y)) * rate >> 8
            learnt[row] = (learnt[row] + (self._x * e + (1 << 15) >> 16)).clip(-_MOST_WEIGHT, _MOST_WEIGHT)
