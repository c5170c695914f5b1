"""The contexts of a column: the candidates with the best estimates are measured, and the best of them is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.fitting.estimates import Symbols, bits_given, codes_of
from narrows.codec.columns.fitting.sample import Sample
from narrows.codec.columns.plan import MOST_CONTEXTS, ColumnPlan, Feature, Kind

__all__ = ["Effort", "add_contexts", "best_single", "features_of"]

_MOST_FEATURES = 4
_SMALL_BITS, _LEAST_GAIN, _LEAST_SHARE = 0.002, 0.003, 0.002
_REMAINDERS = (5, 10)


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Attributes
    ----------
    n_contexts : int
        The largest number of contexts.
    n_measured : int
        How many candidates are measured for each.
    n_near : int
        How many of the columns before a column may be used by it.
    n_predictions : int
        How many predictions are measured.
    """

    n_contexts: int = MOST_CONTEXTS
    n_measured: int = 5
    n_near: int = 64
    n_predictions: int = 3


def features_of(sample: Sample, k: int, plan: ColumnPlan, effort: Effort, *, few: bool = False) -> list[Feature]:
    """Return the features that contexts of column k may have; ``few``: those that tell the most."""
    near = range(max(k - effort.n_near, 0), k)
    found = [Feature(Kind.VALUE, other) for other in near]
    found += [Feature(Kind.QUANTISED, other) for other in near if sample.edges[other]]
    found.append(Feature(Kind.VALUE, k, 1))
    if few:
        return found
    for other in near:
        if not sample.streams[other].is_number:
            continue
        if sample.edges[other]:
            found.append(Feature(Kind.QUANTISED, other, 0, 2))
        found += [Feature(Kind.REMAINDER, other, 0, divisor) for divisor in _REMAINDERS]
        if sample.plans[other].terms:
            found.append(Feature(Kind.RESIDUAL, other))
        if plan.terms:
            found += [Feature(Kind.OFFSET, other, 0, shift) for shift in (0, 3)]
    after = range(k + 1, min(k + effort.n_near, len(sample.streams)))
    found += [Feature(Kind.VALUE, other, 1) for other in (*near, *after)]
    found.append(Feature(Kind.VALUE, k, 2))
    if plan.terms:
        found.append(Feature(Kind.RESIDUAL, k, 1))
        found += [Feature(Kind.PREDICTION, 0, 0, shift) for shift in (0, 2, 4)]
    return found


def best_single(sample: Sample, k: int, plan: ColumnPlan, symbols: Symbols, effort: Effort) -> float:
    """Return about the bits of column k with the best context of a single feature."""
    known, predicted = sample.present(k), sample.prediction(plan)
    contexts = (
        codes_of(sample.feature(one, predicted)[known]) for one in features_of(sample, k, plan, effort, few=True)
    )
    return min(bits_given(symbols), min((bits_given(symbols, context) for context in contexts), default=np.inf))


class _Candidates:
    """Contexts that may be added to a plan, by their estimated bits."""

    def __init__(self, sample: Sample, k: int, plan: ColumnPlan, effort: Effort) -> None:
        known, predicted = sample.present(k), sample.prediction(plan)
        self._symbols, self._n = sample.symbols(k, plan), int(known.sum())
        codes = {one: codes_of(sample.feature(one, predicted)[known]) for one in features_of(sample, k, plan, effort)}
        self._codes = {one: found for one, found in codes.items() if found.max(initial=0) > 0}
        self._bits: dict[tuple[Feature, ...], float] = {}

    def best(self, contexts: Sequence[Sequence[Feature]], tried: set[tuple[Feature, ...]]) -> list[tuple[Feature, ...]]:
        """Return contexts with a feature more than these, the best first."""
        pool: dict[tuple[Feature, ...], float] = {}
        for context in contexts:
            if len(context) >= _MOST_FEATURES:
                continue
            base: NDArray[np.int64] | None = None
            for one, codes in self._codes.items():
                wider = tuple(sorted((*context, one)))
                if one in context or wider in contexts or wider in tried:
                    continue
                if wider not in self._bits:
                    base = self._joint(context) if base is None else base
                    self._bits[wider] = bits_given(self._symbols, base * (int(codes.max()) + 1) + codes)
                pool[wider] = self._bits[wider]
        return sorted(pool, key=lambda context: (pool[context], context))

    def _joint(self, context: Sequence[Feature]) -> NDArray[np.int64]:
        joint = np.zeros(self._n, np.int64)
        for one in context:
            codes = self._codes[one]
            joint = codes_of(joint * (int(codes.max()) + 1) + codes)
        return joint


def add_contexts(sample: Sample, k: int, plan: ColumnPlan, effort: Effort, most: int) -> tuple[ColumnPlan, float]:
    """Return a plan with contexts, at most ``most`` more, and its bits a row."""
    bits, candidates, tried = sample.measure(k, plan), None, set[tuple[Feature, ...]]()
    most = min(len(plan.contexts) + most, effort.n_contexts)
    while len(plan.contexts) < most and bits > _SMALL_BITS:
        candidates = candidates or _Candidates(sample, k, plan, effort)
        contexts = candidates.best(plan.contexts, tried)[: effort.n_measured]
        plans = [replace(plan, contexts=(*plan.contexts, context)) for context in contexts]
        measured = [sample.measure(k, one) for one in plans]
        if not measured or min(measured) > bits - max(_LEAST_SHARE * bits, _LEAST_GAIN):
            break
        best = int(np.argmin(measured))
        tried |= {context for i, context in enumerate(contexts) if i != best and measured[i] > bits}
        plan, bits = plans[best], measured[best]
    return plan, bits
