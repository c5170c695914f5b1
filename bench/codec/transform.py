"""PCA, a uniform step and a range coder: what a linear autoencoder would be worth as a codec.

The first coefficients of a record are rounded to multiples of one step, and coded by `constriction`'s range coder, one
table a coefficient, counted on the training records (one added to every count); what a table does not have is moved to
its nearest entry. A symbol is restored as the mean of the training coefficients that were rounded to it. The bytes are
real ones: one message for all test records, so records are not to be had one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import constriction
import numpy as np
from measuring import Array, Attempt
from numpy.typing import NDArray
from principal import Axes, flat
from records import Records

__all__ = ["attempts"]

N_COMPONENTS = 768  # the later ones cost next to nothing at large steps: fewer save 1% at most
STEPS = (25, 40, 60, 90, 130, 190, 270, 400, 600)


@dataclass(frozen=True)
class Table:
    """The entries low … low + size - 1 of one coefficient: their probabilities and what they are restored as."""

    low: int
    values: NDArray[np.float32]
    model: constriction.stream.model.Categorical | None = field(compare=False)

    @classmethod
    def counted(cls, coefficients: NDArray[np.float32], step: float) -> Table:
        symbols = np.rint(coefficients / step).astype(np.int64)
        low = int(symbols.min())
        counts = np.bincount(symbols - low)
        sums = np.bincount(symbols - low, weights=coefficients)
        middles = (low + np.arange(len(counts))) * step
        values = np.where(counts > 0, sums / np.maximum(counts, 1), middles).astype(np.float32)
        probabilities = (counts + 1) / (counts + 1).sum()
        several = len(counts) > 1  # one entry alone needs no bits
        model = constriction.stream.model.Categorical(probabilities, perfect=False) if several else None
        return cls(low, values, model)

    def symbols(self, coefficients: NDArray[np.float32], step: float) -> NDArray[np.int32]:
        return np.clip(np.rint(coefficients / step) - self.low, 0, len(self.values) - 1).astype(np.int32)


@dataclass(frozen=True)
class Coder:
    """Axes, step and tables of one setting."""

    axes: Axes
    tables: list[Table]
    step: float
    shape: tuple[int, ...]

    @property
    def side_bytes(self) -> int:
        """Mean and axes as float32, each table entry's frequency and value as 4 bytes each."""
        d = len(self.axes.mean)
        return 4 * d * (1 + len(self.tables)) + sum(8 * len(table.values) for table in self.tables)

    def encode(self, records: Array) -> list[bytes]:
        z = (flat(records) - self.axes.mean) @ self.axes.axes[: len(self.tables)].T
        encoder = constriction.stream.queue.RangeEncoder()
        for table, column in zip(self.tables, z.T, strict=True):
            if table.model is not None:
                encoder.encode(table.symbols(column, self.step), table.model)
        return [len(records).to_bytes(4, "little"), encoder.get_compressed().tobytes()]

    def decode(self, stored: list[bytes]) -> Array:
        n = int.from_bytes(stored[0], "little")
        decoder = constriction.stream.queue.RangeDecoder(np.frombuffer(stored[1], np.uint32))
        z = np.empty((len(self.tables), n), np.float32)
        for table, column in zip(self.tables, z, strict=True):
            column[:] = table.values[0 if table.model is None else decoder.decode(table.model, n)]
        y = z.T @ self.axes.axes[: len(self.tables)] + self.axes.mean
        return np.rint(np.clip(y, 0, 255)).astype(np.uint8).reshape(n, *self.shape)


def attempts(records: Records, axes: Axes) -> Iterator[Attempt]:
    z = (flat(records.train) - axes.mean) @ axes.axes[:N_COMPONENTS].T
    for step in STEPS:
        tables = [Table.counted(column, step) for column in z.T]
        coder = Coder(axes, tables, step, records.test.shape[1:])
        note = f"{N_COMPONENTS} components; one message for all records"
        yield Attempt("PCA + range coder", f"step {step}", coder.encode, coder.decode, coder.side_bytes, note=note)
