"""Recurrent layers: gated recurrent units and long short-term memory, whose states are bounded whole numbers.

Gates are sigmoids, σ(a) = (1 + tanh(a / 2)) / 2, so that one table of the hyperbolic tangent serves all of them. It is
the same for all models and is not stored.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec.arithmetic import HIGHEST, LOWEST, Arithmetic, Step, Values
from narrows.codec.operations.contract import (
    Curve,
    Operation,
    Shape,
    check_size,
    half,
    row_magnitudes,
)
from narrows.codec.operations.dense import check_biases
from narrows.codec.operations.reading import Reader
from narrows.errors import ModelFileError

__all__ = ["GRU", "LSTM", "MOST_INPUT_SCALE", "MOST_WEIGHT_SCALE", "TANH", "Recurrence"]

STATE_SCALE = 15
"""States are in units of 2^-15, and their magnitudes below 1."""

MOST_WEIGHT_SCALE, MOST_INPUT_SCALE = 20, 32
_UNIT = 16  # arguments of the table, gates, and the cells of an LSTM are in units of 2^-16
_ARGUMENT_BITS = 20
_MOST_ARGUMENT = 2**19  # arguments are limited to ±8
_MOST_CELL = 2**23  # of an LSTM, and of the hidden part of a GRU's candidate: ±128
OfState = Callable[[Values, Values], Values]
"""A function of the inputs and the states of a step."""

_STEP_WORK = 2**16  # the time of a step beside its products, in multiplications

# Every 1/64 from -8 to 8. No entry before rounding is within 10^-4 of a half-integer but for 0.
TANH: NDArray[np.int16] = np.minimum(np.rint(32768 * np.tanh(np.arange(-512, 513) / 64)), HIGHEST).astype(np.int16)


@dataclass(frozen=True, eq=False)
class Recurrence(Operation):
    """The common part of recurrent layers: maps (1, T, k H) of what the gates receive at each step → states (1, T, H).

    The state before the first step is 0. k is the number of gates, the candidate included.

    Attributes
    ----------
    weights : ndarray of int16, shape (rows, H)
        Weights of the state before the step, in units of 2^-weight_scale.
    biases : ndarray of int64, shape (rows,)
        In the units of the products, 2^-(weight_scale + 15).
    weight_scale : int
        1 to 20.
    input_scale : int
        The input is in units of 2^-input_scale, 0 to 32 and at most weight_scale + 15.
    """

    weights: NDArray[np.int16]
    biases: NDArray[np.int64]
    weight_scale: int
    input_scale: int

    n_gates: ClassVar[int]
    most_groups: ClassVar[int]
    n_kept: ClassVar[int]

    def __post_init__(self) -> None:
        check_biases(f"a {self.name} operation", self.biases, len(self.weights))
        rows, n_hidden = self.weights.shape
        allowed = [groups * n_hidden for groups in range(self.n_gates, self.most_groups + 1)]
        if rows not in allowed:
            raise ModelFileError(
                f"The weights of a {self.name} operation with {n_hidden} units must have "
                f"{' or '.join(map(str, allowed))} rows. Got {rows}."
            )
        if not self.input_scale <= self.weight_scale + STATE_SCALE:
            raise ModelFileError(
                f"The 'input_scale' of a {self.name} operation must be at most its 'weight_scale' + 15. "
                f"Got {self.input_scale} and {self.weight_scale}."
            )

    @property
    def n_hidden(self) -> int:
        """H."""
        return int(self.weights.shape[1])

    def out_shape(self, in_shape: Shape) -> Shape:
        width = self.n_gates * self.n_hidden
        if len(in_shape) != 3 or in_shape[0] != 1 or in_shape[2] != width:
            raise ModelFileError(
                f"A {self.name} operation with {self.n_hidden} units needs records of shape (1, steps, {width}). "
                f"Got {in_shape}."
            )
        return check_size(f"A {self.name} operation", (1, in_shape[1], self.n_hidden))

    def n_multiplications(self, in_shape: Shape) -> int:
        return in_shape[1] * (self.weights.size + _STEP_WORK)

    def largest_sum(self) -> int:
        """Return an upper bound of all sums of products, for any 16-bit inputs."""
        magnitudes = row_magnitudes(self.weights) * -LOWEST + np.abs(self.biases)
        inputs = -LOWEST << (self.weight_scale + STATE_SCALE - self.input_scale)
        return int(magnitudes.max()) + inputs + half(self.weight_scale)

    def settings(self) -> dict[str, Any]:
        return {"weight_scale": self.weight_scale, "input_scale": self.input_scale}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"weights": self.weights, "biases": self.biases}

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(
            reader.tensor("weights", np.int16, 2),
            reader.tensor("biases", np.int64, 1),
            reader.whole("weight_scale", 1, MOST_WEIGHT_SCALE),
            reader.whole("input_scale", 0, MOST_INPUT_SCALE),
        )

    def prepare(self, arithmetic: Arithmetic, in_shape: Shape) -> Step:
        n_hidden, n_steps, place, zeros = self.n_hidden, in_shape[1], object(), object()
        advance = self._advance(arithmetic)

        def run(x: Values) -> Values:
            states = arithmetic.empty((len(x), 1, n_steps, n_hidden), place)
            before = arithmetic.empty((len(x), n_hidden), zeros)
            before[...] = 0
            kept = (before,) * self.n_kept
            for t in range(n_steps):
                kept = advance(x[:, 0, t], *kept)
                states[:, 0, t] = kept[0]
            return states

        return run

    @abstractmethod
    def _advance(self, arithmetic: Arithmetic) -> Callable[..., tuple[Values, ...]]:
        """Return a function of inputs (n, k H), states (n, H) and what else a step keeps, for those after the step."""

    def _gates(self, arithmetic: Arithmetic, rows: slice, columns: slice) -> OfState:
        """Return a function of inputs and states for gates in units of 2^-16, 1 to 65535."""
        of_gates = self._sums(arithmetic, rows, columns, self.weight_scale, _MOST_ARGUMENT)
        tanh = _hyperbolic_tangent(arithmetic)

        def gates(x: Values, state: Values) -> Values:
            values = tanh(of_gates(x, state))
            values += 1 << STATE_SCALE
            return values

        return gates

    def _sums(self, arithmetic: Arithmetic, rows: slice, columns: slice | None, shift: int, most: int) -> OfState:
        """Return a function of inputs and states for sums of products, shifted and limited to ±most."""
        weights = arithmetic.constant(self.weights[rows].T, shift)
        added = arithmetic.constant(self.biases[rows] + half(shift), shift)
        unit = arithmetic.constant(np.array([1 << (self.weight_scale + STATE_SCALE - self.input_scale)]), shift)
        place = object()

        def sums(x: Values, state: Values) -> Values:
            found = arithmetic.product(state, weights, place)
            found += added
            if columns is not None:
                found += x[:, columns] * unit
            return arithmetic.requantise(found, shift, -most, most - 1)

        return sums


@dataclass(frozen=True, eq=False)
class GRU(Recurrence, name="gru"):
    """A gated recurrent unit (Cho et al. 2014), with the reset gate after the product, as cuDNN and PyTorch have it.

    With the input x, the state h before the step and W of ``weights``, whose groups of H rows are r, u, n and
    optionally k::

        r, u = σ(x_r + W_r h + b_r), σ(x_u + W_u h + b_u)
        n = tanh(x_n + r (W_n h + b_n) + W_k h + b_k)
        h' = n + u (h − n)
    """

    n_gates, most_groups, n_kept = 3, 4, 1

    def _advance(self, arithmetic: Arithmetic) -> Callable[..., tuple[Values, ...]]:
        n, has_more = self.n_hidden, len(self.weights) > 3 * self.n_hidden
        gates = self._gates(arithmetic, slice(0, 2 * n), slice(0, 2 * n))
        hidden = self._sums(arithmetic, slice(2 * n, None), None, self.weight_scale - 1, _MOST_CELL)
        tanh = _hyperbolic_tangent(arithmetic)
        unit, rounding = (arithmetic.constant(np.array([one]), _UNIT) for one in (1, half(_UNIT)))
        of_input = arithmetic.constant(np.array([1 << (2 * _UNIT - self.input_scale)]), _UNIT)
        of_state = arithmetic.constant(np.array([1 << _UNIT]), _UNIT)

        def advance(x: Values, state: Values) -> tuple[Values, ...]:
            both, parts = gates(x, state), hidden(x, state)
            sums = both[:, :n] * parts[:, :n] * unit + x[:, 2 * n :] * of_input + rounding
            if has_more:
                sums += parts[:, n:] * of_state
            candidate = tanh(arithmetic.requantise(sums, _UNIT, -_MOST_ARGUMENT, _MOST_ARGUMENT - 1))
            moved = both[:, n:] * (state - candidate) * unit + rounding
            return (candidate + arithmetic.requantise(moved, _UNIT, 2 * LOWEST, -2 * LOWEST),)

        return advance


@dataclass(frozen=True, eq=False)
class LSTM(Recurrence, name="lstm"):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), whose cells c are limited to ±128.

    With the input x, the state h before the step and W of ``weights``, whose groups of H rows are i, f, g and o::

        i, f, o = σ(x_i + W_i h + b_i), σ(x_f + W_f h + b_f), σ(x_o + W_o h + b_o)
        c' = f c + i tanh(x_g + W_g h + b_g)
        h' = o tanh(c')
    """

    n_gates, most_groups, n_kept = 4, 4, 2

    def _advance(self, arithmetic: Arithmetic) -> Callable[..., tuple[Values, ...]]:
        n, last = self.n_hidden, slice(3 * self.n_hidden, None)
        gates = self._gates(arithmetic, slice(0, 2 * n), slice(0, 2 * n))
        out_gate = self._gates(arithmetic, last, last)
        third = slice(2 * n, 3 * n)
        candidate = self._sums(arithmetic, third, third, self.weight_scale - 1, _MOST_ARGUMENT)
        tanh = _hyperbolic_tangent(arithmetic)
        unit, rounding = (arithmetic.constant(np.array([one]), _UNIT) for one in (1, half(_UNIT)))
        twice = arithmetic.constant(np.array([2]), _UNIT)

        def advance(x: Values, state: Values, cell: Values) -> tuple[Values, ...]:
            both = gates(x, state)
            sums = both[:, n:] * cell * unit + both[:, :n] * tanh(candidate(x, state)) * twice + rounding
            cell = arithmetic.requantise(sums, _UNIT, -_MOST_CELL, _MOST_CELL - 1)
            inner = tanh(cell.clip(-_MOST_ARGUMENT, _MOST_ARGUMENT - 1))
            state = out_gate(x, state) * inner * unit + rounding
            return arithmetic.requantise(state, _UNIT, LOWEST, HIGHEST), cell

        return advance


def _hyperbolic_tangent(arithmetic: Arithmetic) -> Step:
    """Return a function that replaces arguments in units of 2^-16 by their tanh in units of 2^-15, in place."""
    follow = Curve(TANH, _ARGUMENT_BITS).prepare(arithmetic)

    def tanh(arguments: Values) -> Values:
        arguments += _MOST_ARGUMENT
        return follow(arguments)

    return tanh
