"""Predictions of a column of numbers that may pay: others, the rows above, and sums of them and of products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.fitting.relations import DAY, Relation
from narrows.codec.columns.fitting.sample import NO_LEAVES, Sample
from narrows.codec.columns.plan import ColumnPlan, Term

__all__ = ["predictions_of"]

_LEAST_ROWS = 200
_MOST_FACTORS, _MOST_TERMS = 12, 8
_KEPT = (1, 2, 3, 5, 8)
_MOST_SHIFT, _ROOM = 36, 58
_LEAST_GAIN, _N_REWEIGHTED = 0.98, 6
Floats = NDArray[np.float64]


def predictions_of(sample: Sample, k: int, relation: Relation | None, numbers: Sequence[int]) -> Iterator[ColumnPlan]:
    """Yield plans of column k without contexts and leaves; ``numbers`` are earlier columns that may predict it."""
    stream = sample.streams[k]
    plain = ColumnPlan(NO_LEAVES, mask=stream.mask, start=sample.starts[k], edges=sample.edges[k])
    known = stream.known(stream.values)
    low, high = int(known.min(initial=0)), int(known.max(initial=0))
    around = replace(plain, modulus=DAY, lowest=low) if stream.is_clock and high - low < DAY else plain
    if relation is not None:
        whole = around if relation.shift == 0 else plain
        yield replace(whole, terms=relation.terms, bias=relation.bias, shift=relation.shift)
        return
    yield plain
    if not stream.is_number:
        return
    yield replace(around, terms=[Term(k, 1, 1)])
    for other in numbers:
        yield replace(around, terms=[Term(other, 0, 1)])
        yield replace(around, terms=[Term(k, 1, 1), Term(other, 0, 1), Term(other, 1, -1)])
    for terms, bias, shift in _sums(sample, k, numbers):
        yield replace(plain, terms=terms, bias=bias, shift=shift)


def _sums(sample: Sample, k: int, numbers: Sequence[int]) -> Iterator[tuple[list[Term], int, int]]:
    """Yield sums of the most useful terms, fitted with absolute errors."""
    known = sample.present(k).copy()
    for other in numbers:
        known &= sample.present(other)
    if known.sum() < _LEAST_ROWS:
        return
    y = sample.values[k][known].astype(float)
    terms, inputs = _inputs(sample, k, numbers, known)
    if not terms or not np.ptp(y):
        return
    mean, spread = inputs.mean(0), inputs.std(0)
    scaled = (inputs - mean) / spread
    chosen: list[int] = []
    residuals, last = y - np.median(y), np.inf
    for n in range(1, min(_MOST_TERMS, len(terms)) + 1):
        error = np.abs(residuals).mean()
        if error > last * _LEAST_GAIN:
            return
        last = error
        likeness = np.abs(np.clip(residuals, -5 * error, 5 * error) @ scaled)
        likeness[chosen] = 0
        chosen.append(int(likeness.argmax()))
        weights, residuals = _least_absolute(scaled[:, chosen], y)
        if n in _KEPT or np.abs(residuals).mean() < 1 / 2:
            factors = weights[:-1] / spread[chosen]
            bias = weights[-1] - (factors * mean[chosen]).sum()
            most = max(abs(bias), *np.abs(inputs[:, chosen]).max(0) * np.abs(factors))
            shift = int(min(_MOST_SHIFT, _ROOM - np.log2(most + 1)))
            if shift < 0:
                return
            whole = [round(float(factor) * (1 << shift)) for factor in factors]
            found = [replace(terms[i], factor=factor) for i, factor in zip(chosen, whole, strict=True)]
            yield found, round((float(bias) + 0.5) * (1 << shift)), shift


def _inputs(sample: Sample, k: int, numbers: Sequence[int], known: NDArray[np.bool_]) -> tuple[list[Term], Floats]:
    """Return terms with the factor 1 that are not constant, and their values (n, number of terms)."""
    terms = [Term(other, lag, 1) for other in numbers for lag in (0, 1)] + [Term(k, 1, 1)]
    if len(numbers) <= _MOST_FACTORS:
        terms += [Term(a, 0, 1, b, 0) for i, a in enumerate(numbers) for b in numbers[i:]]
    found, inputs = [], []
    for term in terms:
        values = sample.value(term.column, term.lag)[known].astype(float)
        if term.other >= 0:
            values = values * sample.value(term.other)[known]
        if values.std() > 0 and np.abs(values).max() < 1 << 52:
            found.append(term)
            inputs.append(values)
    return found, np.stack(inputs, 1) if inputs else np.zeros((0, 0))


def _least_absolute(inputs: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return weights, the last of them a constant, with about the least absolute residuals, and these."""
    inputs = np.concatenate([inputs, np.ones((len(y), 1))], 1)
    importance: Floats = np.ones(len(y))
    for _ in range(_N_REWEIGHTED):
        weighted = inputs * importance[:, None]
        weights: Floats = np.linalg.lstsq(weighted, y * importance, rcond=None)[0].astype(np.float64)
        residuals: Floats = y - inputs @ weights
        size = np.abs(residuals)
        importance = 1 / np.sqrt(np.maximum(size, max(0.3, 0.05 * size.mean())))
    return weights, residuals
