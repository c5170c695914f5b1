"""An entropy model with one table for each symbol of a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec import rans
from narrows.codec.entropy_models.contract import EntropyModel, Intervals, with_escapes
from narrows.codec.entropy_models.escapes import Escapes
from narrows.codec.tables import FrequencyTables, regular_window
from narrows.errors import InvalidParameterError

__all__ = ["Independent"]

_PRIOR_COUNT = 0.5  # added to the count of every regular value (Krichevsky and Trofimov 1981)


class Independent(EntropyModel, name="independent"):
    """Code position d of a record with table d.

    Parameters
    ----------
    tables : FrequencyTables
        One table for each symbol of a record.

    Examples
    --------
    >>> symbols = np.array([[0, 3], [1, 3], [0, 3]], np.int32)
    >>> model = Independent.fit(symbols, precision=8)
    >>> model.decode(model.encode(symbols), 3).tolist()
    [[0, 3], [1, 3], [0, 3]]
    """

    def __init__(self, tables: FrequencyTables) -> None:
        self.tables = tables

    @property
    def n_symbols(self) -> int:
        return len(self.tables)

    @classmethod
    def fit(cls, symbols: NDArray[np.int32], *, precision: int = 12) -> Independent:
        """Return the model with tables counted on training symbols of shape (n, D), n ≥ 1.

        Every value between the lowest and the highest value that are not rare gets an entry, even with a count of 0;
        values outside are escaped. A position that never changes costs almost nothing, and can still code other values.

        Raises
        ------
        InvalidParameterError
            If the symbols do not have the shape (n, D) with n ≥ 1.
        """
        if symbols.ndim != 2 or not len(symbols):
            raise InvalidParameterError(f"Symbols must have shape (n, D) with n of at least 1. Got {symbols.shape}.")
        counted = (_counted(column, precision) for column in symbols.T)
        return cls(FrequencyTables.from_counts(counted, precision=precision))

    def intervals(self, symbols: NDArray[np.int32]) -> Intervals:
        return Intervals(*self.tables.entries(np.arange(self.n_symbols)[:, None], symbols))

    def pop(self, decoder: rans.Decoder, escapes: Escapes, n_records: int) -> NDArray[np.int32]:
        symbols = np.empty((self.n_symbols, n_records), np.int32)
        for position in range(self.n_symbols):
            values = decoder.pop(n_records, self.tables.lookup(position))
            symbols[position] = with_escapes(values, escapes)
        return symbols

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        settings, tensors = self.tables.to_tensors()
        return {"name": self.name, **settings}, tensors

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        return cls(FrequencyTables.from_tensors(settings, tensors))


def _counted(column: NDArray[np.int32], precision: int) -> tuple[int, NDArray[np.float64]]:
    """Return the lowest regular value of a table for the symbols (n,), and the counts of its entries."""
    lowest = int(column.min())
    counts = np.bincount(column.astype(np.int64) - lowest)
    first, last = regular_window(counts, precision)
    entries = np.empty(last - first + 1)
    np.add(counts[first:last], _PRIOR_COUNT, out=entries[:-1])
    entries[-1] = len(column) - counts[first:last].sum()  # an escape with a count of 0 gets one slot
    return lowest + first, entries
