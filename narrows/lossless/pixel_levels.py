"""A few levels to which pixels are rounded, placed for few bytes at a PSNR.

A table of probabilities of each level, given those of five neighbours, stands for the network that is trained later.
Levels, table and the weight of bits are fitted in turns (entropy-constrained quantisation, Chou, Lookabaugh and Gray
1989, with a rate that depends on the neighbours): pixels are rounded by squared error + weight · bits, levels become
the means of their pixels, the table counts, and the weight moves towards the PSNR.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.residual.causal import as_image

__all__ = ["PixelLevels"]

_FEWEST, _MOST = 2, 8  # levels
_NEIGHBOURS = ((0, 1, 0), (1, 0, 0), (1, 1, 0), (1, -1, 0), (2, 0, 0))  # pixels up, pixels left, channels before
_OF_LATER_CHANNELS = ((0, 1, 0), (1, 0, 0), (1, 1, 0), (0, 0, 1), (1, -1, 0))
_TURNS, _LAST_TURNS = 16, 6
_FEW_VALUES, _SOME_VALUES = 800_000, 4_000_000  # of records for the first turns, and for the last ones
_PRIOR = 0.5  # counts of the levels alone, in each row of the table
_ROOM_DB = 0.3  # above the PSNR: what the nearest levels must reach, so that bits can count
_MOST_WEIGHT = 255.0**2
_BATCH_VALUES = 1 << 22


@dataclass(frozen=True, eq=False)
class PixelLevels:
    """Levels of pixels, and what rounds to them.

    Attributes
    ----------
    levels : ndarray of shape (L,), int64
        The levels in ascending order.
    bits : ndarray of shape (channels, L^5, L), float32
        The bits of each level given five neighbours.
    weight : float
        How much squared error a bit is worth.
    bits_per_record : float
        The mean of the bits of a record.
    """

    levels: NDArray[np.int64]
    bits: NDArray[np.float32]
    weight: float
    bits_per_record: float

    @classmethod
    def fit(cls, records: NDArray[Any], psnr: float) -> PixelLevels | None:
        """Return the fewest levels with which records have a PSNR over 255, placed for few bits; None if over 8.

        More levels than needed take fewer bits by the table, but more by a network, which does not learn from them
        what the table does.

        Parameters
        ----------
        records : ndarray of shape (n, *shape), uint8
            Images.
        psnr : float
            The PSNR in dB.
        """
        wanted = 255**2 * 10 ** (-psnr / 10)
        few, some = _some(records, _FEW_VALUES), _some(records, _SOME_VALUES)
        for n_levels in range(_FEWEST, _MOST + 1):
            start = _started(few, n_levels)
            if _squared(few, start.rounded(few)) <= wanted * 10 ** (-_ROOM_DB / 10):
                return start._improved(few, wanted, _TURNS)._improved(some, wanted, _LAST_TURNS)
        return None

    def rounded(self, records: NDArray[Any]) -> NDArray[Any]:
        """Return records (n, *shape) with each value replaced by a level."""
        size = max(1, _BATCH_VALUES // math.prod(records.shape[1:]))
        levels = self.levels.astype(records.dtype)
        parts = [levels[self._places(records[at : at + size])] for at in range(0, len(records), size)]
        return np.concatenate(parts)

    def _improved(self, records: NDArray[Any], wanted: float, turns: int) -> PixelLevels:
        """Return levels, table and weight after some turns over records."""
        found = self
        for turn in range(turns):
            places = found._places(records)
            levels = _means(records, places, found.levels)
            squared = _squared(records, levels[places])
            bits, total = _table(_image_places(places, records.shape[1:]), len(levels))
            weight = found.weight
            if weight == 0:
                weight = wanted / 2 if turn == 0 else 0.0
            elif turn >= 1:
                weight = min(weight * wanted / max(squared, 1e-9), _MOST_WEIGHT)
            found = PixelLevels(levels, bits, weight, total / len(records))
        return found

    def _places(self, records: NDArray[Any]) -> NDArray[np.int64]:
        """Return the numbers of the levels that values are rounded to, (n, *shape)."""
        squares = np.square(np.arange(256)[:, None] - self.levels).astype(np.float32)
        if self.weight == 0:
            return np.asarray(squares.argmin(1)[records])
        (height, width, channels), order = as_image(records.shape[1:])
        values = np.ascontiguousarray(records.reshape(len(records), -1).T[order]).reshape(height, width, channels, -1)
        n_levels, bits = len(self.levels), np.float32(self.weight) * self.bits
        places = np.zeros((height + 2, width + 2, channels, len(records)), np.int64)
        for rows, columns in _waves(height, width):
            for channel in range(channels):
                context = _context(places, rows, columns, channel, n_levels)
                costs = squares[values[rows, columns, channel]] + bits[channel][context]
                places[rows + 2, columns + 1, channel] = costs.argmin(-1)
        found = places[2:, 1:-1].reshape(-1, len(records))
        out = np.empty_like(found)
        out[order] = found
        return np.ascontiguousarray(out.T).reshape(records.shape)


def _waves(height: int, width: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield rows and columns of pixels that are no neighbours of each other, so that earlier ones come before."""
    for wave in range(width + 2 * (height - 1)):
        rows = np.arange(max(0, -(-(wave - width + 1) // 2)), min(height, wave // 2 + 1))
        yield rows, wave - 2 * rows


def _context(
    places: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64], channel: int, n_levels: int
) -> NDArray[np.int64]:
    """Return the number of the neighbours' levels of some pixels of a channel, (pixels, n)."""
    context = np.zeros((len(rows), places.shape[-1]), np.int64)
    for up, left, before in _OF_LATER_CHANNELS if channel else _NEIGHBOURS:
        context *= n_levels
        context += places[rows + 2 - up, columns + 1 - left, channel - before]
    return context


def _started(records: NDArray[Any], n_levels: int) -> PixelLevels:
    """Return levels by the squared error alone, from evenly spaced ones on (Lloyd's algorithm)."""
    counts = np.bincount(records.ravel(), minlength=256).astype(np.float64)
    values, levels = np.arange(256), np.linspace(0, 255, n_levels)
    for _ in range(100):
        nearest = np.abs(values[:, None] - levels).argmin(1)
        sums, totals = np.bincount(nearest, counts * values, n_levels), np.bincount(nearest, counts, n_levels)
        levels = np.where(totals > 0, sums / np.maximum(totals, 1), levels)
    whole = _apart(np.rint(levels).astype(np.int64))
    return PixelLevels(whole, np.zeros((1, 1, n_levels), np.float32), 0.0, math.inf)


def _means(records: NDArray[Any], places: NDArray[np.int64], levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the means of the values that are rounded to each level."""
    sums = np.bincount(places.ravel(), records.ravel(), len(levels))
    counts = np.bincount(places.ravel(), minlength=len(levels))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), levels)
    return _apart(np.rint(means).astype(np.int64))


def _apart(levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ascending levels within 0 to 255, no two of which are the same."""
    steps = np.arange(len(levels))
    return np.asarray(np.clip(np.maximum.accumulate(np.sort(levels) - steps) + steps, steps, 256 - len(levels) + steps))


def _image_places(places: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return numbers of levels as (height + 2, width + 2, channels, n), with zeros around."""
    (height, width, channels), order = as_image(shape)
    images = places.reshape(len(places), -1).T[order].reshape(height, width, channels, -1)
    return np.pad(images, ((2, 0), (1, 1), (0, 0), (0, 0)))


def _table(places: NDArray[np.int64], n_levels: int) -> tuple[NDArray[np.float32], float]:
    """Return the bits of each level given its neighbours, as counted, and those of all values."""
    height, width, channels = places.shape[0] - 2, places.shape[1] - 2, places.shape[2]
    rows, columns = (grid.ravel() for grid in np.indices((height, width)))
    tables, total = [], 0.0
    for channel in range(channels):
        context = _context(places, rows, columns, channel, n_levels)
        own = places[rows + 2, columns + 1, channel]
        size = n_levels**6
        counts = (
            np.bincount((context * n_levels + own).ravel(), minlength=size).reshape(-1, n_levels).astype(np.float64)
        )
        share = _PRIOR * counts.sum(0) / counts.sum()
        bits = -np.log2(np.maximum((counts + share) / (counts.sum(1, keepdims=True) + _PRIOR), 2.0**-16))
        total += float((counts * bits).sum())
        tables.append(bits.astype(np.float32))
    return np.stack(tables), total


def _squared(records: NDArray[Any], restored: NDArray[Any]) -> float:
    return float(np.square(records.astype(np.float32) - restored.astype(np.float32)).mean(dtype=np.float64))


def _some(records: NDArray[Any], most_values: int) -> NDArray[Any]:
    """Return evenly spaced records with at most so many values, at least one record."""
    n = max(1, min(len(records), most_values // math.prod(records.shape[1:])))
    return np.ascontiguousarray(records[np.unique(np.linspace(0, len(records) - 1, n).round().astype(np.int64))])
