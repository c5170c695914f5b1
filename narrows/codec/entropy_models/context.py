"""An entropy model that chooses the table of each index of a map by the indices to its left and above it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec import rans
from narrows.codec.entropy_models.contract import EntropyModel, Intervals, with_escapes
from narrows.codec.entropy_models.escapes import Escapes
from narrows.codec.tables import FrequencyTables
from narrows.codec.validation import check_array, check_number, stored_array, stored_number
from narrows.errors import InvalidParameterError, ModelFileError

__all__ = ["Context"]

_MAX_SLOTS = 1 << 22  # all tables together, 8 bytes each while decoding
_MAX_LENGTH = 1 << 15  # of a side of a map
_MAX_SYMBOLS = 1 << 26
_MAX_VALUES = 1 << 15
_ARRAYS = ("left", "above", "table_numbers")

_MOST_CLASSES = 16
_MOST_ENTRIES = 1 << 14  # of all tables together, when fitting: 32 KiB
_ROUNDS = 20
_UNSEEN = 0.01
_PRIOR_COUNT = 20.0  # weight, in symbols, of the frequencies over all contexts in the table of one context


class Context(EntropyModel, name="context"):
    """Code each index with the table of its context: the classes of the indices to its left and above it.

    ::

        left neighbour ──► class ─┐
                                  ├─► table_numbers ─► table codes s
        upper neighbour ─► class ─┘

    Indices have no order, so their values are not predicted. A record's symbols are C maps of h · w positions, one
    after the other; each is coded row by row, independently of the other maps.

    Parameters
    ----------
    tables : FrequencyTables
        Tables of the indices.
    shape : tuple of three int
        C, h, w.
    left, above : ndarray of shape (K + 1,), uint16
        Classes of the indices 0 … K - 1 as left and as upper neighbour; the last class is that of positions beyond the
        edge. Any other symbol has the class of the nearest index.
    table_numbers : ndarray of shape (classes of left, classes of above), uint16
        The index of the table of each pair of classes.

    Raises
    ------
    ModelFileError
        If the arrays do not fit together.
    """

    def __init__(
        self,
        tables: FrequencyTables,
        shape: tuple[int, int, int],
        left: NDArray[np.uint16],
        above: NDArray[np.uint16],
        table_numbers: NDArray[np.uint16],
    ) -> None:
        for length in shape:
            check_number("shape", length, 1, _MAX_LENGTH)
        check_number("symbols", math.prod(shape), 1, _MAX_SYMBOLS)
        check_array("left", left, np.uint16, (None,))
        check_array("above", above, np.uint16, left.shape)
        check_number("n_values", len(left) - 1, 1, _MAX_VALUES)
        check_array("table_numbers", table_numbers, np.uint16, (None, None))
        if not all(classes.max() < n for classes, n in zip((left, above), table_numbers.shape, strict=True)):
            raise ModelFileError(
                f"The model refers to classes of indices beyond those of its 'table_numbers', {table_numbers.shape}."
            )
        if table_numbers.max() >= len(tables):
            raise ModelFileError(f"The model refers to table {table_numbers.max()}, but has {len(tables)} tables.")
        if len(tables) << tables.precision > _MAX_SLOTS:
            raise ModelFileError(
                f"The model may have at most {_MAX_SLOTS >> tables.precision} tables of precision "
                f"{tables.precision}. Got {len(tables)}."
            )
        self.tables, self.shape = tables, shape
        self.left, self.above, self.table_numbers = left, above, table_numbers

    @property
    def n_symbols(self) -> int:
        return math.prod(self.shape)

    @classmethod
    def fit(
        cls, symbols: NDArray[np.int32], shape: tuple[int, int, int], n_values: int, *, precision: int = 12
    ) -> Context:
        """Return the model with tables counted on training symbols of shape (n, C · h · w), within 0 … K - 1.

        Indices that are followed by similar distributions of indices share a class: k-means groups these distributions
        by the Kullback-Leibler divergence. The number of classes is limited so that the tables stay small. The
        frequencies over all contexts are the prior of each table.

        Raises
        ------
        InvalidParameterError
            If the symbols do not have the shape (n, C · h · w) with n ≥ 1.
        """
        if symbols.ndim != 2 or symbols.shape[1] != math.prod(shape) or not len(symbols):
            raise InvalidParameterError(f"Symbols must have shape (n, {math.prod(shape)}). Got {symbols.shape}.")
        maps = symbols.reshape(-1, *shape[1:])
        near = np.full((2, *maps.shape), n_values)
        near[0, :, :, 1:], near[1, :, 1:] = maps[:, :, :-1], maps[:, :-1]
        n_classes = min(max(math.isqrt(_MOST_ENTRIES // (n_values + 1)), 2), _MOST_CLASSES, n_values + 1)
        classes = [_classes(_counts(one, maps, n_values + 1, n_values), n_classes) for one in near]
        contexts = classes[0][near[0]] * n_classes + classes[1][near[1]]
        counts = _counts(contexts, maps, n_classes**2, n_values)
        shares = (counts.sum(0) + 0.5) / (counts.sum() + 0.5 * n_values)
        counted = ((0, np.append(one + _PRIOR_COUNT * shares, 0.0)) for one in counts)
        left, above = (one.astype(np.uint16) for one in classes)
        numbers = np.arange(n_classes**2, dtype=np.uint16).reshape(n_classes, n_classes)
        return cls(FrequencyTables.from_counts(counted, precision=precision), shape, left, above, numbers)

    def intervals(self, symbols: NDArray[np.int32]) -> Intervals:
        numbers = np.empty(symbols.shape, np.uint16)
        for position in range(len(symbols)):
            numbers[position] = self._table_numbers(symbols, position)
        return Intervals(*self.tables.entries(numbers, symbols))

    def pop(self, decoder: rans.Decoder, escapes: Escapes, n_records: int) -> NDArray[np.int32]:
        symbols = np.empty((self.n_symbols, n_records), np.int32)
        for position in range(self.n_symbols):
            values = decoder.pop(n_records, self.tables.lookup(), self._table_numbers(symbols, position))
            symbols[position] = with_escapes(values, escapes)
        return symbols

    def _table_numbers(self, symbols: NDArray[np.int32], position: int) -> NDArray[np.uint16]:
        """Return the table of a position for each record, of shape (n,), given the preceding symbols (D, n)."""
        _, height, width = self.shape
        row, column = divmod(position % (height * width), width)
        left = self._class(self.left, symbols[position - 1] if column else None)
        above = self._class(self.above, symbols[position - width] if row else None)
        return np.broadcast_to(self.table_numbers[left, above], symbols.shape[1:])

    def _class(self, classes: NDArray[np.uint16], neighbours: NDArray[np.int32] | None) -> NDArray[np.uint16]:
        """Return the class of each neighbour (n,), or that of the edge."""
        return classes[-1:] if neighbours is None else classes[np.clip(neighbours, 0, len(classes) - 2)]

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        settings, tensors = self.tables.to_tensors()
        channels, height, width = self.shape
        settings |= {"name": self.name, "channels": channels, "height": height, "width": width}
        return settings, tensors | {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        channels, height, width = (
            stored_number(settings, name, 1, _MAX_LENGTH) for name in ("channels", "height", "width")
        )
        left, above, numbers = (stored_array(tensors, name) for name in _ARRAYS)
        tables = FrequencyTables.from_tensors(settings, tensors)
        return cls(tables, (channels, height, width), left, above, numbers)


def _counts(contexts: NDArray[Any], values: NDArray[Any], n_contexts: int, n_values: int) -> NDArray[np.float64]:
    """Return the counts of each value in each context, (n_contexts, n_values)."""
    flat = np.bincount((contexts * n_values + values).ravel(), minlength=n_contexts * n_values)
    return flat.reshape(n_contexts, n_values).astype(np.float64)


def _classes(counts: NDArray[np.float64], n_classes: int) -> NDArray[np.int64]:
    """Return the class of each row of counts (K + 1, K), 0 … n_classes - 1; similar rows share a class."""
    shares = counts + _UNSEEN
    shares /= shares.sum(1, keepdims=True)
    # The initial centres are the most frequent rows.
    centres = shares[np.argsort(-counts.sum(1), kind="stable")[:n_classes]]
    found = np.zeros(len(counts), np.int64)
    for _ in range(_ROUNDS):
        found = np.argmax(shares @ np.log(centres).T, axis=1)  # minus the divergence, up to a constant of the row
        sums = np.stack([counts[found == one].sum(0) for one in range(n_classes)]) + _UNSEEN
        centres = sums / sums.sum(1, keepdims=True)
    return found
