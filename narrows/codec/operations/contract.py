"""The contract of a frozen decoder's operations: 16-bit integers in and out, and a proof that no sum is rounded."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec.arithmetic import HIGHEST, LOWEST, Arithmetic, Step, Values
from narrows.codec.operations.reading import Reader
from narrows.errors import ModelFileError

__all__ = [
    "EXACT_BELOW",
    "MOST_VALUES",
    "Curve",
    "Elementwise",
    "LinearOperation",
    "Operation",
    "Requantise",
    "Shape",
    "check_size",
    "half",
    "largest_row",
    "row_magnitudes",
]

Shape = tuple[int, ...]

EXACT_BELOW = 2**53
_CACHED_VALUES = 2**15
_BLOCK_VALUES = 2**18
MOST_VALUES = 2**26  # of one record between two operations: 512 MiB as float64


class Operation(ABC):
    """One operation of a frozen decoder, on records of 16-bit integers; immutable.

    A concrete operation registers its name in files by deriving: ``class Dense(LinearOperation, name="dense")``.
    """

    name: ClassVar[str]
    registry: ClassVar[dict[str, type[Operation]]] = {}

    def __init_subclass__(cls, name: str | None = None) -> None:
        if name is not None:
            cls.name = name
            Operation.registry[name] = cls

    @abstractmethod
    def out_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of the output for a record of ``in_shape``.

        Raises
        ------
        ModelFileError
            If the operation does not accept records of ``in_shape``.
        """

    @abstractmethod
    def prepare(self, arithmetic: Arithmetic, in_shape: Shape) -> Step:
        """Return a function that applies the operation to values (n, *in_shape); it may overwrite them."""

    def n_multiplications(self, in_shape: Shape) -> int:
        """Return an upper bound of the multiplications per record, without a few for each of its values."""
        return 0

    def largest_sum(self) -> int:
        """Return an upper bound of all sums, with the offset for rounding, for any 16-bit inputs."""
        return 0

    def within(self) -> tuple[Operation, ...]:
        """Return the operations of all branches; empty without branches."""
        return ()

    def shapes_within(self, in_shape: Shape) -> tuple[Shape, ...]:
        """Return the input and output shapes of the operations of all branches."""
        return ()

    def settings(self) -> dict[str, Any]:
        """Return the JSON-compatible settings."""
        return {}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {}

    @classmethod
    @abstractmethod
    def read(cls, reader: Reader) -> Self:
        """Return the operation of `settings` and `tensors`.

        Raises
        ------
        ModelFileError
            If they are invalid.
        """

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return JSON with the kind, the settings and the name of each array; and the arrays by name."""
        tensors = self.tensors()
        return self.described({name: name for name in tensors}), tensors

    def described(self, names: dict[str, str]) -> dict[str, Any]:
        """Return the JSON of `to_tensors` with other ``names`` of the arrays."""
        return {"kind": self.name, **self.settings(), **names}

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return the operation of `to_tensors`.

        Raises
        ------
        ModelFileError
            If its kind is unknown or not of this class, or its settings or arrays are invalid.
        """
        kind = settings.get("kind") if isinstance(settings, Mapping) else None
        known = {name: found for name, found in Operation.registry.items() if issubclass(found, cls)}
        if not isinstance(kind, str) or kind not in known:
            raise ModelFileError(f"An operation must be one of {', '.join(sorted(known))}. Got {kind!r:.80}.")
        reader = Reader(kind, settings, tensors)
        operation: Self = known[kind].read(reader)
        reader.finish()
        return operation


