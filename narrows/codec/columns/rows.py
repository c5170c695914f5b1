"""The definition of `columns.coder`; compiled kernels compute the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.decisions import Decider, State
from narrows.codec.columns.plan import MOST_CONTEXTS, ColumnPlan, Feature, Kind, Layout
from narrows.codec.fields.adaptive import BitCoder, start_decoder, start_encoder
from narrows.codec.text.records import ended
from narrows.codec.text.tables import mix

__all__ = ["Rows", "Table"]

_HIGH, _MASK = 1 << 63, (1 << 64) - 1


def _wrapped(number: int) -> int:
    """Return a number in 64 bits."""
    return ((number + _HIGH) & _MASK) - _HIGH


@dataclass(eq=False)
class Table:
    """Rows, and what the coder derives of them: all arrays (n, number of columns)."""

    values: NDArray[np.int64]
    residuals: NDArray[np.int32]
    quantised: NDArray[np.int32]

    @classmethod
    def of(cls, values: NDArray[np.int64]) -> Table:
        """Return the table of values, which are changed where one is missing."""
        return cls(values, np.zeros(values.shape, np.int32), np.zeros(values.shape, np.int32))


class Rows:
    """Codes the rows of a table, with exceptions (n, 2): place and number."""

    def __init__(self, layout: Layout, state: State, table: Table, exceptions: NDArray[np.int64]) -> None:
        self._layout, self._state, self._values = layout, state, table.values
        self._residuals, self._quantised, self._exceptions = table.residuals, table.quantised, exceptions
        self._nodes = [layout.nodes_of(k).tolist() for k in range(layout.n_columns)]
        self._leaves = [plan.leaves.rows().tolist() for plan in layout.plans]
        self._next = 0
        self._coder: BitCoder | None = None
        self._costs: NDArray[np.int64] | None = None

    def encode(self, coded: NDArray[np.uint8]) -> tuple[int, int]:
        """Return the number of bytes, -1 if there was no room, and of exceptions."""
        held, buffer = start_encoder(len(coded))
        coder = self._coder = BitCoder(held, buffer, is_decoding=False)
        self._code_all()
        coder.store(held)
        data = ended(held, buffer)
        if data is not None:
            coded[: len(data)] = np.frombuffer(data, np.uint8)
        return -1 if data is None else len(data), self._next

    def decode(self, data: bytes) -> tuple[int, int]:
        """Write the values."""
        self._coder = BitCoder(*start_decoder(data), is_decoding=True)
        self._code_all()
        return 0, self._next

    def measure(self, costs: NDArray[np.int64], bits: NDArray[np.int32], exception: int) -> None:
        """Add the bits of each column to its costs."""
        self._costs, self._bits, self._exception = costs, bits, exception
        self._code_all()

    def _code_all(self) -> None:
        for row in range(len(self._values)):
            for k, is_active in enumerate(self._layout.active):
                if is_active:
                    self._code_value(row, k)

    def _code_value(self, row: int, k: int) -> None:
        plan, place = self._layout.plans[k], row * self._layout.n_columns + k
        predicted, residual = self._prediction(plan, row), 0
        is_decoding = self._coder is not None and self._coder.is_decoding
        value = int(self._values[row, k])
        if plan.mask >= 0 and self._values[row, plan.mask]:
            value = _with_residual(plan, predicted, 0)
        elif is_decoding and self._next < len(self._exceptions) and self._exceptions[self._next, 0] == place:
            value = int(self._exceptions[self._next, 1])
            self._next += 1
        elif is_decoding:
            residual = self._code_residual(row, k, predicted, 0)
            value = _with_residual(plan, predicted, residual)
        else:
            residual = _residual(plan, predicted, value)
            if self._is_coded(k, predicted, value, residual):
                self._code_residual(row, k, predicted, residual)
            else:
                residual = 0
                self._except(k, place, value)
        self._values[row, k], self._residuals[row, k] = value, residual
        self._quantised[row, k] = _quantised(plan, value)

    def _except(self, k: int, place: int, value: int) -> None:
        if self._costs is not None:
            self._costs[k] += self._exception
        elif self._next < len(self._exceptions):
            self._exceptions[self._next] = place, value
            self._next += 1

    def _value(self, row: int, column: int, lag: int) -> int:
        return self._layout.plans[column].start if row < lag else int(self._values[row - lag, column])

    def _prediction(self, plan: ColumnPlan, row: int) -> int:
        total = plan.bias
        for term in plan.terms:
            x = self._value(row, term.column, term.lag)
            if term.other >= 0:
                x *= self._value(row, term.other, term.other_lag)
            total += x * term.factor
        predicted = _wrapped(total) >> plan.shift
        if plan.lookup is not None:
            number = np.array([self._value(row, plan.lookup.column, 0)], np.int64)
            predicted = _wrapped(predicted + int(plan.lookup.of(number)[0]))
        return predicted

    def _feature(self, one: Feature, row: int, predicted: int) -> int:
        if one.kind == Kind.PREDICTION:
            return predicted >> one.shift
        is_above = row < one.lag
        if one.kind == Kind.RESIDUAL:
            return 0 if is_above else int(self._residuals[row - one.lag, one.column]) >> one.shift
        value = self._value(row, one.column, one.lag)
        if one.kind == Kind.QUANTISED:
            plan = self._layout.plans[one.column]
            return _quantised(plan, value) >> one.shift
        if one.kind == Kind.VALUE:
            return value >> one.shift
        return value % one.shift if one.kind == Kind.REMAINDER else _wrapped(value - predicted) >> one.shift

    def _is_coded(self, k: int, predicted: int, value: int, residual: int) -> bool:
        at = 0 if len(self._nodes[k]) else -1
        while at >= 0:
            split, left, right, _, _ = self._nodes[k][at]
            at = right if residual >= split else left
        start, width = self._leaves[k][-1 - at]
        fits = 0 <= residual - start < width and -(1 << 31) <= residual < 1 << 31
        return fits and _with_residual(self._layout.plans[k], predicted, residual) == value

    def _code(self, k: int, p: int, bit: int) -> int:
        if self._costs is not None:
            self._costs[k] += self._bits[(p if bit else 65536 - p) >> 4]
            return bit
        assert self._coder is not None
        return self._coder.bit(p, bit)

    def _code_residual(self, row: int, k: int, predicted: int, residual: int) -> int:
        """Code a residual that has a leaf; return it."""
        plan, at, depth = self._layout.plans[k], -1, 0
        if self._nodes[k]:
            hashes = []
            for i, context in enumerate(plan.contexts):
                hashed = k * MOST_CONTEXTS + i
                for one in context:
                    hashed = mix(hashed, self._feature(one, row, predicted) & _MASK)
                hashes.append(hashed)
            decider, at = Decider(self._state, hashes, self._layout.places[k], plan.rate), 0
        while at >= 0:
            split, left, right, block, cell = self._nodes[k][at]
            bit = self._code(k, decider.predict(at, block, cell, depth), int(residual >= split))
            decider.learn(bit)
            at, depth = right if bit else left, depth + 1
        start, width = self._leaves[k][-1 - at]
        while width > 1:
            half = width >> 1
            p = ((width - half) << 16) // width if width <= 1 << 16 else 1 << 15
            if self._code(k, p, int(residual >= start + half)):
                start, width = start + half, width - half
            else:
                width = half
        return int(start)


def _with_residual(plan: ColumnPlan, predicted: int, residual: int) -> int:
    if plan.modulus:
        return plan.lowest + _wrapped(predicted + residual - plan.lowest) % plan.modulus
    return _wrapped(predicted + residual)


def _residual(plan: ColumnPlan, predicted: int, value: int) -> int:
    half = plan.modulus // 2
    residual = _wrapped(value - predicted)
    return _wrapped(residual + half) % plan.modulus - half if plan.modulus else residual


def _quantised(plan: ColumnPlan, value: int) -> int:
    return int(np.searchsorted(np.array(plan.edges, np.int64), value, "right"))
