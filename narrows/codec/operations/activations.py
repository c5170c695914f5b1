"""Activation functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.arithmetic import HIGHEST, LOWEST
from narrows.codec.operations.contract import Curve, Elementwise, Requantise
from narrows.codec.operations.reading import Reader
from narrows.errors import ModelFileError

__all__ = ["Clip", "Lookup", "Relu"]

_SIZES = tuple(2**k + 1 for k in range(17))


@dataclass(frozen=True, eq=False)
class Lookup(Elementwise, name="lookup"):
    """Any function of a 16-bit value, as 2^k + 1 points with linear interpolation.

    With u = x + 2^15, m = 16 - k and i = floor(u / 2^m):
    y = round_shift(t_i 2^m + (t_{i+1} - t_i) (u - i 2^m), m). Interpolation keeps tables short: a smooth function needs
    a few hundred points instead of 65,536, and a leaky ReLU three.

    Attributes
    ----------
    table : ndarray of int16, shape (2^k + 1,)
        The points t_i, with k from 0 to 16. The last point is that of x = 2^15, one beyond the largest input.
    """

    table: NDArray[np.int16]

    def __post_init__(self) -> None:
        if len(self.table) not in _SIZES:
            raise ModelFileError(f"A table must have 2^k + 1 points, k from 0 to 16. Got {len(self.table)}.")

    @property
    def requantise(self) -> Requantise:
        return Requantise(0, -LOWEST, 0, HIGHEST - LOWEST, Curve(self.table))

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"table": self.table}

    @classmethod
    def read(cls, reader: Reader) -> Lookup:
        return cls(reader.tensor("table", np.int16, 1))


@dataclass(frozen=True)
class Relu(Elementwise, name="rectify"):
    """max(x, 0)."""

    @property
    def requantise(self) -> Requantise:
        return Requantise(0, 0, 0, HIGHEST)

    @classmethod
    def read(cls, reader: Reader) -> Relu:
        return cls()


@dataclass(frozen=True)
class Clip(Elementwise, name="clip"):
    """min(max(x, low), high).

    Attributes
    ----------
    low, high : int
        16-bit integers, low ≤ high.
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        if not LOWEST <= self.low <= self.high <= HIGHEST:
            raise ModelFileError(
                f"The limits of a clip operation must be 16-bit integers, low ≤ high. Got {self.low} and {self.high}."
            )

    @property
    def requantise(self) -> Requantise:
        return Requantise(0, 0, self.low, self.high)

    def settings(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high}

    @classmethod
    def read(cls, reader: Reader) -> Clip:
        return cls(reader.whole("low", LOWEST, HIGHEST), reader.whole("high", LOWEST, HIGHEST))
