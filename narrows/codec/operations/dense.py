"""Dense layers, and a factor for each value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.arithmetic import Arithmetic, Step, Values
from narrows.codec.operations.contract import (
    EXACT_BELOW,
    LinearOperation,
    Requantise,
    Shape,
    check_size,
    largest_row,
    row_magnitudes,
)
from narrows.codec.operations.reading import MOST_SHIFT, Reader
from narrows.errors import ModelFileError

__all__ = ["Dense", "Rescale", "check_biases"]


@dataclass(frozen=True, eq=False)
class Dense(LinearOperation, name="dense"):
    """A dense layer: clip16(round_shift(W x + b, shift)).

    Attributes
    ----------
    weights : ndarray of int16, shape (out, in)
    biases : ndarray of int64, shape (out,)
    shift : int
        0 to 62.
    """

    weights: NDArray[np.int16]
    biases: NDArray[np.int64]
    shift: int

    def __post_init__(self) -> None:
        check_biases("a dense operation", self.biases, len(self.weights))

    def out_shape(self, in_shape: Shape) -> Shape:
        n_out, n_in = self.weights.shape
        if in_shape != (n_in,):
            raise ModelFileError(f"A dense operation needs records of shape ({n_in},). Got {in_shape}.")
        return check_size("A dense operation", (n_out,))

    def n_multiplications(self, in_shape: Shape) -> int:
        return self.weights.size

    def largest_sum(self) -> int:
        return largest_row(row_magnitudes(self.weights), self.biases, self.shift)

    def prepare_with(self, arithmetic: Arithmetic, in_shape: Shape, requantise: Requantise) -> Step:
        weights = arithmetic.constant(self.weights.T, requantise.shift)
        end = requantise.prepare(arithmetic, self.biases)
        place = object()
        return lambda x: end(arithmetic.product(x, weights, place))

    def settings(self) -> dict[str, Any]:
        return {"shift": self.shift}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"weights": self.weights, "biases": self.biases}

    @classmethod
    def read(cls, reader: Reader) -> Dense:
        return cls(
            reader.tensor("weights", np.int16, 2),
            reader.tensor("biases", np.int64, 1),
            reader.whole("shift", 0, MOST_SHIFT),
        )


@dataclass(frozen=True, eq=False)
class Rescale(LinearOperation, name="rescale"):
    """A factor for each value: clip16(round_shift(m x, shift)).

    Attributes
    ----------
    multipliers : ndarray of int32, shape (values of a record,)
        The factors m of a record's values in C order; the record may have any shape.
    shift : int
        0 to 62.
    """

    multipliers: NDArray[np.int32]
    shift: int

    def out_shape(self, in_shape: Shape) -> Shape:
        if math.prod(in_shape) != len(self.multipliers):
            raise ModelFileError(
                f"A rescale operation with {len(self.multipliers)} factors needs records of as many values. "
                f"Got shape {in_shape}."
            )
        return check_size("A rescale operation", in_shape)

    def largest_sum(self) -> int:
        magnitudes = np.abs(self.multipliers.astype(np.int64))
        return largest_row(magnitudes, np.zeros(1, np.int64), self.shift)

    def prepare_with(self, arithmetic: Arithmetic, in_shape: Shape, requantise: Requantise) -> Step:
        factors = arithmetic.constant(self.multipliers.reshape(in_shape), requantise.shift)
        end = requantise.prepare(arithmetic)

        def rescale(x: Values) -> Values:
            x *= factors
            return end(x)

        return rescale

    def settings(self) -> dict[str, Any]:
        return {"shift": self.shift}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"multipliers": self.multipliers}

    @classmethod
    def read(cls, reader: Reader) -> Rescale:
        return cls(reader.tensor("multipliers", np.int32, 1), reader.whole("shift", 0, MOST_SHIFT))


def check_biases(what: str, biases: NDArray[np.int64], n_out: int) -> None:
    """Check that there is one bias for each output, with a magnitude below 2^53.

    Raises
    ------
    ModelFileError
        If not.
    """
    if biases.shape != (n_out,):
        raise ModelFileError(f"The biases of {what} must have the shape ({n_out},). Got {biases.shape}.")
    if biases.size and not -EXACT_BELOW < biases.min() <= biases.max() < EXACT_BELOW:
        raise ModelFileError(f"The biases of {what} must be within ±2^53. Got {biases.min():,} to {biases.max():,}.")
