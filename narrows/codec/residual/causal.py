"""A small network over what is decoded already, in whole numbers: what to expect of each value of an image.

For images of whole numbers, gray or of C channels, pixel by pixel, row by row, channel by channel within a pixel. The
network of channel c, two hidden layers wide, sees the pixels around that came before and the channels before c at its
place; x is a value less the lowest, 0 beyond the edge::

    e = rows[c, i] + columns[c, j] + Σ_k weights_1[c, k] x_k          a = ⌊e / 2^shifts_0⌋ within 0 … 32767
    f = biases_2[c] + Σ weights_2[c] a                                b = ⌊f / 2^shifts_1⌋ within 0 … 32767
    o = biases_3[c] + Σ weights_3[c] b                                K logits, then K means, then K scales
    logit = ⌊o / 2^shifts_2⌋ in 1/32 nats      mean = ⌊o / 2^shifts_3⌋ in sixteenths of a value, from the lowest
    scale = ⌊o / 2^shifts_4⌋, as residual/mixture.py counts them, of values

    weight_k = ⌊2^15 EXP[min(largest logit - logit_k, 511)] / Σ_k EXP[…]⌋, and what is missing for the first largest

Sums stay below 2^53, which is checked; so float64 carries them exactly (see codec/arithmetic.py). Where none needs more
than 32 bits, the inner loops compute the same faster, with numbers of 16 bits.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.residual.contract import Lattice, Run
from narrows.codec.residual.mixture import MAX_COMPONENTS, N_SCALES, SIXTEENTHS, TOTAL, Mixture
from narrows.codec.validation import check_array, check_number, stored_array, stored_number
from narrows.errors import ModelFileError

__all__ = ["FrozenCausal", "as_image", "window"]

ImageGrid = tuple[int, int, int]
Said = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]  # weights, means, scales

_EXACT = 1 << 53
_MOST_ACTIVE = (1 << 15) - 1
_MOST_HIDDEN, _MOST_REACH, _MOST_SHIFT, _MOST_INPUT = 1024, 16, 52, (1 << 16) - 1
_BATCH_VALUES = 1 << 15  # hidden values that are worked on at a time, what caches hold
_TOGETHER = 16  # outputs that the inner loops work on together
_MOST_WINDOW = 4096
_MOST_SEEN = 1 << 24  # inputs of all networks of a record
_MOST_WORK = 1 << 36  # multiplications for a record: what takes minutes
_LOGITS_PER_NAT = 32
_SPREAD, _GOLDEN_VALUES = 40_503, 256
_EXP = np.rint(32768 * np.exp(-np.arange(512) / _LOGITS_PER_NAT)).astype(np.int64)


def as_image(shape: tuple[int, ...]) -> tuple[ImageGrid, NDArray[np.int64]]:
    """Return height, width and channels of records of a shape, and the order in which their values come.

    Channels come last, or first where the last axis is longer than 4; shapes of two axes have one.
    """
    if len(shape) not in {2, 3}:
        raise ModelFileError(f"A network of residuals is for images. Got records of shape {shape}.")
    flat = np.arange(math.prod(shape)).reshape(shape)
    if len(shape) == 2:
        flat = flat[:, :, None]
    elif len(shape) == 3 and shape[2] > 4:
        flat = flat.transpose(1, 2, 0)
    height, width, channels = flat.shape
    return (height, width, channels), flat.ravel()


def window(reach: int, channels: int) -> list[list[tuple[int, int, int]]]:
    """Return for each channel what its network sees: down, right and channel of each input."""
    before = [(-down, right) for down in range(reach, 0, -1) for right in range(-reach, reach + 1)]
    before += [(0, -left) for left in range(reach, 0, -1)]
    everywhere = [(down, right, channel) for down, right in before for channel in range(channels)]
    # Every channel has as many inputs; those of later channels at its own place are never there.
    return [[*everywhere, *((0, 0, other) for other in range(channels - 1))] for _ in range(channels)]


@dataclass(frozen=True, eq=False)
class FrozenCausal:
    """The networks, one for each of C channels, with n inputs, H hidden units and K components.

    Attributes
    ----------
    lowest, highest : int
        Of the values.
    reach : int
        How many pixels far it sees, up, left and right.
    weights_1 : ndarray of shape (C, n, H), int16
    rows : ndarray of shape (C, height, H), int64
    columns : ndarray of shape (C, width, H), int64
    weights_2 : ndarray of shape (C, H, H), int16
    biases_2 : ndarray of shape (C, H), int64
    weights_3 : ndarray of shape (C, H, 3 K), int16
    biases_3 : ndarray of shape (C, 3 K), int64
    shifts : ndarray of shape (5,), int64

    Raises
    ------
    ModelFileError
        The arrays don't fit together, or a sum could reach 2^53.
    """

    lowest: int
    highest: int
    reach: int
    weights_1: NDArray[np.int16]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights_2: NDArray[np.int16]
    biases_2: NDArray[np.int64]
    weights_3: NDArray[np.int16]
    biases_3: NDArray[np.int64]
    shifts: NDArray[np.int64]

    def __post_init__(self) -> None:
        check_number("lowest", self.lowest, -(1 << 31), 1 << 31)
        check_number("highest", self.highest, self.lowest + 1, self.lowest + _MOST_INPUT)
        check_number("reach", self.reach, 1, _MOST_REACH)
        check_array("weights_1", self.weights_1, np.int16, (None, None, None))
        c, n, h = self.weights_1.shape
        if not 1 <= h <= _MOST_HIDDEN or not 1 <= c <= 4 or n != len(window(self.reach, c)[0]):
            raise ModelFileError("The model's network of residuals has another number of inputs or units than allowed.")
        check_array("rows", self.rows, np.int64, (c, None, h))
        check_array("columns", self.columns, np.int64, (c, None, h))
        check_array("weights_2", self.weights_2, np.int16, (c, h, h))
        check_array("biases_2", self.biases_2, np.int64, (c, h))
        check_array("weights_3", self.weights_3, np.int16, (c, h, None))
        outputs = self.weights_3.shape[2]
        if outputs % 3 or not 3 <= outputs <= 3 * MAX_COMPONENTS:
            raise ModelFileError(f"The model's network of residuals cannot have {outputs} outputs.")
        check_array("biases_3", self.biases_3, np.int64, (c, outputs))
        check_array("shifts", self.shifts, np.int64, (5,))
        if self.shifts.min() < 0 or self.shifts.max() > _MOST_SHIFT:
            raise ModelFileError("The model's network of residuals has shifts out of range.")
        if math.prod(self.grid) * n > _MOST_SEEN:
            raise ModelFileError("The model's network of residuals sees too much of too large images.")
        if math.prod(self.grid) * h * (n + h + outputs) > _MOST_WORK:
            raise ModelFileError("The model's network of residuals takes too much work.")
        if self.largest_sum() >= _EXACT:
            raise ModelFileError("The weights of the model's network of residuals are too large.")

    @property
    def grid(self) -> ImageGrid:
        """Height, width and channels."""
        return self.rows.shape[1], self.columns.shape[1], len(self.weights_1)

    @property
    def n_components(self) -> int:
        """K."""
        return int(self.weights_3.shape[2]) // 3

    def largest_sum(self, highest: int = _MOST_INPUT) -> float:
        """Return what no sum on the way can exceed, if values are at most so much above the lowest."""
        sums = [
            np.abs(self.rows.astype(np.float64)).max(1)
            + np.abs(self.columns.astype(np.float64)).max(1)
            + highest * np.abs(self.weights_1.astype(np.float64)).sum(1),
            np.abs(self.biases_2.astype(np.float64)) + _MOST_ACTIVE * np.abs(self.weights_2.astype(np.float64)).sum(1),
            np.abs(self.biases_3.astype(np.float64)) + _MOST_ACTIVE * np.abs(self.weights_3.astype(np.float64)).sum(1),
        ]
        return max(float(sum_.max(initial=0)) for sum_ in sums)

    def is_narrow(self, highest: int) -> bool:
        """Return whether values up to so much above the lowest need no sums of more than 32 bits."""
        return 0 <= highest < 1 << 15 and self.largest_sum(highest) < 1 << 31 and int(self.shifts.max()) < 32

    def digest(self) -> str:
        """Return a SHA-256 of what the network says of two records that are anything but alike: its golden vectors."""
        n = math.prod(self.grid)
        records = np.arange(2 * n, dtype=np.int64).reshape(n, 2) * _SPREAD % (self.highest - self.lowest + 1)
        lattice = Lattice(np.zeros((n, 2), np.int64), 1, self.lowest, self.highest, has_code=False)
        run, digest = self.start(lattice), hashlib.sha256()
        for values in records[:_GOLDEN_VALUES] + self.lowest:
            mixture = run.predict()
            for told in (mixture.weights, mixture.means, mixture.scales):
                digest.update(told.astype("<i8").tobytes())
            run.update(values)
        return digest.hexdigest()

    def start(self, lattice: Lattice, *, dtype: type[np.float64 | np.int64] = np.float64) -> CausalRun:
        """Return a run over the records of a lattice, whose values come in the order of `as_image`."""
        return CausalRun(self, lattice, np.dtype(dtype))

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays from which `from_tensors` makes the same network."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        settings = {name: value for name, value in values.items() if isinstance(value, int)}
        return settings, {name: value for name, value in values.items() if name not in settings}

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return the network of `to_tensors`; ModelFileError where these are none."""
        values: dict[str, Any] = {
            name: stored_number(settings, name, -(1 << 31), 1 << 32) for name in ("lowest", "highest", "reach")
        }
        arrays = [field.name for field in fields(cls) if field.name not in values]
        return cls(**values | {name: stored_array(tensors, name) for name in arrays})


