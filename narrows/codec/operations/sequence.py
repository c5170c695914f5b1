"""Sequences of operations: a whole decoder, or one of its branches."""

from __future__ import annotations

from collections.abc import Sequence

from narrows.codec.arithmetic import Arithmetic, Step
from narrows.codec.operations.contract import LinearOperation, Operation, Shape
from narrows.errors import ModelFileError

__all__ = ["MOST_OPERATIONS", "sequence_shapes", "sequence_steps"]

MOST_OPERATIONS = 1000  # of a decoder, including its branches


def sequence_shapes(operations: Sequence[Operation], in_shape: Shape, whose: str) -> tuple[Shape, ...]:
    """Return the shape of a record before the first operation, and after each.

    Raises
    ------
    ModelFileError
        If an operation does not accept its input; the message gives its position and ``whose`` it is.
    """
    shapes = [in_shape]
    for position, operation in enumerate(operations):
        try:
            shapes.append(operation.out_shape(shapes[-1]))
        except ModelFileError as error:
            raise ModelFileError(f"Operation {position} of {whose} does not fit its input. {error}") from error
    return tuple(shapes)


def sequence_steps(operations: Sequence[Operation], shapes: Sequence[Shape], arithmetic: Arithmetic) -> list[Step]:
    """Return the steps of the operations, given the shapes before them.

    A linear operation and a following elementwise one are combined in one step where possible.
    """
    steps: list[Step] = []
    waiting = list(zip(operations, shapes, strict=False))[::-1]
    while waiting:
        operation, in_shape = waiting.pop()
        following = waiting[-1][0] if waiting else None
        requantise = operation.requantise_with(following) if isinstance(operation, LinearOperation) else None
        if isinstance(operation, LinearOperation) and requantise is not None:
            waiting.pop()
            steps.append(operation.prepare_with(arithmetic, in_shape, requantise))
        else:
            steps.append(operation.prepare(arithmetic, in_shape))
    return steps
