"""Frequency tables: integer frequencies of values that sum to a power of two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.codec.rans import MAX_PRECISION, MIN_PRECISION, SlotTable, lookup_of
from narrows.codec.validation import check_array, check_number, stored_array, stored_number
from narrows.errors import ModelFileError

__all__ = ["ESCAPE", "MAX_LOW", "FrequencyTables", "regular_window"]

ESCAPE = int(np.iinfo(np.int32).min)
"""The decoded value of an escape."""

MAX_LOW = 1 << 16
"""The values of tables are within ± this number."""

_CACHED_SLOTS = 1 << 22  # larger lookups are not cached; a slot takes 8 bytes


@dataclass(frozen=True, eq=False)
class FrequencyTables:
    """Tables of the frequencies of consecutive values, in units of 2^-P.

    Table t has ``sizes[t]`` regular values, ``lows[t], lows[t] + 1, …``, and then one entry for the escape, which
    represents all other values. All frequencies are at least 1, and those of a table sum to 2^P. The only exception is
    a constant table: it has one regular value of frequency 2^P and an escape of frequency 0, codes this value at no
    cost, and cannot code others.

    Parameters
    ----------
    precision : int
        P, 8 to 15.
    lows : ndarray of shape (T,), int32
        The lowest regular value of each table.
    sizes : ndarray of shape (T,), int32
        The number of regular values of each table, at least 1.
    frequencies : ndarray of shape (sum(sizes) + T,), uint16
        The entries of all tables, one table after the other, each with its escape last.

    Raises
    ------
    ModelFileError
        If the arrays are not such tables.

    Examples
    --------
    >>> tables = FrequencyTables.from_counts([(-1, [1, 5, 1, 0.01])], precision=8)
    >>> tables.frequencies
    array([ 37, 182,  36,   1], dtype=uint16)
    """

    precision: int
    lows: NDArray[np.int32]
    sizes: NDArray[np.int32]
    frequencies: NDArray[np.uint16]

    def __post_init__(self) -> None:
        check_number("precision", self.precision, MIN_PRECISION, MAX_PRECISION)
        check_array("lows", self.lows, np.int32, (None,))
        check_array("sizes", self.sizes, np.int32, self.lows.shape)
        if not np.all((self.sizes >= 1) & (self.sizes <= 1 << self.precision)):
            raise ModelFileError(
                f"A frequency table must have 1 to {1 << self.precision} values. "
                f"Got {self.sizes.min()} to {self.sizes.max()}."
            )
        lows = self.lows.astype(np.int64)
        if not np.all((lows >= -MAX_LOW) & (lows + self.sizes - 1 <= MAX_LOW)):
            raise ModelFileError(
                f"The values of a frequency table must be within ±{MAX_LOW}. "
                f"Got {lows.min()} to {(lows + self.sizes - 1).max()}."
            )
        check_array("frequencies", self.frequencies, np.uint16, (int(self.sizes.sum(dtype=np.int64)) + len(self),))
        if not len(self):
            return
        if np.any(np.add.reduceat(self.frequencies.astype(np.int64), self.firsts) != 1 << self.precision):
            raise ModelFileError(f"The frequencies of a table must sum to {1 << self.precision}.")
        zeros = np.flatnonzero(self.frequencies == 0)
        if len(zeros) and not np.isin(zeros, self.escapes[self.sizes == 1]).all():
            raise ModelFileError("The frequencies of a table must be at least 1. Got 0.")

    def __len__(self) -> int:
        return len(self.lows)

    @classmethod
    def from_counts(cls, counted: Iterable[tuple[int, ArrayLike]], *, precision: int) -> FrequencyTables:
        """Return tables proportional to counts, rounded by largest remainder, with all frequencies at least 1.

        Parameters
        ----------
        counted : iterable of (low, counts)
            For each table its lowest value and the counts, of shape (size + 1,), of its values and of the escape.
            There are at most 2^P counts, which need not be integers.
        precision : int
            P, 8 to 15.
        """
        lows, rows = [], []
        for low, counts in counted:
            lows.append(low)
            rows.append(np.asarray(counts, np.float64))
        lengths = np.array([len(counts) for counts in rows], np.int64)
        firsts = np.cumsum(lengths) - lengths
        flat = np.empty(int(lengths.sum()), np.int64)
        for length in np.unique(lengths):
            (alike,) = (lengths == length).nonzero()
            places = firsts[alike, None] + np.arange(length)
            flat[places] = _shares(np.stack([rows[number] for number in alike]), 1 << precision)
        return cls(precision, np.array(lows, np.int32), (lengths - 1).astype(np.int32), flat.astype(np.uint16))

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays from which `from_tensors` makes the same tables."""
        arrays: dict[str, NDArray[Any]] = {"lows": self.lows, "sizes": self.sizes, "frequencies": self.frequencies}
        return {"precision": self.precision}, arrays

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> FrequencyTables:
        """Return the tables of `to_tensors`; raises ModelFileError if settings or arrays are invalid."""
        precision = stored_number(settings, "precision", MIN_PRECISION, MAX_PRECISION)
        lows, sizes, frequencies = (stored_array(tensors, name) for name in ("lows", "sizes", "frequencies"))
        return cls(precision, lows, sizes, frequencies)

    @cached_property
    def firsts(self) -> NDArray[np.int64]:
        """Index of the first entry of each table, of shape (T,)."""
        ends = np.cumsum(self.sizes.astype(np.int64) + 1)
        return ends - self.sizes - 1

    @cached_property
    def escapes(self) -> NDArray[np.int64]:
        """Index of the escape of each table, of shape (T,)."""
        return self.firsts + self.sizes

    @cached_property
    def starts(self) -> NDArray[np.uint16]:
        """The start of each entry, with the shape of `frequencies`: the sum of its table's preceding frequencies."""
        return (self._flat_starts & ((1 << self.precision) - 1)).astype(np.uint16)

    @cached_property
    def bits(self) -> NDArray[np.float64]:
        """The cost of each entry in bits, log2(2^P / f); infinite for the escape of a constant table."""
        with np.errstate(divide="ignore"):
            return self.precision - np.log2(self.frequencies.astype(np.float64))

    def entries(self, tables: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the index of the entry that codes each value, and whether that is an escape.

        Parameters
        ----------
        tables, values : ndarrays of integers that broadcast against each other
            Indices of tables, and values.
        """
        places = values - self.lows[tables].astype(np.int64)
        sizes = self.sizes[tables]
        escaped = (places < 0) | (places >= sizes)
        np.copyto(places, sizes, where=escaped)
        places += self.firsts[tables]
        return places, escaped

    def lookup(self, table: int | None = None) -> SlotTable:
        """Return the decoder's lookup of one table, or by default of all tables, one after the other."""
        if table is None:
            return self._lookup
        if len(self) << self.precision > _CACHED_SLOTS:
            return self._looked_up(int(self.firsts[table]), int(self.escapes[table]) + 1)
        return self._lookup[table << self.precision : (table + 1) << self.precision]

    @cached_property
    def _lookup(self) -> SlotTable:
        return self._looked_up(0, len(self.frequencies))

    def _looked_up(self, first: int, last: int) -> SlotTable:
        return lookup_of(self.frequencies[first:last], self._values[first:last])

    @cached_property
    def _flat_starts(self) -> NDArray[np.int64]:
        f = self.frequencies.astype(np.int64)
        return np.cumsum(f) - f

    @cached_property
    def _values(self) -> NDArray[np.int32]:
        """The value of each entry."""
        values = np.arange(len(self.frequencies)) + np.repeat(self.lows - self.firsts, self.sizes + 1)
        values[self.escapes] = ESCAPE
        return values.astype(np.int32)


def regular_window(weights: NDArray[Any], precision: int) -> tuple[int, int]:
    """Return first and last + 1 of the values that get regular entries; all values outside are rare.

    A value is rare if its share is less than half a slot of 2^P. The window is at most 2^(P - 2) wide, so that entries
    of frequency 1 for rare values take at most a quarter of a table. If a wider window would be needed, the window of
    this width with the largest sum is taken, or the most frequent value alone if all values in that window are rare.
    """
    rare, width = weights.sum() / (2 << precision), 1 << (precision - 2)
    if len(weights) <= width and weights[0] >= rare and weights[-1] >= rare:
        return 0, len(weights)
    most = int(np.argmax(weights))
    often = np.flatnonzero(weights >= min(rare, weights[most]))
    first, last = int(often[0]), int(often[-1]) + 1
    if last - first > width:
        sums = np.concatenate([[0.0], np.cumsum(weights[first:last], dtype=np.float64)])
        first += int(np.argmax(sums[width:] - sums[:-width]))
        inside = often[(often >= first) & (often < first + width)]
        first, last = (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (most, most + 1)
    return first, last


def _shares(counts: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Return for each row of counts (T, n) integers of at least 1 that sum to the total, nearly proportional to it."""
    n = counts.shape[1]
    assert 2 <= n <= total
    counts = np.maximum(counts, 0) / np.maximum(counts.max(1, keepdims=True), 1e-300) + 1e-12
    share = np.empty_like(counts)
    at_least = np.zeros(counts.shape, np.bool_)  # entries whose share would be below 1
    rows = np.arange(len(counts))
    while len(rows):
        others = ~at_least[rows]
        n_others = others.sum(1)
        sums = np.empty(len(rows))
        for number in np.unique(n_others):
            alike = n_others == number
            sums[alike] = counts[rows[alike]][others[alike]].reshape(-1, number).sum(1)
        share[rows] = counts[rows] * ((total - n + n_others) / sums)[:, None]
        fewer = (share[rows] < 1) & others
        at_least[rows] |= fewer
        rows = rows[fewer.any(1)]
    share[at_least] = 1
    whole: NDArray[np.int64] = np.floor(share).astype(np.int64)
    order = np.argsort(whole - share, axis=1, kind="stable")
    some, rank = (np.arange(n) < (total - whole.sum(1))[:, None]).nonzero()
    whole[some, order[some, rank]] += 1
    return whole
