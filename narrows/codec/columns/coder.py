"""Coding of rows of whole numbers, row by row and column by column, as plans say, in integers.

The state of a group starts empty: it is learnt from the rows before. For column k of row i, x[i, k]::

    p = ((bias + Σ factor · x[i - lag, column] · x[i - other lag, other]) >> shift) + lookup[x[i, column]]
    r = x - p,  or (x - p + ⌊M / 2⌋) mod M - ⌊M / 2⌋ with a modulus M
    x = p + r,  or lowest + (p + r - lowest) mod M

all in 64 bits, which wrap. A lookup has a number for some numbers of a column, and 0 for others.
Rows above the first have the number ``start``, and the residual 0. Where the mask is not 0, r = 0 and nothing is
coded. An *exception* is a number that has no leaf, a residual that needs more than 32 bits, or that the formulas do
not give again: r = 0, and it is coded elsewhere. Otherwise the decisions of `columns.trees` from the root to the leaf
of r are coded, and then halves of the leaf of width w, at ⌊w / 2⌋, while w > 1, with the probability of the upper
half ⌊(w - ⌊w / 2⌋) · 2^16 / w⌋ / 2^16, or 1/2 if w > 2^16. `columns.decisions` has the probability of a decision.
The coder of bits is that of `fields.adaptive`; its bytes end as those of `text.records`.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.columns.decisions import State
from narrows.codec.columns.plan import Layout
from narrows.codec.columns.rows import Rows, Table
from narrows.codec.fields.adaptive import RATES
from narrows.codec.text.tables import SQUASH, STRETCH

__all__ = ["Mode", "Table", "decode_rows", "encode_rows", "measure_rows"]


class Mode(IntEnum):
    """What is done with rows."""

    ENCODE = 0
    DECODE = 1
    MEASURE = 2
    """Count bits, of the active columns alone."""


UNIT = 1 << 16
"""Bits are counted in units of 2^-16."""

BITS = np.round(-np.log2(np.clip(np.arange(4097) + 0.5, None, 4095.75) / 4096) * UNIT).astype(np.int32)
_EXCEPTION = 80 * UNIT


def encode_rows(layout: Layout, bits: int, values: NDArray[np.int64]) -> tuple[bytes, NDArray[np.int64]]:
    """Return rows, coded with 2^bits buckets, and exceptions (n, 2): the place, row by row, and the number."""
    room, most = 64 + 4 * values.size, 64 + len(values)
    while True:
        state = State.empty(layout, bits)
        table, exceptions, coded = Table.of(values.copy()), np.zeros((most, 2), np.int64), np.zeros(room, np.uint8)
        n_bytes, n_exceptions = _run(layout, state, Mode.ENCODE, table, exceptions, coded)
        if n_bytes >= 0 and n_exceptions < most:
            return coded[:n_bytes].tobytes(), exceptions[:n_exceptions]
        room, most = 4 * room, 4 * most


def decode_rows(layout: Layout, bits: int, n: int, data: bytes, exceptions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the n rows of `encode_rows`; of damaged bytes other rows."""
    table = Table.of(np.zeros((n, layout.n_columns), np.int64))
    coded = np.frombuffer(bytearray(data), np.uint8)
    _run(layout, State.empty(layout, bits), Mode.DECODE, table, np.ascontiguousarray(exceptions), coded)
    return table.values


def measure_rows(layout: Layout, bits: int, table: Table) -> NDArray[np.float64]:
    """Return the bits of each active column (number of columns,), and derive its residuals."""
    costs = np.zeros(layout.n_columns, np.int64)
    none = np.zeros((0, 2), np.int64), np.zeros(0, np.uint8)
    _run(layout, State.empty(layout, bits), Mode.MEASURE, table, *none, costs)
    return costs / UNIT


def _run(  # noqa: PLR0917
    layout: Layout,
    state: State,
    mode: Mode,
    table: Table,
    exceptions: NDArray[np.int64],
    coded: NDArray[np.uint8],
    costs: NDArray[np.int64] | None = None,
) -> tuple[int, int]:
    """Code rows; return the number of bytes, -1 if there was no room, and of exceptions."""
    costs = np.zeros(layout.n_columns, np.int64) if costs is None else costs
    if kernels.compiled is not None:
        n_bytes, n_exceptions = kernels.compiled.columns_rows(
            *layout.arrays,
            state.cells,
            state.learnt,
            STRETCH,
            SQUASH,
            RATES,
            BITS,
            table.values,
            table.residuals,
            table.quantised,
            exceptions,
            costs,
            coded,
            (int(mode), len(coded)),
        )
        return n_bytes, n_exceptions
    rows = Rows(layout, state, table, exceptions)
    if mode == Mode.MEASURE:
        rows.measure(costs, BITS, _EXCEPTION)
        return 0, 0
    return rows.decode(coded.tobytes()) if mode == Mode.DECODE else rows.encode(coded)
