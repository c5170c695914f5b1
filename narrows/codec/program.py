"""A frozen decoder: a sequence of operations, with the proof that its integers are the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec.arithmetic import HIGHEST, LOWEST, Arithmetic, Step, arithmetic
from narrows.codec.operations import EXACT_BELOW, MOST_VALUES, Operation
from narrows.codec.operations.contract import Shape, check_size
from narrows.codec.operations.reading import check_wholes
from narrows.codec.operations.sequence import MOST_OPERATIONS, sequence_shapes, sequence_steps
from narrows.errors import DataError, ModelFileError, ShapeMismatchError

__all__ = ["MOST_WORK", "VALUE_WORK", "Program", "checked_work", "sizes_on_the_way"]

_MOST_ON_THE_WAY = 2**28  # values of one record, summed over all operations
_MOST_WEIGHTS = 2**27  # 1 GiB as float64
VALUE_WORK = 2**6
"""The time to process a value, in multiplications of a matrix product."""
MOST_WORK = 2**36  # multiplications per record: about half a minute
# Values between two operations of the records that are computed together: 8 MiB as float64.
_BATCH_VALUES = 2**20
_BATCH_RECORDS = 1024


class Program:
    """A sequence of operations on records of 16-bit integers.

    Parameters
    ----------
    in_shape : tuple of int
        Shape of an input record.
    operations : iterable of Operation
        The operations in order.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Shape of a record before the first operation, and after each.
    work : int
        The work per record: its multiplications, plus 64 for each value between operations.

    Raises
    ------
    ModelFileError
        If the shapes do not fit together, a record exceeds 2^26 values or a work of 2^36, or a sum could reach 2^53.

    Examples
    --------
    >>> import numpy as np
    >>> from narrows.codec.operations import Dense, Relu
    >>> half = Dense(np.array([[1, 1], [1, -1]], np.int16), np.zeros(2, np.int64), shift=1)
    >>> Program((2,), [half, Relu()]).run(np.array([[10, 3], [3, 10]]))
    array([[7, 4],
           [7, 0]], dtype=int16)
    """

    def __init__(self, in_shape: Shape, operations: Iterable[Operation]) -> None:
        self.operations = tuple(operations)
        self.shapes = sequence_shapes(self.operations, check_size("The input", tuple(in_shape)), "the decoder")
        self._sizes = sizes_on_the_way(self.operations, self.shapes)
        self.work = checked_work(self.operations, self.shapes)
        self._check_sums()  # last, because it reads every weight
        self._prepared: dict[str, tuple[Arithmetic, list[Step]]] = {}

    @property
    def in_shape(self) -> Shape:
        """Shape of an input record."""
        return self.shapes[0]

    @property
    def out_shape(self) -> Shape:
        """Shape of an output record."""
        return self.shapes[-1]

    def run(self, x: NDArray[Any], *, backend: str = "float64") -> NDArray[np.int16]:
        """Apply the operations to records; the result is the same for every backend, batch and number of threads.

        Parameters
        ----------
        x : ndarray of shape (n, *in_shape), of integers
            Between -32,768 and 32,767.
        backend : str
            "float64", "int64", "torch" or "torch:<device>": see `arithmetic.arithmetic`.

        Returns
        -------
        y : ndarray of shape (n, *out_shape), int16
            The output.

        Raises
        ------
        ShapeMismatchError
            If the records have another shape.
        DataError
            If the values are not integers, or do not fit 16 bits.
        InvalidParameterError
            If there is no such backend.
        """
        self._check(x)
        computed_by, steps = self._steps(backend)
        out = np.empty((len(x), *self.out_shape), np.int16)
        largest = max(self._sizes)
        size, is_large = max(1, min(_BATCH_RECORDS, _BATCH_VALUES // largest)), largest > _BATCH_VALUES
        try:
            for start in range(0, len(x), size):
                values = computed_by.values(x[start : start + size])
                for step in steps:
                    values = step(values)
                    if is_large:
                        computed_by.release()
                out[start : start + size] = computed_by.integers(values)
        finally:
            computed_by.release()
        return out

    def _check_sums(self) -> None:
        """Raise ModelFileError if a sum could be rounded."""
        for position, operation in enumerate(self.operations):
            for one in (operation, *operation.within()):
                if one.largest_sum() >= EXACT_BELOW:
                    what = one.name if one is operation else f"{one.name} in {operation.name}"
                    raise ModelFileError(
                        f"Operation {position} of the decoder, {what}, has sums that could reach 2^53, from where "
                        "float64 rounds. Its results would not be the same on every machine."
                    )

    def _check(self, x: NDArray[Any]) -> None:
        if x.shape[1:] != self.in_shape:
            raise ShapeMismatchError(f"The frozen decoder takes records of shape {self.in_shape}. Got {x.shape[1:]}.")
        if x.dtype.kind not in "iu":
            raise DataError(f"The frozen decoder takes integers. Got {x.dtype}.")
        if x.dtype != np.int16 and x.size and not (x.min() >= LOWEST and x.max() <= HIGHEST):
            raise DataError(f"The frozen decoder takes 16-bit integers. Got {x.min()} to {x.max()}.")

    def _steps(self, backend: str) -> tuple[Arithmetic, list[Step]]:
        if backend in self._prepared:
            return self._prepared[backend]
        computed_by = arithmetic(backend)
        steps = sequence_steps(self.operations, self.shapes, computed_by)
        self._prepared[backend] = computed_by, steps
        return computed_by, steps

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the program as JSON, and its arrays by name; equal arrays are stored once.

        Returns
        -------
        settings : dict
            ``{"in_shape": [...], "operations": [...]}``; an operation is its kind, its settings, and the names of its
            arrays. Branches have lists of such operations.
        tensors : dict of str to ndarray
            The arrays.
        """
        tensors: dict[str, NDArray[Any]] = {}
        names: dict[tuple[str, Shape, bytes], str] = {}
        described = []
        for position, operation in enumerate(self.operations):
            found: dict[str, str] = {}
            for key, array in operation.tensors().items():
                content = (array.dtype.str, array.shape, array.tobytes())
                found[key] = names.setdefault(content, f"{position}.{key}")
                tensors.setdefault(found[key], array)
            described.append(operation.described(found))
        return {"in_shape": list(self.in_shape), "operations": described}, tensors

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return the program of `to_tensors`.

        Raises
        ------
        ModelFileError
            If operations or settings are unknown, arrays are missing or of a wrong dtype or shape, sizes exceed their
            limits, or sums could be rounded.
        """
        described = settings.get("operations") if isinstance(settings, Mapping) else None
        if not isinstance(described, list) or len(described) > MOST_OPERATIONS:
            raise ModelFileError(
                f"The model's decoder must be a list of at most {MOST_OPERATIONS} operations. "
                f"Got {len(described) if isinstance(described, list) else type(described).__name__}."
            )
        in_shape = check_wholes("in_shape", settings.get("in_shape"), 1, MOST_VALUES)
        operations: list[Operation] = []
        n_operations = 0
        for one in described:
            operations.append(Operation.from_tensors(one, tensors))
            n_operations += 1 + len(operations[-1].within())
            if n_operations > MOST_OPERATIONS:
                raise ModelFileError(
                    f"The model's decoder may have at most {MOST_OPERATIONS} operations, including its branches."
                )
        return cls(in_shape, operations)


def sizes_on_the_way(operations: Sequence[Operation], shapes: Sequence[Shape]) -> list[int]:
    """Return the number of values of a record before and after each operation, including those of branches."""
    pairs = zip(operations, shapes, strict=False)
    within = [shape for operation, in_shape in pairs for shape in operation.shapes_within(in_shape)]
    return [math.prod(shape) for shape in (*shapes, *within)]


def checked_work(operations: Sequence[Operation], shapes: Sequence[Shape]) -> int:
    """Return the work per record of operations; only the shapes of their arrays are read.

    Parameters
    ----------
    operations : sequence of Operation
        The operations in order.
    shapes : sequence of tuple of int
        Shape of a record before the first operation, and after each.

    Raises
    ------
    ModelFileError
        If work or memory exceeds its limit.
    """
    n_values = sum(sizes_on_the_way(operations, shapes))
    if n_values > _MOST_ON_THE_WAY:
        raise ModelFileError(
            f"The decoder has {n_values:,} values per record, summed over its operations. Allowed: 2^28."
        )
    n_weights = sum(array.size for operation in operations for array in operation.tensors().values())
    if n_weights > _MOST_WEIGHTS:
        raise ModelFileError(f"The decoder's operations have {n_weights:,} weights. Allowed: 2^27.")
    n_multiplications = sum(
        operation.n_multiplications(shape) for operation, shape in zip(operations, shapes, strict=False)
    )
    work = n_multiplications + VALUE_WORK * n_values
    if work > MOST_WORK:
        raise ModelFileError(
            f"The decoder needs {n_multiplications:,} multiplications and {n_values:,} values per record. "
            f"Allowed: 2^36 for the multiplications plus {VALUE_WORK} times the values."
        )
    return work
