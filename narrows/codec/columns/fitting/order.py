"""The order in which columns are coded: first those that tell the most of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.fitting.estimates import Symbols, bits_given, codes_of
from narrows.codec.columns.fitting.relations import DAY, Relation
from narrows.codec.columns.streams import Stream

__all__ = ["above", "file_order", "order_of", "pair_bits"]

_COARSE_BITS = 5


def above(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the values of the rows above."""
    return np.concatenate([values[:1], values[:-1]])


def pair_bits(streams: Sequence[Stream], rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return about the bits of each stream alone (n,), and of stream j given stream k (n, n)."""
    n = len(streams)
    alone, given = np.zeros(n), np.full((n, n), np.inf)
    contexts = [codes_of(one.values[rows]) for one in streams]
    for j, one in enumerate(streams):
        known = np.ones(len(rows), bool) if one.present is None else one.present[rows]
        values, before = one.values[rows][known], above(one.values[rows])[known]
        if not len(values):
            given[j] = 0
            continue
        raw = [Symbols(values)] + ([Symbols(values - before)] if one.is_number else [])
        alone[j] = min(bits_given(raw[0], codes_of(before)), *map(bits_given, raw), np.inf)
        for k, other in enumerate(streams):
            if k == j:
                continue
            given[j, k] = min(bits_given(symbols, contexts[k][known]) for symbols in raw)
            if one.is_number and other.is_number:
                source = other.values[rows][known]
                steps = values - source
                if one.is_clock and other.is_clock:
                    steps = (steps + DAY // 2) % DAY - DAY // 2
                symbols = Symbols(steps)
                coarse = codes_of(source >> _COARSE_BITS)
                given[j, k] = min(given[j, k], bits_given(symbols), bits_given(symbols, coarse))
    return alone, given


def order_of(
    streams: Sequence[Stream],
    alone: NDArray[np.float64],
    given: NDArray[np.float64],
    relations: Mapping[int, Relation],
) -> list[int]:
    """Return the order: always the stream that saves others the most, less what it loses by coming before its best.

    A stream comes after its mask, and one that a relation gives as soon as it can.
    """
    now, left, order = alone.copy(), set(range(len(streams))), list[int]()
    best = np.minimum(alone, given.min(axis=1, initial=np.inf))

    def is_ready(j: int) -> bool:
        needed = {streams[j].mask} - {-1} | (relations[j].sources if j in relations else set())
        return needed.isdisjoint(left)

    def gain(j: int) -> float:
        others = [k for k in left if k != j and k not in relations]
        return float(np.maximum(now[others] - given[others, j], 0).sum() - (now[j] - best[j]))

    while left:
        ready = [j for j in sorted(left) if is_ready(j)]
        derived = [j for j in ready if j in relations]
        chosen = derived[0] if derived else max(ready, key=gain)
        order.append(chosen)
        left.remove(chosen)
        now = np.minimum(now, given[:, chosen])
    return order


def file_order(streams: Sequence[Stream]) -> list[int]:
    """Return the order of the file."""
    return list(range(len(streams)))
