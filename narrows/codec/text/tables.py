"""The tables of the model of bytes: what is known of contexts and places in the text, and what is learnt of them.

A *bucket* has a check of 32 bits and 15 *cells*: one for each state of four bits of a byte, the partial byte 1, 1b, 1bb
or 1bbb. A cell has the probability of a 1 in 16 bits, the number n of bits seen in 8, at most 250, and the last bits
after a 1, at most 7 of them. A bit b is added by::

    p += ((b · 2^16 - b - p) · RATES[n]) >> 16        n = min(n + 1, 250)

The bucket of a hash h is i = h mod 2^bits, or i with the lowest bit inverted; its check is h >> 32, with the lowest bit
set. If neither bucket has the check, the first of them is cleared, unless the second is empty and the first is not, or
both are in use and fewer bits were seen in the first cell of the second.

A *head* is the last position in the text at which a hash occurred, 0 if it has not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.adaptive import RATES

__all__ = [
    "CELL_HALF",
    "MOST_BITS",
    "MOST_CELL_COUNT",
    "MOST_STRETCHED",
    "N_CELLS",
    "N_MATCHES",
    "SQUASH",
    "STRETCH",
    "Tables",
    "mix",
    "updated_cell",
]

N_CELLS, N_MATCHES = 16, 3
CELL_HALF, MOST_CELL_COUNT = 0x80000001, 250
MOST_BITS = 22
"""The largest number of bits of the number of a bucket."""

MOST_STRETCHED = 2815
_MOST_INPUT, _UNITS_PER_NAT = 2047, 256
_MASK = (1 << 64) - 1


def _stretched(p: float) -> int:
    return max(-_MOST_INPUT, min(round(math.log(p / (1 - p)) * _UNITS_PER_NAT), _MOST_INPUT))


def _squashed(x: int) -> int:
    return max(1, min(round(65536 / (1 + math.exp(-x / _UNITS_PER_NAT))), 65535))


STRETCH: NDArray[np.int16] = np.array([_stretched((k + 0.5) / 4096) for k in range(4096)], np.int16)
"""256 · ln(p / (1 - p)) of a probability p in 12 bits, at most 2047 in magnitude."""

SQUASH: NDArray[np.uint16] = np.array([_squashed(x) for x in range(-MOST_STRETCHED, MOST_STRETCHED + 1)], np.uint16)
"""The inverse, in 16 bits, for -2815 to 2815."""


def mix(a: int, b: int) -> int:
    """Return a hash, of 64 bits, of a hash and a number."""
    x = (a + b + 0x9E3779B97F4A7C15) * 0xD6E8FEB86659FD93 & _MASK
    return x ^ x >> 32


def updated_cell(cell: int, bit: int) -> int:
    """Return a cell after a bit."""
    p, n, last = cell >> 16, cell >> 8 & 255, (cell & 255) << 1 | bit
    p += ((bit << 16) - bit - p) * int(RATES[n]) >> 16
    return p << 16 | min(n + 1, MOST_CELL_COUNT) << 8 | (last if last < 128 else 64 | last & 63)


def _zeros(n: int) -> NDArray[np.uint32]:
    """Return n zeros whose buckets lie in one line of the cache each, which is faster by a tenth."""
    found = np.zeros(n + N_CELLS, np.uint32)
    first = -found.ctypes.data // found.itemsize % N_CELLS
    return found[first : first + n]


def _copy(cells: NDArray[np.uint32]) -> NDArray[np.uint32]:
    found = _zeros(len(cells))
    found[:] = cells
    return found


@dataclass(eq=False)
class Tables:
    """Buckets and heads, whose changes can be reverted: the old values are kept at the first change.

    Attributes
    ----------
    cells : ndarray of shape (16 · 2^bits,), uint32
        The buckets.
    heads : ndarray of shape (3 · 2^bits,), uint32
        The heads of each kind of match.
    is_old, is_old_head : ndarray of uint8
        Which buckets and heads have an old value.
    old_at, old_cells, old_heads : ndarray of uint32
        The numbers of buckets that changed, their old cells, and pairs of the number and the old value of heads.
    """

    cells: NDArray[np.uint32]
    heads: NDArray[np.uint32]
    is_old: NDArray[np.uint8]
    is_old_head: NDArray[np.uint8]
    old_at: NDArray[np.uint32]
    old_cells: NDArray[np.uint32]
    old_heads: NDArray[np.uint32]
    n_old: int = 0
    n_old_heads: int = 0
    keeps: bool = False

    @classmethod
    def empty(cls, bits: int) -> Tables:
        """Return tables of a text of no bytes."""
        n, n_heads = 1 << bits, N_MATCHES << bits
        return cls(
            _zeros(N_CELLS * n),
            np.zeros(n_heads, np.uint32),
            np.zeros(n, np.uint8),
            np.zeros(n_heads, np.uint8),
            np.empty(n, np.uint32),  # memory is taken when it is written
            np.empty(N_CELLS * n, np.uint32),
            np.empty(2 * n_heads, np.uint32),
        )

    def copy(self) -> Tables:
        """Return an independent copy."""
        n, n_heads = len(self.is_old), len(self.heads)
        return replace(
            self,
            cells=_copy(self.cells),
            heads=self.heads.copy(),
            is_old=np.zeros(n, np.uint8),
            is_old_head=np.zeros(n_heads, np.uint8),
            old_at=np.empty(n, np.uint32),
            old_cells=np.empty(N_CELLS * n, np.uint32),
            old_heads=np.empty(2 * n_heads, np.uint32),
        )

    def arrays(self) -> tuple[NDArray[np.uint32] | NDArray[np.uint8], ...]:
        """Return the arrays in the order of the kernel's arguments."""
        old = self.is_old, self.old_at, self.old_cells
        return (self.cells, *old, self.heads, self.is_old_head, self.old_heads)

    def bucket_of(self, hashed: int) -> int:
        """Return the position of the bucket of a hash, which is cleared if another hash had it."""
        number = hashed & len(self.is_old) - 1
        one, two, check = N_CELLS * number, N_CELLS * (number ^ 1), hashed >> 32 | 1
        found = int(self.cells[one]), int(self.cells[two])
        if check in found:
            at = one if check == found[0] else two
        else:
            seen = [int(self.cells[at + 1]) >> 8 & 255 for at in (one, two)]
            at = one if not found[0] or (found[1] and seen[0] <= seen[1]) else two
        self._keep(at // N_CELLS)
        if check not in found:
            self.cells[at] = check
            self.cells[at + 1 : at + N_CELLS] = CELL_HALF
        return at

    def _keep(self, number: int) -> None:
        if self.keeps or self.is_old[number]:
            return
        self.is_old[number], self.old_at[self.n_old] = 1, number
        self.old_cells.reshape(-1, N_CELLS)[self.n_old] = self.cells.reshape(-1, N_CELLS)[number]
        self.n_old += 1

    def set_head(self, place: int, at: int) -> None:
        """Set a head to a position."""
        if not self.keeps and not self.is_old_head[place]:
            self.is_old_head[place] = 1
            self.old_heads[2 * self.n_old_heads : 2 * self.n_old_heads + 2] = place, self.heads[place]
            self.n_old_heads += 1
        self.heads[place] = at

    def revert(self) -> None:
        """Revert all changes since the last call."""
        numbers = self.old_at[: self.n_old]
        self.cells.reshape(-1, N_CELLS)[numbers] = self.old_cells.reshape(-1, N_CELLS)[: self.n_old]
        self.is_old[numbers] = 0
        places, values = self.old_heads[: 2 * self.n_old_heads].reshape(-1, 2).T
        self.heads[places] = values
        self.is_old_head[places] = 0
        self.n_old = self.n_old_heads = 0
