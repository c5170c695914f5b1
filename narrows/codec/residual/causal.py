"""A causal network in integer arithmetic: predicts each value of an image from the values decoded before it.

For images of integers with C channels, coded pixel by pixel, row by row, channel by channel within a pixel. The network
of channel c has two hidden layers. Its inputs are the preceding pixels within reach, and the channels before c of the
same pixel; x is a value minus the lowest value, 0 beyond the edge::

    e = rows[c, i] + columns[c, j] + Σ_k weights_1[c, k] x_k          a = ⌊e / 2^shifts_0⌋ within 0 … 32767
    f = biases_2[c] + Σ weights_2[c] a                                b = ⌊f / 2^shifts_1⌋ within 0 … 32767
    o = biases_3[c] + Σ weights_3[c] b                                K logits, then K means, then K scales
    logit = ⌊o / 2^shifts_2⌋ in 1/32 nats      mean = ⌊o / 2^shifts_3⌋ in sixteenths of a value, relative to the lowest
    scale = ⌊o / 2^shifts_4⌋, an index of residual/mixture.py, for values

    weight_k = ⌊2^15 EXP[min(largest logit - logit_k, 511)] / Σ_k EXP[…]⌋; the first largest gets the remainder to 2^15

The constructor checks that sums stay below 2^53, so that float64 is exact (see codec/arithmetic.py). If all sums fit 32
bits, the compiled kernel computes the same faster with 16-bit integers.
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
from narrows.errors import InvalidParameterError, ModelFileError
from narrows.records.image_layout import ImageLayout

__all__ = ["FrozenCausal", "as_image", "window"]

ImageGrid = tuple[int, int, int]
Components = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]  # weights, means, scales

_EXACT = 1 << 53
_MOST_ACTIVE = (1 << 15) - 1
_MOST_HIDDEN, _MOST_REACH, _MOST_SHIFT, _MOST_INPUT = 1024, 16, 52, (1 << 16) - 1
_BATCH_VALUES = 1 << 15  # hidden values that are processed at a time, to fit the CPU cache
_TOGETHER = 16  # outputs that the kernel processes together
_MOST_WINDOW = 4096
_MOST_SEEN = 1 << 24  # inputs of the networks at all values of a record
_MOST_WORK = 1 << 36  # multiplications per record: minutes
_LOGITS_PER_NAT = 32
_SPREAD, _GOLDEN_VALUES = 40_503, 256
_EXP = np.rint(32768 * np.exp(-np.arange(512) / _LOGITS_PER_NAT)).astype(np.int64)


def as_image(shape: tuple[int, ...]) -> tuple[ImageGrid, NDArray[np.int64]]:
    """Return (height, width, channels) of image records, and the coding order of their values, as flat indices.

    Raises
    ------
    ModelFileError
        If records of this shape are not images.
    """
    try:
        layout = ImageLayout.of(shape)
    except InvalidParameterError:
        raise ModelFileError(f"A residual model is for images. Got records of shape {shape}.") from None
    flat = np.arange(math.prod(shape)).reshape(shape)
    if layout.axis == "first":
        flat = flat.transpose(1, 2, 0)
    return (layout.height, layout.width, layout.channels), flat.ravel()


def window(reach: int, channels: int) -> list[list[tuple[int, int, int]]]:
    """Return for each channel the inputs of its network, as (down, right, channel) relative to the predicted pixel."""
    before = [(-down, right) for down in range(reach, 0, -1) for right in range(-reach, reach + 1)]
    before += [(0, -left) for left in range(reach, 0, -1)]
    everywhere = [(down, right, channel) for down, right in before for channel in range(channels)]
    # All channels have the same number of inputs; those of later channels at the same pixel are always 0.
    return [[*everywhere, *((0, 0, other) for other in range(channels - 1))] for _ in range(channels)]


@dataclass(frozen=True, eq=False)
class FrozenCausal:
    """The networks of C channels, each with n inputs, H hidden units and K components.

    Attributes
    ----------
    lowest, highest : int
        Range of the values.
    reach : int
        The distance of the furthest inputs up, left and right, in pixels.
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
        If the arrays do not fit together, or a sum could reach 2^53.
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
            raise ModelFileError(
                f"The residual model must have 1 to 4 channels, 1 to {_MOST_HIDDEN} hidden units, and "
                f"the inputs within its reach of {self.reach}. Got {c} channels, {h} hidden units and {n} inputs."
            )
        check_array("rows", self.rows, np.int64, (c, None, h))
        check_array("columns", self.columns, np.int64, (c, None, h))
        check_array("weights_2", self.weights_2, np.int16, (c, h, h))
        check_array("biases_2", self.biases_2, np.int64, (c, h))
        check_array("weights_3", self.weights_3, np.int16, (c, h, None))
        outputs = self.weights_3.shape[2]
        if outputs % 3 or not 3 <= outputs <= 3 * MAX_COMPONENTS:
            raise ModelFileError(
                f"The outputs of the residual model must be 3 for each of 1 to {MAX_COMPONENTS} "
                f"components. Got {outputs}."
            )
        check_array("biases_3", self.biases_3, np.int64, (c, outputs))
        check_array("shifts", self.shifts, np.int64, (5,))
        if self.shifts.min() < 0 or self.shifts.max() > _MOST_SHIFT:
            raise ModelFileError(
                f"The shifts of the residual model must be from 0 to {_MOST_SHIFT}. Got {self.shifts.tolist()}."
            )
        if math.prod(self.grid) * n > _MOST_SEEN:
            raise ModelFileError(
                f"The residual model has {math.prod(self.grid) * n:,} inputs per record. Allowed: {_MOST_SEEN:,}."
            )
        if math.prod(self.grid) * h * (n + h + outputs) > _MOST_WORK:
            raise ModelFileError(
                "The residual model needs "
                f"{math.prod(self.grid) * h * (n + h + outputs):,} multiplications per record. Allowed: 2^36."
            )
        if self.largest_sum() >= _EXACT:
            raise ModelFileError("The weights of the residual model are too large: a sum could reach 2^53.")

    @property
    def grid(self) -> ImageGrid:
        """Height, width and channels."""
        return self.rows.shape[1], self.columns.shape[1], len(self.weights_1)

    @property
    def n_components(self) -> int:
        """K, the number of components of the mixtures."""
        return int(self.weights_3.shape[2]) // 3

    def largest_sum(self, highest: int = _MOST_INPUT) -> float:
        """Return an upper bound of all sums, for values of at most ``highest`` above the lowest."""
        sums = [
            np.abs(self.rows.astype(np.float64)).max(1)
            + np.abs(self.columns.astype(np.float64)).max(1)
            + highest * np.abs(self.weights_1.astype(np.float64)).sum(1),
            np.abs(self.biases_2.astype(np.float64)) + _MOST_ACTIVE * np.abs(self.weights_2.astype(np.float64)).sum(1),
            np.abs(self.biases_3.astype(np.float64)) + _MOST_ACTIVE * np.abs(self.weights_3.astype(np.float64)).sum(1),
        ]
        return max(float(sum_.max(initial=0)) for sum_ in sums)

    def is_narrow(self, highest: int) -> bool:
        """Return whether all sums fit 32 bits for values of at most ``highest`` above the lowest."""
        return 0 <= highest < 1 << 15 and self.largest_sum(highest) < 1 << 31 and int(self.shifts.max()) < 32

    def digest(self) -> str:
        """Return the SHA-256 of the network's outputs for two golden records with scattered values."""
        n = math.prod(self.grid)
        records = np.arange(2 * n, dtype=np.int64).reshape(n, 2) * _SPREAD % (self.highest - self.lowest + 1)
        lattice = Lattice(np.zeros((n, 2), np.int64), 1, self.lowest, self.highest, has_code=False)
        run, digest = self.start(lattice), hashlib.sha256()
        for values in records[:_GOLDEN_VALUES] + self.lowest:
            mixture = run.predict()
            for parameters in (mixture.weights, mixture.means, mixture.scales):
                digest.update(parameters.astype("<i8").tobytes())
            run.update(values)
        return digest.hexdigest()

    def start(self, lattice: Lattice, *, dtype: type[np.float64 | np.int64] = np.float64) -> CausalRun:
        """Return a run over the records of a lattice, with values in the order of `as_image`."""
        return CausalRun(self, lattice, np.dtype(dtype))

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays from which `from_tensors` makes the same network."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        settings = {name: value for name, value in values.items() if isinstance(value, int)}
        return settings, {name: value for name, value in values.items() if name not in settings}

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return the network of `to_tensors`; raises ModelFileError if settings or arrays are invalid."""
        values: dict[str, Any] = {
            name: stored_number(settings, name, -(1 << 31), 1 << 32) for name in ("lowest", "highest", "reach")
        }
        arrays = [field.name for field in fields(cls) if field.name not in values]
        return cls(**values | {name: stored_array(tensors, name) for name in arrays})


class CausalRun(Run):
    """A run of a causal network over records."""

    def __init__(self, model: FrozenCausal, lattice: Lattice, dtype: np.dtype[Any]) -> None:
        self.lattice, self._model, self._dtype = lattice, model, dtype
        n_values, n = lattice.anchors.shape
        assert n_values == math.prod(model.grid)
        self._seen = [self._seen_by(channel) for channel in range(model.grid[2])]
        self._position = 0
        # The network outputs scales in units of values. A coarse step is lattice.coarse values wide.
        self._wider = (lattice.coarse**8).bit_length() // 2  # 4 log2(coarse), rounded to nearest
        size = self._coarse(lattice.highest) - self._coarse(lattice.lowest) + 2 + lattice.has_code * (lattice.step > 1)
        self._window, self._is_whole = min(size, _MOST_WINDOW), size <= _MOST_WINDOW
        self._narrow: _Narrow | None = None
        held = dtype  # of the values
        if dtype == np.float64 and kernels.compiled is not None and model.is_narrow(lattice.highest - model.lowest):
            self._narrow, held = _Narrow(model, self._seen), np.dtype(np.int16)
        else:
            h, shifts = model.weights_2.shape[1], model.shifts.tolist()
            self._batch = max(1, _BATCH_VALUES // h)
            self._hidden = [np.empty((h, min(self._batch, n)), dtype) for _ in range(2)]
            self._weights_1 = [self._scaled(weights.T, shifts[0]) for weights in model.weights_1]
            self._weights_2 = [self._scaled(weights.T, shifts[1]) for weights in model.weights_2]
            self._weights_3 = [weights.T.astype(dtype) for weights in model.weights_3]
        self._values = np.zeros((n_values + 1, n), held)  # the last row, zeros, replaces missing inputs

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
        self._values[self._position] = np.minimum(np.maximum(values - self._model.lowest, 0), _MOST_INPUT)
        self._position += 1

    def _coarse(self, distance: Any) -> Any:
        """Return the coarse step nearest to a distance from an anchor."""
        return (distance + self.lattice.step // 2) // self.lattice.step >> self.lattice.raw_bits

    def _components(self, middles: NDArray[np.int64]) -> Components:
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
        """Return weights, in units of 2^-shift if they are floats, so that a shift is a floor."""
        exact = np.ascontiguousarray(weights, self._dtype)
        return np.ldexp(exact, -shift) if self._dtype == np.float64 else exact

    def _requantise(self, sums: NDArray[Any], bias: NDArray[np.int64], shift: int) -> None:
        """Add a bias, shift, and clip to the range of activations; in place."""
        if self._dtype == np.float64:
            sums += np.ldexp(bias.astype(np.float64), -shift)[:, None]
            np.floor(sums, out=sums)
        else:
            sums += bias[:, None]
            sums >>= shift
        np.clip(sums, 0, _MOST_ACTIVE, out=sums)

    def _seen_by(self, channel: int) -> NDArray[np.int64]:
        """Return the indices of the inputs of a channel's network at each pixel: shape (pixels, n)."""
        height, width, channels = self._model.grid
        rows, columns = np.divmod(np.arange(height * width), width)
        seen = []
        for down, right, other in window(self._model.reach, channels)[channel]:
            y, x = rows + down, columns + right
            is_there = (y >= 0) & (y < height) & (x >= 0) & (x < width) & ((down, right) != (0, 0) or other < channel)
            seen.append(np.where(is_there, (y * width + x) * channels + other, height * width * channels))
        return np.stack(seen, -1)


class _Narrow:
    """A network in the layout of the kernel: pairs of 16-bit weights, and 32-bit sums."""

    def __init__(self, model: FrozenCausal, seen: list[NDArray[np.int64]]) -> None:
        self._model = model
        missing = math.prod(model.grid)  # index of the row of zeros
        self._seen = [_filled_up(of_one, (1,), missing).astype(np.int32) for of_one in seen]
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
    ) -> Components:
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
    """Return an array with axes padded to the multiples that the kernel needs."""
    missing = [(0, -length % _TOGETHER if axis in axes else 0) for axis, length in enumerate(array.shape)]
    return np.pad(array, missing, constant_values=value)


def _weights(logits: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return integer weights that sum to 2^15, proportional to the exponentials of logits (K, n)."""
    largest = logits.argmax(0)[None]
    away = np.take_along_axis(logits, largest, 0) - logits
    parts = _EXP[np.minimum(away, len(_EXP) - 1)]
    weights = parts * TOTAL // parts.sum(0)
    missing = TOTAL - weights.sum(0)
    np.put_along_axis(weights, largest, np.take_along_axis(weights, largest, 0) + missing, 0)
    whole: NDArray[np.int32] = weights.astype(np.int32)
    return whole