class CausalRun(Run):
    """A causal network on its way through records."""

    def __init__(self, model: FrozenCausal, lattice: Lattice, dtype: np.dtype[Any]) -> None:
        self.lattice, self._model, self._dtype = lattice, model, dtype
        n_values, n = lattice.anchors.shape
        assert n_values == math.prod(model.grid)
        self._seen = [self._seen_by(channel) for channel in range(model.grid[2])]
        self._position = 0
        # The network outputs scales in units of values. A coarse step is lattice.coarse values wide.
        self._wider = (lattice.coarse**8).bit_length() // 2  # 4 log2, to the nearest; never a half
        size = self._coarse(lattice.highest) - self._coarse(lattice.lowest) + 2 + lattice.has_code * (lattice.step > 1)
        self._window, self._is_whole = min(size, _MOST_WINDOW), size <= _MOST_WINDOW
        self._narrow: _Narrow | None = None
        held = dtype  # in what values are
        if dtype == np.float64 and kernels.compiled is not None and model.is_narrow(lattice.highest - model.lowest):
            self._narrow, held = _Narrow(model, self._seen), np.dtype(np.int16)
        else:
            h, shifts = model.weights_2.shape[1], model.shifts.tolist()
            self._batch = max(1, _BATCH_VALUES // h)
            self._hidden = [np.empty((h, min(self._batch, n)), dtype) for _ in range(2)]
            self._weights_1 = [self._scaled(weights.T, shifts[0]) for weights in model.weights_1]
            self._weights_2 = [self._scaled(weights.T, shifts[1]) for weights in model.weights_2]
            self._weights_3 = [weights.T.astype(dtype) for weights in model.weights_3]
        self._values = np.zeros((n_values + 1, n), held)  # the last stands for everything that is not there

    def predict(self) -> Mixture:
        lattice, position = self.lattice, self._position
        middle = lattice.anchors[position] + (lattice.coarse - lattice.step) // 2
        middles = SIXTEENTHS * (middle - self._model.lowest)
        if self._narrow is not None:
            weights, means, scales = self._narrow.outputs(self._values, position, middles, lattice.coarse, self._wider)
        else:
            weights, means, scales = self._said(middles)
        if self._is_whole:
            lows = self._coarse(lattice.lowest - lattice.anchors[position])
        else:
            main = np.take_along_axis(means, weights.argmax(0)[None], 0)[0]
            lows = ((main + SIXTEENTHS // 2) >> 4) - self._window // 2
        return Mixture(weights, means, scales, lows, self._window)

    def update(self, values: NDArray[np.int64]) -> None:
        self._values[self._position] = np.minimum(np.maximum(values - self._model.lowest, 0), _MOST_INPUT)
        self._position += 1

    def _coarse(self, distance: Any) -> Any:
        """Return the coarse step that a distance from an anchor is nearest to."""
        return (distance + self.lattice.step // 2) // self.lattice.step >> self.lattice.raw_bits

    def _said(self, middles: NDArray[np.int64]) -> Said:
        """Return weights, means and scales of the next position's coarse steps, each (K, n)."""
        shifts, n = self._model.shifts.tolist(), len(middles)
        outputs = np.empty((3 * self._model.n_components, n), np.int64)
        for first in range(0, n, self._batch):
            outputs[:, first : first + self._batch] = self._outputs(slice(first, min(first + self._batch, n)))
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
        np.matmul(self._weights_1[channel], x, out=a)
        self._requantise(a, bias, shifts[0])
        np.matmul(self._weights_2[channel], a, out=b)
        self._requantise(b, model.biases_2[channel], shifts[1])
        outputs: NDArray[np.int64] = (self._weights_3[channel] @ b).astype(np.int64)
        outputs += model.biases_3[channel][:, None]
        return outputs

    def _scaled(self, weights: NDArray[np.int16], shift: int) -> NDArray[Any]:
        """Return weights in units of 2^-shift where they are floats: then a shift is a floor."""
        exact = np.ascontiguousarray(weights, self._dtype)
        return np.ldexp(exact, -shift) if self._dtype == np.float64 else exact

    def _requantise(self, sums: NDArray[Any], bias: NDArray[np.int64], shift: int) -> None:
        """Add a bias, shift, and keep within the range of activations; in place."""
        if self._dtype == np.float64:
            sums += np.ldexp(bias.astype(np.float64), -shift)[:, None]
            np.floor(sums, out=sums)
        else:
            sums += bias[:, None]
            sums >>= shift
        np.clip(sums, 0, _MOST_ACTIVE, out=sums)

    def _seen_by(self, channel: int) -> NDArray[np.int64]:
        """Return which values the network of a channel sees at each place: shape (places, n)."""
        height, width, channels = self._model.grid
        rows, columns = np.divmod(np.arange(height * width), width)
        seen = []
        for down, right, other in window(self._model.reach, channels)[channel]:
            y, x = rows + down, columns + right
            is_there = (y >= 0) & (y < height) & (x >= 0) & (x < width) & ((down, right) != (0, 0) or other < channel)
            seen.append(np.where(is_there, (y * width + x) * channels + other, height * width * channels))
        return np.stack(seen, -1)


class _Narrow:
    """A network laid out for the inner loops: 16-bit numbers two by two, sums of 32 bits."""

    def __init__(self, model: FrozenCausal, seen: list[NDArray[np.int64]]) -> None:
        self._model = model
        nothing = math.prod(model.grid)  # which value is never there
        self._seen = [_filled_up(of_one, (1,), nothing).astype(np.int32) for of_one in seen]
        self._layers = [
            [_in_pairs(weights[channel]) for weights in (model.weights_1, model.weights_2, model.weights_3)]
            for channel in range(model.grid[2])
        ]
        self._rows, self._columns = (
            _filled_up(of_place, (2,)).astype(np.int32) for of_place in (model.rows, model.columns)
        )
        self._biases = [_filled_up(biases, (1,)).astype(np.int32) for biases in (model.biases_2, model.biases_3)]
        self._shifts = tuple(model.shifts.tolist())

    def outputs(
        self, values: NDArray[np.int16], position: int, middles: NDArray[np.int64], coarse: int, wider: int
    ) -> Said:
        """Return weights, means and scales of the coarse steps of a position, each (K, n)."""
        assert kernels.compiled is not None
        model = self._model
        place, channel = divmod(position, model.grid[2])
        row, column = divmod(place, model.grid[1])
        bias = self._rows[channel, row] + self._columns[channel, column]
        first, second, third = self._layers[channel]
        layers = (first, bias, second, self._biases[0][channel], third, self._biases[1][channel])
        shape = model.n_components, len(middles)
        found = np.empty(shape, np.int32), np.empty(shape, np.int64), np.empty(shape, np.int32)
        seen = self._seen[channel][place]
        kernels.compiled.causal(values, seen, *layers, self._shifts, _EXP, middles, coarse, wider, *found)
        return found


def _in_pairs(weights: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return weights (inputs, outputs) as (pairs of inputs, outputs, 2)."""
    even = _filled_up(weights, (0, 1))
    return np.ascontiguousarray(even.reshape(-1, 2, even.shape[1]).transpose(0, 2, 1))


def _filled_up(array: NDArray[Any], axes: tuple[int, ...], value: int = 0) -> NDArray[Any]:
    """Return an array with axes as long as the inner loops take them."""
    missing = [(0, -length % _TOGETHER if axis in axes else 0) for axis, length in enumerate(array.shape)]
    return np.pad(array, missing, constant_values=value)


def _weights(logits: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return whole weights that sum to 2^15, in proportion to the exponentials of logits (K, n)."""
    largest = logits.argmax(0)[None]
    away = np.take_along_axis(logits, largest, 0) - logits
    parts = _EXP[np.minimum(away, len(_EXP) - 1)]
    weights = parts * TOTAL // parts.sum(0)
    missing = TOTAL - weights.sum(0)
    np.put_along_axis(weights, largest, np.take_along_axis(weights, largest, 0) + missing, 0)
    whole: NDArray[np.int32] = weights.astype(np.int32)
    return whole
