"""A small integer network that predicts each symbol from the preceding ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.entropy_models.escapes import MAX_SYMBOL
from narrows.codec.validation import check_array, check_number
from narrows.errors import ModelFileError

__all__ = ["MAX_CONTEXTS", "MAX_HIDDEN", "NEIGHBOURS", "Prediction", "Predictor", "Run"]

MAX_CONTEXTS = 4096
"""The largest allowed n_scales · n_phases."""

MAX_HIDDEN = 1024
"""The largest allowed number of hidden units."""

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
"""Offsets (down, right) of the neighbours that predict a position of a map, in the order of their weights."""

_MAX_SEEN = 127  # symbols are clipped to this magnitude as inputs of the network
_MAX_SHIFT = 52
_MAX_LENGTH = 1 << 15  # of a side of a map
_EXACT = 1 << 53  # float64 holds all integers below exactly, so sums below are exact in any order
_LARGEST_INT32 = (1 << 31) - 1
_BATCH_VALUES = 1 << 16  # hidden values that are processed at a time: 512 KiB, to fit the CPU cache


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of one symbol of n records.

    Attributes
    ----------
    offsets : ndarray of shape (n,), int32
        The predicted location, rounded down to an integer.
    contexts : ndarray of shape (n,), int64
        scale · n_phases + phase: the index of the predicted scale, and the fraction of the location that rounding cut
        off.
    """

    offsets: NDArray[np.int32]
    contexts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Predictor:
    """A neural autoregressive distribution estimator (NADE: Larochelle and Murray 2011, eq. 3-4) in integers.

    A record's symbols are C channels at each of h · w positions. They are coded position by position, row by row, and
    channel by channel within a position. For each position p, with zeros beyond the edge and s the symbols clipped to
    ±127::

        e = biases[p] + Σ_neighbours,channels s · weights_near        neighbours: above left, above, above right, left
        for each channel c of the position:
            a = max(e, 0)                              o = weights_out[c] a + biases_out[p, c]
            m = round(o₀ / 2^shifts₀)                  in phases, 1/n_phases of a symbol
            offset = ⌊m / n_phases⌋, within ±32767     phase = m mod n_phases
            scale = round(o₁ / 2^shifts₁), within 0 … n_scales - 1
            e += s · weights_in[c]                     once the symbol is known

    round(v / 2^q) is ⌊(v + 2^(q-1)) / 2^q⌋, and v for q = 0. The constructor checks that no intermediate value can
    reach 2^53 with the given weights; so float64 is exact, and the result is the same on every machine and in any order
    of summation. The paper predicts the probabilities of bits; we predict the location and scale of numbers, also on
    maps.

    Parameters
    ----------
    weights_in : ndarray of shape (C, H), int16
        From the preceding channels of the position.
    weights_near : ndarray of shape (4 · C, H), int16
        From the neighbours, neighbour by neighbour; of shape (0, H) if there is only one position.
    biases : ndarray of shape (h · w, H), int64
        Of the hidden values.
    weights_out : ndarray of shape (C, 2, H), int16
        To the location and to the scale.
    biases_out : ndarray of shape (h · w, C, 2), int64
        Of the location and of the scale.
    grid : tuple of two int
        h, w: (1, 1) for symbols that are not a map.
    shifts : tuple of two int
        Of the location and of the scale, 0 to 52.
    n_scales : int
        Number of scales, at least 1.
    n_phases : int
        Number of phases, a power of two; n_scales · n_phases is at most 4096.

    Raises
    ------
    ModelFileError
        If the arrays do not fit together, or a sum could reach 2^53.
    """

    weights_in: NDArray[np.int16]
    weights_near: NDArray[np.int16]
    biases: NDArray[np.int64]
    weights_out: NDArray[np.int16]
    biases_out: NDArray[np.int64]
    grid: tuple[int, int]
    shifts: tuple[int, int]
    n_scales: int
    n_phases: int

    def __post_init__(self) -> None:
        for length in self.grid:
            check_number("grid", length, 1, _MAX_LENGTH)
        for shift in self.shifts:
            check_number("shifts", shift, 0, _MAX_SHIFT)
        check_number("n_scales", self.n_scales, 1, MAX_CONTEXTS)
        check_number("n_phases", self.n_phases, 1, MAX_CONTEXTS)
        if self.n_phases & (self.n_phases - 1) or self.n_scales * self.n_phases > MAX_CONTEXTS:
            raise ModelFileError(
                f"The model's 'n_phases' must be a power of two, and 'n_phases' times 'n_scales' at most "
                f"{MAX_CONTEXTS}. Got {self.n_phases} × {self.n_scales}."
            )
        check_array("weights_in", self.weights_in, np.int16, (None, None))
        c, h = self.weights_in.shape
        if h > MAX_HIDDEN:
            raise ModelFileError(f"The model's symbol predictor may have at most {MAX_HIDDEN} hidden units. Got {h}.")
        n_places = math.prod(self.grid)
        check_array("weights_near", self.weights_near, np.int16, (len(NEIGHBOURS) * c if n_places > 1 else 0, h))
        check_array("biases", self.biases, np.int64, (n_places, h))
        check_array("weights_out", self.weights_out, np.int16, (c, 2, h))
        check_array("biases_out", self.biases_out, np.int64, (n_places, c, 2))
        if self.largest_sum() >= _EXACT:
            raise ModelFileError("The weights of the model's symbol predictor are too large: a sum could reach 2^53.")

    @property
    def n_channels(self) -> int:
        """C, the number of symbols at a position of the map."""
        return len(self.weights_in)

    @property
    def n_symbols(self) -> int:
        """D = C · h · w, the number of symbols of a record."""
        return self.n_channels * math.prod(self.grid)

    @property
    def order(self) -> NDArray[np.int64]:
        """The positions of a record's symbols (C, h, w), flattened, in coding order: shape (D,)."""
        return np.arange(self.n_symbols).reshape(self.n_channels, -1).T.ravel()

    def neighbours(self, place: int) -> list[tuple[int, int]]:
        """Return the neighbours of a position within the map, as pairs (index into NEIGHBOURS, position)."""
        height, width = self.grid
        row, column = divmod(place, width)
        shifted = [(row + down, column + right) for down, right in NEIGHBOURS]
        return [(k, y * width + x) for k, (y, x) in enumerate(shifted) if 0 <= y < height and 0 <= x < width]

    def largest_sum(self) -> int:
        """Return an upper bound of all intermediate values for any symbols, at most 2^53."""
        biases = (self.biases, self.biases_out)
        if any(np.any((b <= -_EXACT) | (b >= _EXACT)) for b in biases):
            return _EXACT
        hidden = self._largest_hidden()
        weights = np.abs(self.weights_out.astype(np.int64))
        if np.any(weights.astype(np.float64) @ hidden.astype(np.float64) >= _EXACT * 2.0):
            return _EXACT  # larger sums could overflow int64
        halves = np.array([(1 << shift) >> 1 for shift in self.shifts])
        sums = weights @ hidden + np.abs(self.biases_out).max(axis=0) + halves
        return min(_EXACT, max(int(hidden.max(initial=0)), int(sums.max(initial=0))))

    @cached_property
    def largest_hidden(self) -> int:
        """An upper bound of the hidden values e, for a predictor whose sums are below 2^53."""
        return int(self._largest_hidden().max(initial=0))

    def _largest_hidden(self) -> NDArray[np.int64]:
        inwards = np.concatenate([self.weights_in, self.weights_near]).astype(np.int64)
        largest: NDArray[np.int64] = np.abs(self.biases).max(axis=0) + _MAX_SEEN * np.abs(inwards).sum(axis=0)
        return largest

    def start(self, n_records: int, *, dtype: type[np.float64 | np.int64] = np.float64) -> Run:
        """Return a run over n records, before the first position.

        Parameters
        ----------
        n_records : int
            The number of records n.
        dtype : numpy.float64 or numpy.int64
            The dtype of the computation: float64 is fast, int64 is the reference. Both give the same numbers.
        """
        return Run(self, n_records, np.dtype(dtype))


