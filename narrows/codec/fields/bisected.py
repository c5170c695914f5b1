"""Coding of records by bisection, as bytes, losslessly.

::

    flags u8: numbering, contexts · base · N · the form: offset, factor, modulus, or levels, or digits, offset
    level · period · number of lags · lags · weights · coded bits

All numbers but the first are written by `leb128`. Values are units minus the base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.fields.adaptive import take_bytes
from narrows.codec.fields.bisection import MOST_LAGS, MOST_SPAN, Bisection, Prediction
from narrows.codec.fields.bisection_fit import WEIGHT_BITS, forms_of, predictions_of
from narrows.codec.fields.forms import MOST_DECIMAL_DIGITS, Form, Numbering
from narrows.codec.fields.leb128 import NumberReader, pack_number, pack_signed
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.errors import CorruptArchiveError

__all__ = ["bisected_units", "decode_bisected", "encode_bisected", "packed_units"]

_FURTHEST = 1 << 55  # of values from 0
_MOST_WEIGHT = 1 << 13  # in multiples of 2^7 units
_TRIED = 1 << 14  # values on which forms are compared
_MOST_WITHOUT_KERNELS = 1 << 14  # values; more would take minutes
_ROOM = 1 << 20  # below the largest span, for an offset that is a multiple of the modulus
_CONTEXTS = 4  # a bit of the flags
_NO_BASES: NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True)
class _Plan:
    """How values are coded."""

    form: Form
    prediction: Prediction
    has_contexts: bool


def encode_bisected(records: NDArray[Any], grid: ErrorBound) -> CodedResidual | None:
    """Encode records losslessly by bisection.

    Parameters
    ----------
    records : ndarray of shape (n, *shape)
        The records, in the bound's dtype.
    grid : ErrorBound
        A lossless bound.

    Returns
    -------
    coded : CodedResidual or None
        The coded records; None if their values are too far apart, would take more bytes than without compression, or
        are too many to be coded without compiled kernels.
    """
    if kernels.compiled is None and records.size > _MOST_WITHOUT_KERNELS:
        return None
    found = packed_units(grid.units(records).ravel(), records.nbytes)
    return None if found is None else CodedResidual(Kind.BISECTED, False, found, records)


def packed_units(units: NDArray[np.int64], most: int, bases: NDArray[np.int64] = _NO_BASES) -> bytes | None:
    """Return the bytes of units (n,), at most so many; None if their values are too far apart, or take more.

    Parameters
    ----------
    units : ndarray of shape (n,), int64
        The units.
    most : int
        The largest number of coded bytes.
    bases : ndarray of shape (n,), int64
        What other channels predict of each, see `Prediction`; empty if there are none.
    """
    lowest, highest = int(units.min()), int(units.max())
    if highest - lowest >= MOST_SPAN - _ROOM:
        return None
    base = 0 if max(-lowest, highest) < _FURTHEST // 2 else lowest
    return _best(units - base, base, most, bases)


def decode_bisected(data: bytes, grid: ErrorBound, shape: tuple[int, ...]) -> NDArray[Any]:
    """Decode the records (n, *shape) of `encode_bisected`.

    Raises
    ------
    CorruptArchiveError
        If `encode_bisected` does not produce this data for records of this shape.
    """
    return grid.values(bisected_units(data, grid, math.prod(shape))).reshape(shape)


def bisected_units(data: bytes, grid: ErrorBound, n: int, bases: NDArray[np.int64] = _NO_BASES) -> NDArray[np.int64]:
    """Return the n units of `packed_units`.

    Raises
    ------
    CorruptArchiveError
        If `packed_units` does not produce this data.
    """
    base, plan, bits = _unpack(data)
    prediction = replace(plan.prediction, bases=bases)
    run = Bisection(plan.form, prediction, n, has_contexts=plan.has_contexts, data=bits)
    run.run(np.zeros(n, np.int64))
    units = run.values + base  # may wrap around, if the data are forged
    if not ((units >= grid.lowest) & (units <= grid.highest)).all():
        raise CorruptArchiveError("A bisected chunk has values that its dtype cannot represent.")
    return units


def _best(values: NDArray[np.int64], base: int, most: int, bases: NDArray[np.int64]) -> bytes | None:
    """Return values by the plan that takes the fewest bytes on a part of them."""
    start = max(0, (len(values) - _TRIED) // 2)
    part = np.ascontiguousarray(values[start : start + _TRIED])
    ways = predictions_of(part, np.ascontiguousarray(bases[start : start + _TRIED]))
    best: tuple[int, _Plan] | None = None

    def take(plan: _Plan) -> None:
        nonlocal best
        size = len(_packed(base, plan)) + len(_coded(part, plan, most) or bytes(most))
        if best is None or size < best[0]:
            best = size, plan

    for form in forms_of(values):
        take(_Plan(form, ways[0], has_contexts=True))
    assert best is not None
    take(_Plan(best[1].form, ways[0], has_contexts=False))
    for way in ways[1:]:
        take(_Plan(best[1].form, way, best[1].has_contexts))
    plan = replace(best[1], prediction=replace(best[1].prediction, bases=bases))
    coded = _coded(values, plan, most)
    return None if coded is None else _packed(base, plan) + coded


def _coded(values: NDArray[np.int64], plan: _Plan, most: int) -> bytes | None:
    run = Bisection(plan.form, plan.prediction, len(values), has_contexts=plan.has_contexts, data=most)
    run.run(plan.form.numbers(values))
    return take_bytes(run.state, run.buffer)


def _packed(base: int, plan: _Plan) -> bytes:
    """Return all but the coded bits."""
    form, prediction = plan.form, plan.prediction
    found = [bytes((form.numbering | _CONTEXTS * plan.has_contexts,)), pack_signed(base), pack_number(form.n)]
    if form.numbering == Numbering.EVEN:
        found += [pack_signed(form.offset), pack_number(form.factor), pack_number(form.modulus)]
    elif form.numbering == Numbering.LEVELS:
        found += [pack_signed(int(form.levels[0])), *map(pack_number, np.diff(form.levels).tolist())]
    else:
        found += [pack_number(form.digits), pack_signed(form.offset)]
    found += [pack_signed(prediction.level), pack_number(prediction.period), pack_number(len(prediction.lags))]
    found += map(pack_number, prediction.lags.tolist())
    found += map(pack_signed, (prediction.weights >> WEIGHT_BITS).tolist())
    return b"".join(found)


def _unpack(data: bytes) -> tuple[int, _Plan, bytes]:
    """Return the base, the plan and the coded bits.

    Raises
    ------
    CorruptArchiveError
        If they are not valid.
    """
    flags = data[0] if data else 255
    if flags > (Numbering.DIGITS | _CONTEXTS) or flags & 3 not in set(Numbering):
        raise CorruptArchiveError("A bisected chunk has flags that do not exist.")
    reader = NumberReader(data[1:])
    base = reader.signed(-(1 << 63), (1 << 63) - 1)
    form = _form(Numbering(flags & 3), reader, len(data))
    lowest, highest = form.value(0), form.value(form.n - 1)
    if highest - lowest >= MOST_SPAN or max(abs(lowest), abs(highest)) > _FURTHEST:
        raise CorruptArchiveError("A bisected chunk has values that are too far apart.")
    level, period = reader.signed(-_FURTHEST, _FURTHEST), reader.number(0, 1 << 40)
    n_lags = reader.number(0, MOST_LAGS)
    lags = [reader.number(0, 1 << 40) for _ in range(n_lags)]
    weights = [reader.signed(-_MOST_WEIGHT, _MOST_WEIGHT) << WEIGHT_BITS for _ in range(n_lags)]
    prediction = Prediction(level, period, np.array(lags, np.int64), np.array(weights, np.int64))
    return base, _Plan(form, prediction, bool(flags & _CONTEXTS)), reader.rest


def _form(numbering: Numbering, reader: NumberReader, n_bytes: int) -> Form:
    n = reader.number(1, n_bytes if numbering == Numbering.LEVELS else MOST_SPAN)
    if numbering == Numbering.EVEN:
        offset, factor = reader.signed(-_FURTHEST, _FURTHEST), reader.number(1, MOST_SPAN)
        return Form(numbering, n, offset, factor, reader.number(1, MOST_SPAN))
    if numbering == Numbering.LEVELS:
        steps = [reader.signed(-_FURTHEST, _FURTHEST), *(reader.number(1, MOST_SPAN) for _ in range(n - 1))]
        if sum(steps[1:]) >= MOST_SPAN:
            raise CorruptArchiveError("A bisected chunk has levels that are too far apart.")
        return Form(numbering, n, levels=np.cumsum(steps, dtype=np.int64))
    digits = reader.number(1, MOST_DECIMAL_DIGITS)
    return Form(numbering, n, reader.signed(-_FURTHEST, _FURTHEST), digits=digits)
