"""Operations one after the other: a whole decoder, and each of the branches within one."""

from __future__ import annotations

from collections.abc import Sequence

from narrows.codec.arithmetic import Arithmetic, Step
from narrows.codec.operations.contract import LinearOperation, Operation, Shape
from narrows.errors import ModelFileError

__all__ = ["MOST_OPERATIONS", "sequence_shapes", "sequence_steps"]

MOST_OPERATIONS = 1000  # of a decoder, those within its branches included


def sequence_shapes(operations: Sequence[Operation], in_shape: Shape, whose: str) -> tuple[Shape, ...]:
    """Return the shape of a record before the first operation, and behind each.

    Raises
    ------
    ModelFileError
        If an operation cannot be done to what comes into it; the message names it, and ``whose`` it is.
    """
    shapes = [in_shape]
    for position, operation in enumerate(operations):
        try:
            shapes.append(operation.out_shape(shapes[-1]))
        except ModelFileError as error:
            raise ModelFileError(f"Operation {position} of {whose} cannot be done. {error}") from error
    return tuple(shapes)


def sequence_steps(operations: Sequence[Operation], shapes: Sequence[Shape], arithmetic: Arithmetic) -> list[Step]:
    """Return what does the operations, given the shapes between them; sums and what follows them in one step."""
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
