"""A causal network in the layout of the compiled kernels: pairs of 16-bit weights, and 32-bit sums."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.residual.causal_window import seen_at, window

if TYPE_CHECKING:
    from narrows.codec.residual.causal import FrozenCausal

__all__ = ["EXP", "Components", "NarrowCausal"]

Components = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]  # weights, means, scales

_TOGETHER = 16  # outputs that the kernels process together
_LOGITS_PER_NAT = 32

EXP: NDArray[np.int64] = np.rint(32768 * np.exp(-np.arange(512) / _LOGITS_PER_NAT)).astype(np.int64)
"""The exponentials of logits, as integers."""


class NarrowCausal:
    """The arrays of a causal network whose sums fit 32 bits, as arguments of the kernels.

    Attributes
    ----------
    shape : tuple of int
        Height, width, channels, and the number of components of a mixture.
    n_multiplications : int
        Multiplications for one value.
    """

    def __init__(self, model: FrozenCausal) -> None:
        self._model = model
        self.shape = (*model.grid, model.n_components)
        self._layers = [
            np.stack([_in_pairs(weights) for weights in layer])
            for layer in (model.weights_1, model.weights_2, model.weights_3)
        ]
        self._rows, self._columns = (
            _filled_up(of_place, (2,)).astype(np.int32) for of_place in (model.rows, model.columns)
        )
        self._biases = [_filled_up(biases, (1,)).astype(np.int32) for biases in (model.biases_2, model.biases_3)]
        self._shifts = tuple(model.shifts.tolist())
        inputs = np.array(window(model.reach, model.grid[2])[0], np.int32).reshape(-1, 3)
        self._window = _filled_up(inputs, (0,), -1)  # no channel has the number -1
        self.n_multiplications = sum(layer[0].size for layer in self._layers)

    def arrays(self) -> tuple[Any, ...]:
        """Return the arguments of the kernels from the window to the exponentials."""
        first, second, third = self._layers
        layers = (first, self._rows, self._columns, second, self._biases[0], third, self._biases[1])
        return (self._window, *layers, self._shifts, EXP)

    def outputs(
        self, values: NDArray[np.int16], position: int, middles: NDArray[np.int64], coarse: int, wider: int
    ) -> Components:
        """Return weights, means and scales of the coarse steps of a position, each (K, n)."""
        assert kernels.compiled is not None
        model = self._model
        place, channel = divmod(position, model.grid[2])
        row, column = divmod(place, model.grid[1])
        bias = self._rows[channel, row] + self._columns[channel, column]
        first, second, third = (layer[channel] for layer in self._layers)
        layers = (first, bias, second, self._biases[0][channel], third, self._biases[1][channel])
        shape = model.n_components, len(middles)
        found = np.empty(shape, np.int32), np.empty(shape, np.int64), np.empty(shape, np.int32)
        seen = self._seen[channel][place]
        kernels.compiled.causal(values, seen, *layers, self._shifts, EXP, middles, coarse, wider, *found)
        return found

    @cached_property
    def _seen(self) -> list[NDArray[np.int32]]:
        """The indices of the inputs of each channel's network at each pixel; of a row of zeros, if there is none."""
        model, missing = self._model, math.prod(self._model.grid)
        channels = range(model.grid[2])
        return [_filled_up(seen_at(model.grid, model.reach, one), (1,), missing).astype(np.int32) for one in channels]


def _in_pairs(weights: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return weights (inputs, outputs) as (pairs of inputs, outputs, 2)."""
    even = _filled_up(weights, (0, 1))
    return np.ascontiguousarray(even.reshape(-1, 2, even.shape[1]).transpose(0, 2, 1))


def _filled_up(array: NDArray[Any], axes: tuple[int, ...], value: int = 0) -> NDArray[Any]:
    """Return an array with axes padded to the multiples that the kernels need."""
    missing = [(0, -length % _TOGETHER if axis in axes else 0) for axis, length in enumerate(array.shape)]
    return np.pad(array, missing, constant_values=value)