class Run:
    """A run of a predictor over the symbols of n records in coding order: `predict` and `update` alternate."""

    def __init__(self, predictor: Predictor, n_records: int, dtype: np.dtype[Any]) -> None:
        self._predictor, self._dtype, self._position = predictor, dtype, 0
        n_hidden = predictor.weights_in.shape[1]
        self._is_compiled = (
            kernels.compiled is not None and dtype == np.float64 and predictor.largest_hidden < _LARGEST_INT32
        )
        in_type = np.dtype(np.int32) if self._is_compiled else dtype
        self._weights_in = predictor.weights_in.astype(in_type)
        self._weights_near, self._biases = predictor.weights_near.astype(dtype), predictor.biases.astype(dtype)
        self._hidden = np.empty((n_records, n_hidden), in_type)  # e
        self._seen = np.empty((predictor.n_symbols, n_records), np.int8)  # in coding order, within ±127
        self._batch = max(1, _BATCH_VALUES // max(1, n_hidden))
        self._scratch = np.empty((min(self._batch, n_records), n_hidden), dtype)

    def predict(self) -> Prediction:
        """Return the prediction of the next symbol."""
        return self._predict_compiled() if self._is_compiled else self._predict()

    def update(self, symbols: NDArray[np.int32]) -> None:
        """Pass the predicted position's actual symbols (n,), and go on to the next position."""
        self._seen[self._position] = np.clip(symbols, -_MAX_SEEN, _MAX_SEEN)
        self._position += 1

    def _predict_compiled(self) -> Prediction:
        assert kernels.compiled is not None
        p, n = self._predictor, len(self._hidden)
        place, channel = divmod(self._position, p.n_channels)
        if channel == 0:
            for batch in self._batches():
                self._enter(place, batch)
        last = self._seen[self._position - 1 : self._position] if channel else self._seen[:0]
        offsets, contexts = np.empty(n, np.int32), np.empty(n, np.int64)
        kernels.compiled.predict(
            self._hidden,
            last,
            self._weights_in[channel - 1],
            p.weights_out[channel].astype(np.float64),
            p.biases_out[place, channel],
            p.shifts,
            p.n_scales,
            p.n_phases.bit_length() - 1,
            offsets,
            contexts,
        )
        return Prediction(offsets, contexts)

    def _predict(self) -> Prediction:
        p = self._predictor
        place, channel = divmod(self._position, p.n_channels)
        weights = np.ascontiguousarray(p.weights_out[channel].T, self._dtype)
        outputs = np.empty((len(self._hidden), 2), self._dtype)
        for batch in self._batches():
            hidden = self._hidden[batch]
            scratch = self._scratch[: len(hidden)]
            if channel == 0:
                self._enter(place, batch)
            else:
                seen = self._seen[self._position - 1, batch].astype(self._dtype)
                np.multiply(seen[:, None], self._weights_in[channel - 1], out=scratch)
                np.add(hidden, scratch, out=hidden)
            np.maximum(hidden, 0, out=scratch)
            np.matmul(scratch, weights, out=outputs[batch])
        outputs += p.biases_out[place, channel].astype(self._dtype)
        m = _shifted(outputs[:, 0], p.shifts[0])
        scales = np.clip(_shifted(outputs[:, 1], p.shifts[1]), 0, p.n_scales - 1)
        offsets = np.clip(m >> (p.n_phases.bit_length() - 1), -MAX_SYMBOL, MAX_SYMBOL)
        return Prediction(offsets.astype(np.int32), scales * p.n_phases + (m & (p.n_phases - 1)))

    def _batches(self) -> Iterator[slice]:
        for first in range(0, len(self._hidden), self._batch):
            yield slice(first, first + self._batch)

    def _enter(self, place: int, batch: slice) -> None:
        """Set the hidden values of a batch of records at a new place, from the place's neighbours."""
        hidden, n = self._hidden[batch], self._predictor.n_channels
        sums = self._scratch[: len(hidden)]
        sums[:] = self._biases[place]
        for neighbour, at in self._predictor.neighbours(place):
            seen = self._seen[at * n : (at + 1) * n, batch].T.astype(self._dtype)
            sums += seen @ self._weights_near[neighbour * n : (neighbour + 1) * n]
        hidden[:] = sums


def _shifted(values: NDArray[Any], shift: int) -> NDArray[np.int64]:
    """Return values / 2^shift, rounded to nearest, halves up."""
    whole: NDArray[np.int64] = values.astype(np.int64)  # exact: below 2^53
    return whole if shift == 0 else (whole + (1 << (shift - 1))) >> shift
