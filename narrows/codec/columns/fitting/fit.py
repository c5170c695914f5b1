"""The plans of a table's streams, chosen one after the other on a sample of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.fitting.contexts import Effort, add_contexts, best_single
from narrows.codec.columns.fitting.estimates import bits_given, leaves_of
from narrows.codec.columns.fitting.lookups import determined_bits, find_lookup
from narrows.codec.columns.fitting.order import file_order, order_of, pair_bits
from narrows.codec.columns.fitting.predictions import predictions_of
from narrows.codec.columns.fitting.relations import Relation, choose_relations, find_relations
from narrows.codec.columns.fitting.sample import NO_LEAVES, Sample
from narrows.codec.columns.plan import ColumnPlan
from narrows.codec.columns.streams import Stream

__all__ = ["fit_plans"]

_MOST_SAMPLE, _LEAST_SAMPLE, _MOST_NUMBERS = 1 << 14, 1 << 10, 1 << 20
_N_BLOCKS, _N_PAIR_BLOCKS, _PAIR_BLOCK = 2, 6, 2000
_MOST_ORDERED = 64
_ROWS_PER_NEAR = 8  # with fewer rows for each column that is tried, chance decides which of them fits
_LEAST_RELATION_BITS, _LEAST_LOOKUP_BITS = 0.1, 1000


def fit_plans(streams: Sequence[Stream], group: int) -> tuple[list[int], list[ColumnPlan]]:
    """Return the order of streams, and the plan of each in this order.

    Parameters
    ----------
    streams : sequence of Stream
        The streams of all rows.
    group : int
        The number of rows that are coded together.
    """
    n, n_streams = len(streams[0].values), len(streams)
    effort = _effort(n_streams, n)
    order, relations = file_order(streams), dict[int, Relation]()
    if n_streams <= _MOST_ORDERED and n > 1:
        rows = _blocks(n, _N_PAIR_BLOCKS, _PAIR_BLOCK)
        alone, given = pair_bits(streams, rows)
        given = np.minimum(given, determined_bits(streams, given, rows))
        found = [one for one in find_relations(streams, rows) if alone[one.column] > _LEAST_RELATION_BITS * len(rows)]
        relations = choose_relations(found, alone)
        order = order_of(streams, alone, given, relations)
    most = min(max(_MOST_NUMBERS // n_streams, _LEAST_SAMPLE), _MOST_SAMPLE)
    place = {stream: at for at, stream in enumerate(order)} | {-1: -1}
    ordered = [replace(streams[j], mask=place[streams[j].mask]) for j in order]
    sample = Sample(ordered, _blocks(n, _N_BLOCKS, most // _N_BLOCKS))
    placed = {place[j]: _placed(one, place) for j, one in relations.items()}
    for k in range(n_streams):
        plan = _with_lookup(sample, k, _column(sample, k, placed, effort, group), effort)
        sample.measure(k, plan)
        sample.plans.append(plan)
    return order, sample.plans


def _effort(n_streams: int, n: int) -> Effort:
    """Return how much is tried, so that time is about linear in the number of streams, and few rows get few tries."""
    if n_streams <= _MOST_ORDERED:
        effort = Effort()
    elif n_streams <= 8 * _MOST_ORDERED:
        effort = Effort(4, 3, 16, 2)
    else:
        effort = Effort(2, 1, 4 if n_streams <= 32 * _MOST_ORDERED else 1, 1)
    return replace(effort, n_near=min(effort.n_near, max(n // _ROWS_PER_NEAR, 1)))


def _blocks(n: int, n_blocks: int, length: int) -> NDArray[np.int64]:
    """Return the rows of blocks that are spread evenly; all rows, if there are few."""
    if n <= n_blocks * length:
        return np.arange(n)
    starts = np.arange(n_blocks) * (n - length) // (n_blocks - 1)
    return (starts[:, None] + np.arange(length)).reshape(-1)


def _placed(relation: Relation, place: Mapping[int, int]) -> Relation:
    terms = tuple(replace(term, column=place[term.column]) for term in relation.terms)
    return replace(relation, column=place[relation.column], terms=terms)


def _with_lookup(sample: Sample, k: int, plan: ColumnPlan, effort: Effort) -> ColumnPlan:
    """Return the plan of column k, or a lookup if that takes fewer bits of the whole table."""
    bits = sample.measure(k, plan) * len(sample.streams[k].values)
    if bits < _LEAST_LOOKUP_BITS:
        return plan
    near = range(max(k - effort.n_near, 0), k)
    found = find_lookup(sample.streams, k, near, sample.rows)
    if found is None or found[1] > bits:
        return plan
    plain = ColumnPlan(NO_LEAVES, mask=plan.mask, start=plan.start, edges=plan.edges)
    return replace(plain, lookup=found[0])


def _column(sample: Sample, k: int, relations: Mapping[int, Relation], effort: Effort, group: int) -> ColumnPlan:
    """Return the plan of column k."""
    numbers = [j for j in range(max(k - effort.n_near, 0), k) if sample.streams[j].is_number and sample.edges[j]]
    estimates: list[tuple[float, int, ColumnPlan]] = []
    for plan in predictions_of(sample, k, relations.get(k), numbers):
        symbols = sample.symbols(k, plan)
        if symbols.is_constant:
            leaves = leaves_of(sample.all_residuals(k, plan, group))
            if len(leaves.starts) == 1:
                return replace(plan, leaves=leaves)
        alone = bits_given(symbols)
        estimates.append((best_single(sample, k, plan, symbols, effort) + 0.2 * alone, len(estimates), plan))
    chosen = [plan for _, _, plan in sorted(estimates, key=lambda one: one[:2])[: effort.n_predictions]]
    plans = [replace(plan, leaves=leaves_of(sample.all_residuals(k, plan, group))) for plan in chosen]
    if len(plans) > 1:
        tried = [add_contexts(sample, k, plan, effort, 2) for plan in plans]
        plans = [min(tried, key=lambda one: one[1])[0]]
    return add_contexts(sample, k, plans[0], effort, effort.n_contexts)[0]
