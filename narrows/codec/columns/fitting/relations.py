"""Exact relations of columns of numbers: sums, differences, and quotients, found in a sample of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.plan import Term
from narrows.codec.columns.streams import Stream

__all__ = ["Relation", "choose_relations", "find_relations"]

DAY = 1440
_LEAST_ROWS, _MOST_ROWS, _SHARE = 100, 2000, 0.98
_MOST_COLUMNS = 24
_QUOTIENT_BITS = 32
_MOST_QUOTIENT_SLOPE = 0.7


@dataclass(frozen=True)
class Relation:
    """A column is ``(bias + Σ terms) >> shift``; columns of terms are streams."""

    column: int
    terms: tuple[Term, ...]
    bias: int
    shift: int = 0

    @property
    def sources(self) -> set[int]:
        """The columns of the terms."""
        return {term.column for term in self.terms}


def find_relations(streams: Sequence[Stream], rows: NDArray[np.int64]) -> list[Relation]:
    """Return the relations of one or two columns to another that nearly all of these rows keep."""
    rows = rows[:: max(len(rows) // _MOST_ROWS, 1)]
    numbers = [j for j, one in enumerate(streams) if one.is_number and np.ptp(one.values[rows])]
    if len(rows) < _LEAST_ROWS or len(numbers) > _MOST_COLUMNS:
        return []
    values = {j: streams[j].values[rows] for j in numbers}
    present = {j: _present(streams[j], rows) for j in numbers}
    found: list[Relation] = []
    for j in numbers:
        for i, a in enumerate(numbers):
            known = present[j] & present[a]
            if a == j or known.sum() < _LEAST_ROWS:
                continue
            one = _of_one(j, a, values[j][known], values[a][known], streams[j].is_clock)
            found += [one] if one else []
            for b in numbers[i + 1 :]:
                both = known & present[b]
                if b == j or both.sum() < _LEAST_ROWS:
                    continue
                three = np.stack([values[one][both] for one in (j, a, b)])
                two = _of_two((j, a, b), three, streams[j].is_clock)
                found += [two] if two else []
    return found


def _present(stream: Stream, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.ones(len(rows), bool) if stream.present is None else stream.present[rows]


def _constant(residuals: NDArray[np.int64], is_clock: bool) -> int | None:
    """Return the number that nearly all residuals are, or None."""
    if is_clock:
        residuals = (residuals + DAY // 2) % DAY - DAY // 2
    middle = int(np.sort(residuals)[len(residuals) // 2])
    return middle if (residuals == middle).mean() > _SHARE else None


def _of_one(j: int, a: int, y: NDArray[np.int64], x: NDArray[np.int64], is_clock: bool) -> Relation | None:
    for sign in (1, -1):
        if (bias := _constant(y - sign * x, is_clock)) is not None:
            return Relation(j, (Term(a, 0, sign),), bias)
    if abs(x).max() >= 1 << 28 or not np.ptp(x):
        return None
    slope = float(np.cov(x, y)[0, 1] / np.var(x, ddof=1))
    if not 1e-6 < abs(slope) < _MOST_QUOTIENT_SLOPE:
        return None
    divisor = round(1 / slope)
    if (bias := _constant(y - x // divisor, is_clock=False)) is None:
        return None
    factor = -(-(1 << _QUOTIENT_BITS) // abs(divisor)) * (1 if divisor > 0 else -1)
    if not (x * factor >> _QUOTIENT_BITS == x // divisor).all():
        return None
    return Relation(j, (Term(a, 0, factor),), bias << _QUOTIENT_BITS, _QUOTIENT_BITS)


def _of_two(columns: tuple[int, int, int], values: NDArray[np.int64], is_clock: bool) -> Relation | None:
    (j, a, b), (y, x, z) = columns, values
    factors = [(1, 1), (1, -1), (-1, 1)]
    inputs = np.stack([x, z, np.ones(len(x))], 1)
    solved = np.linalg.lstsq(inputs.astype(float), y.astype(float), rcond=None)[0]
    rounded = round(float(solved[0])), round(float(solved[1]))
    if all(0 < abs(one) < 1 << 20 for one in rounded):
        factors.append(rounded)
    for one, two in factors:
        if (bias := _constant(y - one * x - two * z, is_clock)) is not None:
            return Relation(j, (Term(a, 0, one), Term(b, 0, two)), bias)
    return None


def choose_relations(found: Sequence[Relation], bits: NDArray[np.float64]) -> dict[int, Relation]:
    """Return relations that do not go in circles, by their columns: short ones first, then those that save most."""
    chosen: dict[int, Relation] = {}

    def needs(column: int, target: int) -> bool:
        return column == target or (column in chosen and any(needs(one, target) for one in chosen[column].sources))

    for one in sorted(found, key=lambda one: (len(one.terms), -bits[one.column], one.column)):
        if one.column not in chosen and not any(needs(source, one.column) for source in one.sources):
            chosen[one.column] = one
    return chosen
