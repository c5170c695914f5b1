"""Lookup of codebook vectors by their indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.arithmetic import Arithmetic, Step, Values
from narrows.codec.operations.contract import Operation, Shape, check_size
from narrows.codec.operations.reading import Reader
from narrows.errors import ModelFileError

__all__ = ["Codebook"]

_MOST_CODES = 2**15


@dataclass(frozen=True, eq=False)
class Codebook(Operation, name="codebook"):
    """The row of a table for each value: y[…, j] = table[min(max(x[…], 0), K - 1), j].

    Indices are clipped, so that no value of an untrusted file is outside the table.

    Attributes
    ----------
    table : ndarray of int16, shape (K, dim)
        The codebook; K is at most 2^15.
    """

    table: NDArray[np.int16]

    def __post_init__(self) -> None:
        if len(self.table) > _MOST_CODES:
            raise ModelFileError(f"A codebook may have at most {_MOST_CODES:,} rows. Got {len(self.table):,}.")

    def out_shape(self, in_shape: Shape) -> Shape:
        return check_size("A codebook operation", (*in_shape, self.table.shape[1]))

    def prepare(self, arithmetic: Arithmetic, in_shape: Shape) -> Step:
        n_codes, dim = self.table.shape
        table, columns = arithmetic.constant(self.table.ravel()), arithmetic.constant(np.arange(dim))
        here, at = object(), object()

        def look_up(x: Values) -> Values:
            rows = arithmetic.requantise(x, 0, 0, n_codes - 1)
            places = rows.reshape(*rows.shape, 1) * dim + columns
            return arithmetic.take(table, arithmetic.indices(places, 0, here), at)

        return look_up

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"table": self.table}

    @classmethod
    def read(cls, reader: Reader) -> Codebook:
        return cls(reader.tensor("table", np.int16, 2))