@dataclass(frozen=True)
class Requantise:
    """Conversion of a sum v to 16 bits: floor((v + offset) / 2^shift), clipped to low … high, then optionally a curve.

    Attributes
    ----------
    shift, offset, low, high : int
        As above.
    curve : Curve, optional
        Applied last, to values that are then within 0 … 65535.
    """

    shift: int
    offset: int
    low: int = LOWEST
    high: int = HIGHEST
    curve: Curve | None = None

    def then(self, other: Requantise) -> Requantise | None:
        """Return both, this one first, as one requantisation; None if that is not possible.

        Both are monotonic, so the limits of the first can be applied after the second, and nested floors are one floor.
        """
        if self.curve is not None:
            return None
        low, high = ((limit + other.offset) >> other.shift for limit in (self.low, self.high))
        return Requantise(
            self.shift + other.shift,
            self.offset + (other.offset << self.shift),
            max(low, other.low),
            min(high, other.high),
            other.curve,
        )

    def prepare(self, arithmetic: Arithmetic, biases: NDArray[np.int64] | int = 0) -> Step:
        """Return a function that adds biases (m,) to sums (n, ..., m) in units of 2^-shift and requantises in place."""
        offsets = np.asarray(biases, dtype=np.int64) + self.offset
        added = arithmetic.constant(offsets, self.shift) if offsets.any() else None
        follow = None if self.curve is None else self.curve.prepare(arithmetic)

        def end(sums: Values) -> Values:
            # A few records at a time, so that they stay in the cache.
            n_rows = max(1, _CACHED_VALUES // max(math.prod(sums.shape[1:]), 1))
            for start in range(0, len(sums), n_rows):
                part = sums[start : start + n_rows]
                if added is not None:
                    part += added
                part = arithmetic.requantise(part, self.shift, self.low, self.high)
                if follow is not None:
                    follow(part)
            return sums

        return end


@dataclass(frozen=True, eq=False)
class Curve:
    """A function of a 16-bit value, or of one of more ``bits``, as 2^k + 1 points with linear interpolation.

    u in 0 … 2^bits - 1 is on segment i = floor(u / 2^m), m = bits - k. The function value is
    floor((t_i 2^m + (t_{i+1} - t_i) (u - i 2^m) + 2^(m-1)) / 2^m), which always fits 16 bits, or t_u if m is 0.
    """

    table: NDArray[np.int16]
    bits: int = 16

    @property
    def width(self) -> int:
        """The base-2 logarithm m of the distance between points."""
        return self.bits - int(len(self.table) - 1).bit_length() + 1

    def prepare(self, arithmetic: Arithmetic) -> Step:
        """Return a function that replaces values within 0 … 65535 by the function values, in place."""
        m, here, at = self.width, object(), object()
        table = self.table.astype(np.int64)
        if m == 0:
            points = arithmetic.constant(table)

            def look_up(u: Values) -> Values:
                u[...] = arithmetic.take(points, arithmetic.indices(u, 0, here), at)
                return u

            return look_up
        rises = np.diff(table)
        starts = (table[:-1] << m) - rises * (np.arange(len(rises)) << m) + half(m)
        slopes, intercepts = arithmetic.constant(rises, m), arithmetic.constant(starts, m)

        def follow(u: Values) -> Values:
            lines = arithmetic.indices(u, m, here)
            u *= arithmetic.take(slopes, lines, at)
            u += arithmetic.take(intercepts, lines, at)
            return arithmetic.requantise(u, m, LOWEST, HIGHEST)

        return follow


class Elementwise(Operation):
    """An operation that is the same for every value; after a linear operation, the two are computed in one step."""

    @property
    @abstractmethod
    def requantise(self) -> Requantise:
        """The requantisation of each value."""

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def prepare(self, arithmetic: Arithmetic, in_shape: Shape) -> Step:
        assert self.requantise.shift == 0, "values are in units of 1"
        return self.requantise.prepare(arithmetic)


class LinearOperation(Operation):
    """An operation that sums products: clip16(round_shift(Σ w x + b, shift)), where clip16 clips to 16 bits.

    round_shift(v, q) = floor((v + 2^(q-1)) / 2^q), and v for q = 0.
    """

    shift: int

    @abstractmethod
    def largest_sum(self) -> int: ...

    @abstractmethod
    def prepare_with(self, arithmetic: Arithmetic, in_shape: Shape, requantise: Requantise) -> Step:
        """Return the function of `prepare`, but with another requantisation than this operation's own."""

    @property
    def requantise(self) -> Requantise:
        """The requantisation of the sums."""
        return Requantise(self.shift, half(self.shift))

    def requantise_with(self, following: Operation | None) -> Requantise | None:
        """Return the requantisation combined with the following operation; None if they cannot be combined."""
        if not isinstance(following, Elementwise):
            return None
        both = self.requantise.then(following.requantise)
        if both is None or self.largest_sum() + abs(both.offset) >= EXACT_BELOW:
            return None
        return both

    def prepare(self, arithmetic: Arithmetic, in_shape: Shape) -> Step:
        return self.prepare_with(arithmetic, in_shape, self.requantise)


def half(shift: int) -> int:
    """Return the number that is added before a shift to round to nearest."""
    return 1 << (shift - 1) if shift else 0


def largest_row(magnitudes: NDArray[np.int64], biases: NDArray[np.int64], shift: int) -> int:
    """Return the largest Σ |w| 2^15 + |b| + 2^(shift-1) of all rows, given each row's magnitude Σ |w|."""
    if not magnitudes.size:
        return half(shift)
    return int((magnitudes * -LOWEST + np.abs(biases)).max()) + half(shift)


def row_magnitudes(weights: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return the magnitude Σ |w| of each row of weights, shape (rows, ...)."""
    n_values = math.prod(weights.shape[1:])
    size = max(1, _BLOCK_VALUES // max(1, n_values))  # in blocks, to avoid a wide copy of all weights
    rows = weights.reshape(len(weights), n_values)
    blocks = (rows[start : start + size].astype(np.int32) for start in range(0, len(rows), size))
    magnitudes = [np.abs(block).sum(axis=1, dtype=np.int64) for block in blocks]
    return np.concatenate(magnitudes) if magnitudes else np.zeros(0, np.int64)


def check_size(what: str, shape: Shape) -> Shape:
    """Return the shape, after checking that a record may have it between two operations.

    Raises
    ------
    ModelFileError
        If it is empty or too large.
    """
    size = 1
    for n in shape:
        size *= n
    if min(shape, default=1) < 1 or size > MOST_VALUES:
        raise ModelFileError(f"{what} must have records of 1 to 2^26 values. Got shape {shape}.")
    return shape
