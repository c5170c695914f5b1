"""Parallel branches of operations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.arithmetic import LOWEST, Arithmetic, Step, Values
from narrows.codec.operations.contract import LinearOperation, Operation, Requantise, Shape, half
from narrows.codec.operations.reading import MOST_SHIFT, Reader
from narrows.codec.operations.sequence import MOST_OPERATIONS, sequence_shapes, sequence_steps
from narrows.errors import ModelFileError

__all__ = ["MOST_LEFT_SHIFT", "Branches"]

MOST_LEFT_SHIFT = 32
_FEWEST, _MOST = 2, 8
_LARGE_VALUES = 2**20  # values of a batch; above this, buffers are freed between two steps


@dataclass(frozen=True, eq=False)
class Branches(LinearOperation, name="branches"):
    """The sum of the outputs of several lists of operations: clip16(round_shift(Σ_i x_i 2^{s_i}, shift)).

    x_i is the output of list i for the same input; all outputs have the same shape. |x_i| ≤ 2^15, so no sum exceeds
    Σ_i 2^{15 + s_i} + 2^(shift - 1), which must be below 2^53. An empty list is the identity.

    Attributes
    ----------
    branches : tuple of tuple of Operation
        2 to 8 lists of operations, without nested `Branches`.
    shifts : tuple of int
        s_i, 0 to 32, one for each list.
    shift : int
        0 to 62.
    """

    branches: tuple[tuple[Operation, ...], ...]
    shifts: tuple[int, ...]
    shift: int

    def __post_init__(self) -> None:
        if not _FEWEST <= len(self.branches) <= _MOST:
            raise ModelFileError(
                f"A branches operation must have {_FEWEST} to {_MOST} branches. Got {len(self.branches)}."
            )
        if len(self.shifts) != len(self.branches):
            raise ModelFileError(
                f"A branches operation must have one shift for each of its {len(self.branches)} branches. "
                f"Got {len(self.shifts)} 'shifts'."
            )
        if any(isinstance(operation, Branches) for operation in self.within()):
            raise ModelFileError("Branches cannot be nested.")

    def within(self) -> tuple[Operation, ...]:
        return tuple(operation for branch in self.branches for operation in branch)

    def shapes_within(self, in_shape: Shape) -> tuple[Shape, ...]:
        return tuple(shape for shapes in self._shapes(in_shape) for shape in shapes)

    def out_shape(self, in_shape: Shape) -> Shape:
        found = [shapes[-1] for shapes in self._shapes(in_shape)]
        if len(set(found)) > 1:
            raise ModelFileError(f"The outputs of branches must have the same shape. Got {', '.join(map(str, found))}.")
        return found[0]

    def n_multiplications(self, in_shape: Shape) -> int:
        return sum(
            operation.n_multiplications(shape)
            for branch, shapes in zip(self.branches, self._shapes(in_shape), strict=True)
            for operation, shape in zip(branch, shapes, strict=False)
        )

    def largest_sum(self) -> int:
        return sum(-LOWEST << shift for shift in self.shifts) + half(self.shift)

    def prepare_with(self, arithmetic: Arithmetic, in_shape: Shape, requantise: Requantise) -> Step:
        factors = [arithmetic.constant(np.array([1 << shift]), requantise.shift) for shift in self.shifts]
        steps = [
            sequence_steps(branch, shapes, arithmetic)
            for branch, shapes in zip(self.branches, self._shapes(in_shape), strict=True)
        ]
        largest = max(math.prod(shape) for shape in self.shapes_within(in_shape))
        end = requantise.prepare(arithmetic)
        places = [object() for _ in steps]

        def one_branch(y: Values, steps: list[Step]) -> Values:
            for step in steps:
                y = step(y)
                if len(y) * largest > _LARGE_VALUES:
                    arithmetic.release()
            return y

        def add_up(x: Values) -> Values:
            total = None
            for factor, branch, place in zip(factors, steps, places, strict=True):
                y = arithmetic.empty(tuple(x.shape), place)  # a copy: steps may overwrite their input
                y[...] = x
                y = one_branch(y, branch)
                y *= factor
                if total is None:
                    total = y
                else:
                    total += y
            return end(total)

        return add_up

    def settings(self) -> dict[str, Any]:
        return {"shifts": list(self.shifts), "shift": self.shift}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of all operations in the branches, under ``<branch>.<position>.<name>``."""
        return {
            f"{number}.{position}.{name}": array
            for number, branch in enumerate(self.branches)
            for position, operation in enumerate(branch)
            for name, array in operation.tensors().items()
        }

    def described(self, names: dict[str, str]) -> dict[str, Any]:
        branches = [
            [
                operation.described({name: names[f"{number}.{position}.{name}"] for name in operation.tensors()})
                for position, operation in enumerate(branch)
            ]
            for number, branch in enumerate(self.branches)
        ]
        return {"kind": self.name, **self.settings(), "branches": branches}

    @classmethod
    def read(cls, reader: Reader) -> Branches:
        branches = reader.lists("branches", _MOST, MOST_OPERATIONS)
        for operation in (operation for branch in branches for operation in branch):
            # Checked before the operations are read, because nesting could be arbitrarily deep.
            if isinstance(operation, dict) and operation.get("kind") == cls.name:
                raise ModelFileError("Branches cannot be nested.")
        return cls(
            tuple(tuple(Operation.from_tensors(one, reader.tensors) for one in branch) for branch in branches),
            reader.wholes("shifts", 0, MOST_LEFT_SHIFT),
            reader.whole("shift", 0, MOST_SHIFT),
        )

    def _shapes(self, in_shape: Shape) -> list[tuple[Shape, ...]]:
        """Return for each branch its input shape, and the output shape of each of its operations."""
        return [sequence_shapes(branch, in_shape, f"branch {number}") for number, branch in enumerate(self.branches)]
