"""Runs of a causal network over records: by compiled kernels, or position by position with NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.rans import Decoder
from narrows.codec.residual.causal_kernel import EXP, Components, NarrowCausal
from narrows.codec.residual.causal_window import seen_at
from narrows.codec.residual.contract import TOO_FEW_ESCAPES, Intervals, Lattice, Run, check_all_used
from narrows.codec.residual.mixture import N_SCALES, SIXTEENTHS, TABLES, TOTAL, Mixture
from narrows.errors import CorruptArchiveError

if TYPE_CHECKING:
    from narrows.codec.residual.causal import FrozenCausal

__all__ = ["MOST_ACTIVE", "MOST_INPUT", "CausalRun"]

MOST_ACTIVE = (1 << 15) - 1
"""The largest activation of a hidden unit."""

MOST_INPUT = (1 << 16) - 1
"""The largest input: a value minus the lowest value."""

_BATCH_VALUES = 1 << 15  # hidden values that NumPy processes at a time, to fit the CPU cache
_MOST_WINDOW = 4096
_WORK_OF_CALL = 1 << 30  # multiplications of a call of a kernel, which Ctrl-C cannot interrupt: a tenth of a second


class CausalRun(Run):
    """A run of a causal network over records.

    Attributes
    ----------
    n_evaluated : int
        How many times the compiled kernels evaluated the network.
    """

    def __init__(self, model: FrozenCausal, lattice: Lattice, dtype: np.dtype[Any]) -> None:
        self.lattice, self._model, self._dtype = lattice, model, dtype
        n_values, n = lattice.anchors.shape
        assert n_values == math.prod(model.grid)
        self._position = self.n_evaluated = 0
        # The network outputs scales in units of values. A coarse step is lattice.coarse values wide.
        self._wider = (lattice.coarse**8).bit_length() // 2  # 4 log2(coarse), rounded to nearest
        size = self._coarse(lattice.highest) - self._coarse(lattice.lowest) + 2 + lattice.has_code * (lattice.step > 1)
        self._window, self._is_whole = min(size, _MOST_WINDOW), size <= _MOST_WINDOW
        is_narrow = model.is_narrow(lattice.highest - model.lowest)
        has_kernel = dtype == np.float64 and kernels.compiled is not None and is_narrow
        self._narrow: NarrowCausal | None = model.narrow if has_kernel else None
        # The last row, zeros, replaces missing inputs.
        self._values = np.zeros((n_values + 1, n), np.int16 if has_kernel else dtype)

    def predict(self) -> Mixture:
        lattice, position = self.lattice, self._position
        middle = lattice.anchors[position] + (lattice.coarse - lattice.step) // 2
        middles = SIXTEENTHS * (middle - self._model.lowest)
        if self._narrow is not None:
            weights, means, scales = self._narrow.outputs(self._values, position, middles, lattice.coarse, self._wider)
        else:
            weights, means, scales = self._components(middles)
        if self._is_whole:
            lows = self._coarse(lattice.lowest - lattice.anchors[position])
        else:
            main = np.take_along_axis(means, weights.argmax(0)[None], 0)[0]
            lows = ((main + SIXTEENTHS // 2) >> 4) - self._window // 2
        return Mixture(weights, means, scales, lows, self._window)

    def update(self, values: NDArray[np.int64]) -> None:
        self._values[self._position] = self._inputs(values)
        self._position += 1

    def intervals(self, q: NDArray[np.int64]) -> Intervals:
        if self._narrow is None:
            return super().intervals(q)
        assert kernels.compiled is not None
        lattice, coarse = self.lattice, np.ascontiguousarray(q >> self.lattice.raw_bits)
        known = np.clip(lattice.anchors + lattice.step * q, lattice.lowest, lattice.highest)
        self._values[:-1] = self._inputs(known)
        starts, frequencies = np.empty(q.shape, np.uint16), np.empty(q.shape, np.uint16)
        escaped = np.empty(q.shape, bool)
        for positions in self._pieces():
            self.n_evaluated += kernels.compiled.causal_intervals(
                *self._arguments(positions), coarse, starts, frequencies, escaped
            )
        return Intervals(starts, frequencies, coarse[escaped])

    def pop(self, decoder: Decoder, escapes: NDArray[np.int64], low: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._narrow is None:
            return super().pop(decoder, escapes, low)
        assert kernels.compiled is not None
        pop, taken = kernels.compiled.causal_pop, 0
        low = low if self.lattice.raw_bits else np.empty(0, np.int64)
        values = np.empty_like(self.lattice.anchors)
        arguments: tuple[Any, ...] = ()

        def loop(*message: Any) -> int:
            nonlocal taken
            n_read, taken, n = pop(*arguments, *message, escapes, taken, low, values)
            self.n_evaluated += n
            return int(n_read)

        for positions in self._pieces():
            arguments = self._arguments(positions)
            decoder.lend(loop)
            if taken < 0:
                raise CorruptArchiveError(TOO_FEW_ESCAPES)
        check_all_used(taken, escapes)
        return values

    def _pieces(self) -> Iterator[tuple[int, int]]:
        """Yield the positions as (first, stop), to be processed by a call of a kernel each."""
        assert self._narrow is not None
        n_values, n = self.lattice.anchors.shape
        step = max(1, _WORK_OF_CALL // max(1, n * self._narrow.n_multiplications))
        for first in range(0, n_values, step):
            yield first, min(first + step, n_values)

    def _arguments(self, positions: tuple[int, int]) -> tuple[Any, ...]:
        """Return the arguments that the kernels of runs have in common."""
        assert self._narrow is not None
        lattice, network = self.lattice, self._narrow
        return (
            self._values,
            *network.arrays(),
            np.ascontiguousarray(lattice.anchors) if lattice.has_code else np.empty(0, np.int64),
            network.shape,
            (self._model.lowest, lattice.step, lattice.raw_bits, lattice.lowest, lattice.highest),
            (self._wider, self._window, self._is_whole),
            positions,
            *TABLES,
        )

    def _inputs(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.minimum(np.maximum(values - self._model.lowest, 0), MOST_INPUT)

    def _coarse(self, distance: Any) -> Any:
        """Return the coarse step nearest to a distance from an anchor."""
        return (distance + self.lattice.step // 2) // self.lattice.step >> self.lattice.raw_bits

    # ---------------------------------------------------------------------------------------------------------- NumPy

    def _components(self, middles: NDArray[np.int64]) -> Components:
        """Return weights, means and scales of the next position's coarse steps, each (K, n)."""
        shifts, n, batch = self._model.shifts.tolist(), len(middles), self._batch
        outputs = np.empty((3 * self._model.n_components, n), np.int64)
        for first in range(0, n, batch):
            outputs[:, first : first + batch] = self._outputs(slice(first, min(first + batch, n)))
        logits, means, scales = np.split(outputs, 3)
        means = ((means >> shifts[3]) - middles) // self.lattice.coarse
        scales = np.clip((scales >> shifts[4]) - self._wider, 0, N_SCALES - 1)
        return _weights(logits >> shifts[2]), means, scales.astype(np.int32)

    def _outputs(self, records: slice) -> NDArray[np.int64]:
        model, shifts = self._model, self._model.shifts.tolist()
        _, width, channels = model.grid
        place, channel = divmod(self._position, channels)
        row, column = divmod(place, width)
        x = self._values[self._seen[channel][place], records]
        a, b = (hidden[:, : x.shape[1]] for hidden in self._hidden)
        bias = model.rows[channel, row] + model.columns[channel, column]
        weights_1, weights_2, weights_3 = (layer[channel] for layer in self._layers)
        np.matmul(weights_1, x, out=a)
        self._requantise(a, bias, shifts[0])
        np.matmul(weights_2, a, out=b)
        self._requantise(b, model.biases_2[channel], shifts[1])
        outputs: NDArray[np.int64] = (weights_3 @ b).astype(np.int64)
        outputs += model.biases_3[channel][:, None]
        return outputs

    def _requantise(self, sums: NDArray[Any], bias: NDArray[np.int64], shift: int) -> None:
        """Add a bias, shift, and clip to the range of activations; in place."""
        if self._dtype == np.float64:
            sums += np.ldexp(bias.astype(np.float64), -shift)[:, None]
            np.floor(sums, out=sums)
        else:
            sums += bias[:, None]
            sums >>= shift
        np.clip(sums, 0, MOST_ACTIVE, out=sums)

    @cached_property
    def _seen(self) -> list[NDArray[np.int64]]:
        model = self._model
        return [seen_at(model.grid, model.reach, channel) for channel in range(model.grid[2])]

    @cached_property
    def _batch(self) -> int:
        return max(1, _BATCH_VALUES // int(self._model.weights_2.shape[1]))

    @cached_property
    def _hidden(self) -> list[NDArray[Any]]:
        h, n = self._model.weights_2.shape[1], self.lattice.anchors.shape[1]
        return [np.empty((h, min(self._batch, n)), self._dtype) for _ in range(2)]

    @cached_property
    def _layers(self) -> list[list[NDArray[Any]]]:
        """The weights of each layer and channel, (outputs, inputs)."""
        model, shifts = self._model, self._model.shifts.tolist()
        return [
            [self._scaled(weights.T, shifts[0]) for weights in model.weights_1],
            [self._scaled(weights.T, shifts[1]) for weights in model.weights_2],
            [weights.T.astype(self._dtype) for weights in model.weights_3],
        ]

    def _scaled(self, weights: NDArray[np.int16], shift: int) -> NDArray[Any]:
        """Return weights, in units of 2^-shift if they are floats, so that a shift is a floor."""
        exact = np.ascontiguousarray(weights, self._dtype)
        return np.ldexp(exact, -shift) if self._dtype == np.float64 else exact


def _weights(logits: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return integer weights that sum to 2^15, proportional to the exponentials of logits (K, n)."""
    largest = logits.argmax(0)[None]
    away = np.take_along_axis(logits, largest, 0) - logits
    parts = EXP[np.minimum(away, len(EXP) - 1)]
    weights = parts * TOTAL // parts.sum(0)
    missing = TOTAL - weights.sum(0)
    np.put_along_axis(weights, largest, np.take_along_axis(weights, largest, 0) + missing, 0)
    whole: NDArray[np.int32] = weights.astype(np.int32)
    return whole
