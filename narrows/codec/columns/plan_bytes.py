"""Plans as bytes.

For each column, in the order of coding, numbers of `packing.pack_signed_numbers`::

    mask · modulus · lowest · bias · shift · start · rate
    number of terms, for each: column · lag · other · other lag · factor
    number of contexts, for each: number of features, for each: kind · column · lag · shift
    number of edges · edges as differences
    number of leaves

A plan may have a lookup; `pack_lookups` writes those of all plans: their number, and for each the column of the plan,
the column of the keys, the number of keys, the keys as differences, and the numbers.

Three further sequences have, for the leaves of all columns, the gap before each (before the first of a column: its
start), the widths less 1, and the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.packing import pack_signed_numbers, take_signed_numbers
from narrows.codec.columns.plan import MOST_CONTEXTS, ColumnPlan, Feature, Kind, Lookup, Term
from narrows.codec.columns.trees import MOST_WEIGHT, Leaves
from narrows.codec.fields.leb128 import NumberReader
from narrows.errors import CorruptArchiveError

__all__ = ["MOST_COLUMNS", "MOST_KEYS", "pack_lookups", "pack_plans", "take_lookups", "take_plans"]

MOST_COLUMNS = 1 << 17
MOST_KEYS = 1 << 20
MOST_RATE = 1 << 11
_MOST_NUMBERS = 1 << 26
_FAR = 1 << 62
_MOST_TERMS, _MOST_FEATURES, _MOST_LAG, _MOST_SHIFT = 64, 8, 16, 62


def pack_plans(plans: Sequence[ColumnPlan]) -> bytes:
    """Return plans as bytes."""
    numbers: list[int] = [len(plans)]
    gaps: list[int] = []
    for plan in plans:
        numbers += [plan.mask, plan.modulus, plan.lowest, plan.bias, plan.shift, plan.start, plan.rate]
        numbers.append(len(plan.terms))
        for term in plan.terms:
            numbers += [term.column, term.lag, term.other, term.other_lag, term.factor]
        numbers.append(len(plan.contexts))
        for context in plan.contexts:
            numbers.append(len(context))
            for one in context:
                numbers += [one.kind, one.column, one.lag, one.shift]
        numbers += [len(plan.edges), *(b - a for a, b in pairwise([0, *plan.edges]))]
        starts, widths = plan.leaves.starts.tolist(), plan.leaves.widths.tolist()
        numbers.append(len(starts))
        ends = [start + width for start, width in zip(starts, widths, strict=True)]
        gaps += [start - end for start, end in zip(starts, [0, *ends[:-1]], strict=True)]
    widths = np.concatenate([plan.leaves.widths for plan in plans]) - 1 if plans else np.zeros(0, np.int64)
    weights = np.concatenate([plan.leaves.weights for plan in plans]) if plans else np.zeros(0, np.int64)
    return b"".join(map(pack_signed_numbers, (numbers, gaps, widths, weights)))


def pack_lookups(plans: Sequence[ColumnPlan]) -> bytes:
    """Return the lookups of plans as bytes; none if there is none."""
    numbers: list[int] = []
    found = [(k, plan.lookup) for k, plan in enumerate(plans) if plan.lookup is not None]
    for k, lookup in found:
        numbers += [k, lookup.column, len(lookup.keys), *np.diff(lookup.keys, prepend=0).tolist()]
        numbers += lookup.values.tolist()
    return pack_signed_numbers([len(found), *numbers]) if found else b""


def take_lookups(reader: NumberReader, plans: Sequence[ColumnPlan]) -> list[ColumnPlan]:
    """Return plans with the lookups of `pack_lookups`.

    Raises
    ------
    CorruptArchiveError
        If they are damaged.
    """
    numbers, found = _Numbers(take_signed_numbers(reader, _MOST_NUMBERS)), list(plans)
    for _ in range(numbers.one(1, len(plans))):
        k = numbers.one(1, len(plans) - 1)
        column, n = numbers.one(0, k - 1), numbers.one(1, MOST_KEYS)
        keys = accumulate([numbers.signed(), *numbers.some(n - 1, 1, 1 << 62).tolist()])
        known = np.array([min(key, (1 << 63) - 1) for key in keys], np.int64)
        found[k] = replace(found[k], lookup=Lookup(column, known, numbers.some(n, -(1 << 62), 1 << 62)))
    numbers.finish()
    return found


class _Numbers:
    """Takes numbers of a list one after the other."""

    def __init__(self, numbers: list[int]) -> None:
        self._numbers, self._at = numbers, 0

    def one(self, lowest: int, highest: int) -> int:
        found = self._numbers[self._at] if self._at < len(self._numbers) else lowest - 1
        self._at += 1
        if not lowest <= found <= highest:
            raise CorruptArchiveError(f"A plan of columns is damaged: a number is not in {lowest:,} to {highest:,}.")
        return found

    def signed(self) -> int:
        return self.one(-(1 << 62), 1 << 62)

    def some(self, n: int, lowest: int, highest: int) -> NDArray[np.int64]:
        found = np.array(self._numbers[self._at : self._at + n], np.int64)
        self._at += n
        if len(found) != n or (n and not (lowest <= found.min() and found.max() <= highest)):
            raise CorruptArchiveError(f"A plan of columns is damaged: a number is not in {lowest:,} to {highest:,}.")
        return found

    def finish(self) -> None:
        if self._at != len(self._numbers):
            raise CorruptArchiveError(f"A plan of columns has {len(self._numbers) - self._at:,} numbers too many.")


def take_plans(reader: NumberReader) -> list[ColumnPlan]:
    """Return the plans of `pack_plans`.

    Raises
    ------
    CorruptArchiveError
        If they are damaged.
    """
    head, gaps, widths, weights = (_Numbers(take_signed_numbers(reader, _MOST_NUMBERS)) for _ in range(4))
    n = head.one(0, MOST_COLUMNS)
    plans = [_plan(k, n, head, (gaps, widths, weights)) for k in range(n)]
    for numbers in (head, gaps, widths, weights):
        numbers.finish()
    return plans


def _plan(k: int, n: int, head: _Numbers, of_leaves: Sequence[_Numbers]) -> ColumnPlan:
    mask, modulus, lowest = head.one(-1, k - 1), head.one(0, 1 << 62), head.signed()
    bias, shift, start, rate = head.signed(), head.one(0, _MOST_SHIFT), head.signed(), head.one(0, MOST_RATE)
    terms = [_term(k, n, head) for _ in range(head.one(0, _MOST_TERMS))]
    contexts = [
        tuple(_feature(k, n, head) for _ in range(head.one(0, _MOST_FEATURES)))
        for _ in range(head.one(1, MOST_CONTEXTS))
    ]
    edges, edge = [], 0
    for _ in range(head.one(0, 255)):
        edges.append(edge := edge + head.signed())
    leaves = _leaves(head.one(1, 1 << 16), *of_leaves)
    return ColumnPlan(leaves, contexts, terms, bias, shift, modulus, lowest, mask, start, edges, rate)


def _source(k: int, n: int, head: _Numbers, lowest: int = 0) -> tuple[int, int]:
    column, lag = head.one(lowest, n - 1), head.one(0, _MOST_LAG)
    if column >= k and not lag:
        raise CorruptArchiveError(f"Column {k} of a plan needs column {column}, which is coded later.")
    return column, lag


def _term(k: int, n: int, head: _Numbers) -> Term:
    column, lag = _source(k, n, head)
    other, other_lag = _source(k, n, head, -1)
    return Term(column, lag, head.signed(), other, other_lag)


def _feature(k: int, n: int, head: _Numbers) -> Feature:
    kind = Kind(head.one(0, max(Kind)))
    if kind == Kind.PREDICTION:
        column, lag = head.one(0, n - 1), head.one(0, 0)
    else:
        column, lag = _source(k, n, head)
    shift = head.one(1, 1 << 31) if kind == Kind.REMAINDER else head.one(0, _MOST_SHIFT)
    return Feature(kind, column, lag, shift)


def _leaves(n: int, gaps: _Numbers, widths: _Numbers, weights: _Numbers) -> Leaves:
    first, others = gaps.signed(), gaps.some(n - 1, 0, 1 << 62)
    sizes = 1 + widths.some(n, 0, (1 << 32) - 1)
    if sizes.sum() + others.astype(np.float64).sum() > _FAR:  # sums of 64 bits might wrap
        raise CorruptArchiveError("A plan of columns is damaged: its leaves are too wide.")
    ends = first + np.cumsum(np.concatenate([sizes[:1], others + sizes[1:]]))
    if ends[-1] > 1 << 62:
        raise CorruptArchiveError("A plan of columns is damaged: its leaves are too wide.")
    return Leaves(ends - sizes, sizes, weights.some(n, 0, MOST_WEIGHT).astype(np.uint8))
