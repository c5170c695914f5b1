"""The values that can occur, numbered in ascending order.

::

    EVEN      V(i) = offset + factor · i
    LEVELS    V(i) = level i of a list
    DIGITS    decimals with at most S significant digits: 0 … 10^S in steps of 1, up to 10^(S+1) in steps of 10 …;
              and the negative ones; V(i) = D(offset + i)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_DECIMAL_DIGITS", "Form", "Numbering"]

MOST_DECIMAL_DIGITS = 16


class Numbering(IntEnum):
    """How values are numbered; archives store these numbers."""

    EVEN = 0
    LEVELS = 1
    DIGITS = 2


@dataclass(frozen=True, eq=False)
class Form:
    """The values that can occur.

    Attributes
    ----------
    numbering : Numbering
    n : int
        N, their number.
    offset, factor : int
        Of EVEN; the offset of DIGITS.
    modulus : int
        Numbers are coded in multiples of it first, then the rest.
    digits : int
        S, of DIGITS.
    levels : ndarray of int64
        Of LEVELS, ascending.

    Examples
    --------
    >>> form = Form(Numbering.DIGITS, 40, offset=-5, digits=1)
    >>> [form.value(i) for i in (0, 5, 15, 16, 24, 25)]
    [-5, 0, 10, 20, 100, 200]
    >>> form.numbers(np.array([-5, 0, 10, 20, 100, 200])).tolist()
    [0, 5, 15, 16, 24, 25]
    """

    numbering: Numbering
    n: int
    offset: int = 0
    factor: int = 1
    modulus: int = 1
    digits: int = 1
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def settings(self) -> tuple[int, int, int, int, int, int]:
        """All but the levels, as an argument of the kernel."""
        return int(self.numbering), self.n, self.offset, self.factor, self.modulus, self.digits

    @cached_property
    def _decade(self) -> tuple[int, int]:
        return 10**self.digits, 9 * 10 ** (self.digits - 1)

    def value(self, i: int) -> int:
        """Return value number i."""
        if self.numbering == Numbering.LEVELS:
            return int(self.levels[i])
        if self.numbering == Numbering.EVEN:
            return self.offset + self.factor * i
        signed, (top, decade) = self.offset + i, self._decade
        size = abs(signed)
        if size > top:
            size = (top + 10 * ((size - top) % decade)) * 10 ** ((size - top) // decade)
        return -size if signed < 0 else size

    def numbers(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of values that can occur."""
        if self.numbering == Numbering.LEVELS:
            return np.searchsorted(self.levels, values).astype(np.int64)
        if self.numbering == Numbering.EVEN:
            return (values - self.offset) // self.factor
        size, top = np.abs(values), self._decade[0]
        found, unit = np.minimum(size, top), 10
        while (beyond := size > top * unit // 10).any():
            within = np.minimum(size, top * unit)
            found = np.where(beyond, found + (within - top * unit // 10) // unit, found)
            unit *= 10
        return np.sign(values) * found - self.offset
