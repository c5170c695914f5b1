"""A sample of rows, on which plans of columns are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.coder import Table, measure_rows
from narrows.codec.columns.fitting.estimates import Symbols
from narrows.codec.columns.plan import ColumnPlan, Feature, Kind, Layout
from narrows.codec.columns.streams import Stream
from narrows.codec.columns.trees import Leaves

__all__ = ["NO_LEAVES", "Sample"]

NO_LEAVES = Leaves(np.zeros(1, np.int64), np.ones(1, np.int64), np.zeros(1, np.uint8))
_LEAST_BITS, _MOST_BITS = 8, 17
_N_EDGES, _MOST_PLAIN = 16, 4
Ints = NDArray[np.int64]


class Sample:
    """Rows of streams in the order of coding.

    Parameters
    ----------
    streams : sequence of Stream
        The streams, in the order of coding, with masks numbered in it.
    rows : ndarray of shape (n,), int64
        The rows of the sample.

    Attributes
    ----------
    plans : list of ColumnPlan
        The plans of the first columns.
    """

    def __init__(self, streams: Sequence[Stream], rows: Ints) -> None:
        self.streams, self.rows, self.plans = list(streams), rows, list[ColumnPlan]()
        self.values = np.ascontiguousarray(np.stack([one.values[rows] for one in streams]))
        self._derived = np.zeros((2, *self.values.shape), np.int32)
        self.starts = [int(np.median(one.known(one.values))) for one in streams]
        self.edges = [_edges(one) for one in streams]

    def present(self, k: int) -> NDArray[np.bool_]:
        """Return where stream k has a number, in the sample."""
        one = self.streams[k]
        return np.ones(len(self.rows), bool) if one.present is None else one.present[self.rows]

    def value(self, k: int, lag: int = 0) -> Ints:
        """Return the numbers of stream k some rows above."""
        return _lagged(self.values[k], lag, self.starts[k])

    def prediction(self, plan: ColumnPlan) -> Ints:
        """Return the prediction of each row."""
        total = np.full(len(self.rows), plan.bias, np.int64)
        for term in plan.terms:
            x = self.value(term.column, term.lag)
            total += (x * self.value(term.other, term.other_lag) if term.other >= 0 else x) * term.factor
        return (total >> plan.shift) + (plan.lookup.of(self.value(plan.lookup.column)) if plan.lookup else 0)

    def feature(self, one: Feature, predicted: Ints) -> Ints:
        """Return a feature of each row."""
        if one.kind == Kind.PREDICTION:
            return predicted >> one.shift
        if one.kind == Kind.RESIDUAL:
            return _lagged(self._derived[0, one.column], one.lag, 0).astype(np.int64) >> one.shift
        value = self.value(one.column, one.lag)
        if one.kind == Kind.QUANTISED:
            return np.searchsorted(np.array(self.edges[one.column], np.int64), value, "right") >> one.shift
        if one.kind == Kind.VALUE:
            return value >> one.shift
        return value % one.shift if one.kind == Kind.REMAINDER else value - predicted >> one.shift

    def symbols(self, k: int, plan: ColumnPlan) -> Symbols:
        """Return the residuals of stream k as symbols."""
        return Symbols(_reduced(self.values[k] - self.prediction(plan), plan)[self.present(k)])

    def all_residuals(self, k: int, plan: ColumnPlan, group: int) -> Ints:
        """Return the residuals of all rows of the table, in groups."""
        total = np.full(len(self.streams[k].values), plan.bias, np.int64)
        for term in plan.terms:
            x = self._all(term.column, term.lag, group)
            total += (x * self._all(term.other, term.other_lag, group) if term.other >= 0 else x) * term.factor
        predicted = (total >> plan.shift) + (
            plan.lookup.of(self.streams[plan.lookup.column].values) if plan.lookup else 0
        )
        return self.streams[k].known(_reduced(self.streams[k].values - predicted, plan))

    def _all(self, k: int, lag: int, group: int) -> Ints:
        values = _lagged(self.streams[k].values, lag, self.starts[k])
        for row in range(lag):
            values[row::group] = self.starts[k]
        return values

    def measure(self, k: int, plan: ColumnPlan) -> float:
        """Return the bits a row of stream k, whose residuals and quantised numbers are kept."""
        used = sorted(_sources(plan) | {k})
        place = {column: at for at, column in enumerate(used)}
        plans = [
            _renumbered(plan, place)
            if column == k
            else ColumnPlan(NO_LEAVES, start=self.starts[column], edges=self.edges[column])
            for column in used
        ]
        layout = Layout(plans, [column == k for column in used])
        table = Table(*(np.ascontiguousarray(rows[used].T) for rows in (self.values, *self._derived)))
        n_buckets = len(self.rows) * len(plan.contexts) // 2
        room = min(max(n_buckets.bit_length(), _LEAST_BITS), _MOST_BITS)
        bits = measure_rows(layout, room, table)[place[k]]
        self.values[k] = table.values[:, place[k]]
        self._derived[0, k] = table.residuals[:, place[k]]
        self._derived[1, k] = table.quantised[:, place[k]]
        return float(bits) / len(self.rows)


def _edges(stream: Stream) -> tuple[int, ...]:
    """Return what divides the numbers of a stream into about 16 parts of equal size, if it has many."""
    numbers = stream.known(stream.values)
    if not stream.is_number or len(np.unique(numbers)) <= _MOST_PLAIN:
        return ()
    shares = np.arange(1, _N_EDGES) / _N_EDGES
    return tuple(np.unique(np.quantile(numbers, shares, method="nearest")).tolist())


def _lagged(values: NDArray[Any], lag: int, start: int) -> NDArray[Any]:
    if not lag:
        return values
    found = np.empty_like(values)
    found[:lag], found[lag:] = start, values[: len(values) - lag]
    return found


def _reduced(residuals: Ints, plan: ColumnPlan) -> Ints:
    if not plan.modulus:
        return residuals
    half = plan.modulus // 2
    return (residuals + half) % plan.modulus - half


def _sources(plan: ColumnPlan) -> set[int]:
    found = {plan.mask} | {one.column for context in plan.contexts for one in context if one.kind != Kind.PREDICTION}
    for term in plan.terms:
        found |= {term.column, term.other}
    return (found | ({plan.lookup.column} if plan.lookup else set())) - {-1}


def _renumbered(plan: ColumnPlan, place: dict[int, int]) -> ColumnPlan:
    """Return a plan for the places of columns; -1 stays."""
    at = place | {-1: -1}
    contexts = [tuple(replace(one, column=at.get(one.column, 0)) for one in context) for context in plan.contexts]
    terms = [replace(term, column=at[term.column], other=at[term.other]) for term in plan.terms]
    lookup = plan.lookup and replace(plan.lookup, column=at[plan.lookup.column])
    return replace(plan, contexts=contexts, terms=terms, mask=at[plan.mask], lookup=lookup)
