"""Convolutions as matrix products; the convolutions of libraries may round intermediate results (Winograd, FFT).

Both kinds are sums over windows. A transposed convolution has a phase for each remainder of the output row by the
stride; within a phase, the windows of successive rows start at successive input rows. A plain convolution has one
phase. The windows of all output positions are the rows of a matrix, which is computed in parts to bound the memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.arithmetic import Arithmetic, Step, Values
from narrows.codec.operations.contract import (
    LinearOperation,
    Requantise,
    Shape,
    check_size,
    largest_row,
    row_magnitudes,
)
from narrows.codec.operations.dense import check_biases
from narrows.codec.operations.reading import MOST_SHIFT, Reader
from narrows.errors import ModelFileError

__all__ = ["Convolution", "TransposedConvolution"]

Pair = tuple[int, int]

# Values of the windows in one product: 8 MiB as float64. Smaller ones would fit the cache, but threads wait after each.
_WINDOW_VALUES = 2**20
_LAYING_OUT = 32
_FEW_CHANNELS = 4
_MOST_PLANES = 4  # per input channel, to bound the memory
_MOST_STRIDE = 16


class _OverMaps(LinearOperation):
    """The common part of both convolutions; maps are (h, w, channels)."""

    biases: NDArray[np.int64]

    def _check_maps(self, in_shape: Shape, n_in: int) -> Pair:
        if len(in_shape) != 3 or in_shape[2] != n_in:
            raise ModelFileError(f"A convolution needs records of shape (h, w, {n_in}). Got {in_shape}.")
        return in_shape[0], in_shape[1]

    def _n_multiplications(self, in_shape: Shape, stride: Pair, n_taps: int, n_in: int, n_out: int) -> int:
        """Return an upper bound: every window of a phase times its taps, or every input times all taps.

        Copying a window takes as long as multiplying it for about 32 outputs.
        """
        places = zip(in_shape, self.out_shape(in_shape), stride, strict=False)
        n_places = math.prod(max(n, -(-n_reached // s)) for n, n_reached, s in places)
        return n_places * n_taps * n_in * max(n_out, _LAYING_OUT)

    def settings(self) -> dict[str, Any]:
        return {"shift": self.shift}


@dataclass(frozen=True, eq=False)
class Convolution(_OverMaps, name="convolution"):
    """A convolution (cross-correlation) with stride 1 over zero-padded maps (h, w, in).

    The output at (y, z, o) is clip16(round_shift(b_o + Σ_{i, j, c} w[o, c, i, j] x[y + i - p_0, z + j - p_1, c],
    shift)); its shape is (h + 2 p_0 - kh + 1, w + 2 p_1 - kw + 1, out).

    Attributes
    ----------
    weights : ndarray of int16, shape (out, in, kh, kw)
    biases : ndarray of int64, shape (out,)
    shift : int
        0 to 62.
    padding : (int, int)
        p, the rows and columns of zeros on each side, fewer than those of the kernel.
    """

    weights: NDArray[np.int16]
    biases: NDArray[np.int64]
    shift: int
    padding: Pair

    def __post_init__(self) -> None:
        check_biases("a convolution", self.biases, len(self.weights))
        if any(not 0 <= p < k for p, k in zip(self.padding, self.weights.shape[2:], strict=True)):
            raise ModelFileError(
                f"The padding of a convolution must be less than its kernel, {self.weights.shape[2:]}. "
                f"Got {self.padding}."
            )

    def out_shape(self, in_shape: Shape) -> Shape:
        grid = self._check_maps(in_shape, self.weights.shape[1])
        padded = tuple(n + 2 * p for n, p in zip(grid, self.padding, strict=True))
        check_size("A convolution", (*padded, in_shape[2]))
        out = tuple(n - k + 1 for n, k in zip(padded, self.weights.shape[2:], strict=True))
        return check_size("A convolution", (*out, len(self.weights)))

    def n_multiplications(self, in_shape: Shape) -> int:
        n_out, n_in, *window = self.weights.shape
        return self._n_multiplications(in_shape, (1, 1), math.prod(window), n_in, n_out)

    def largest_sum(self) -> int:
        return largest_row(row_magnitudes(self.weights), self.biases, self.shift)

    def prepare_with(self, arithmetic: Arithmetic, in_shape: Shape, requantise: Requantise) -> Step:
        n_out, n_in, *window = self.weights.shape
        end = requantise.prepare(arithmetic, self.biases)
        out = self.out_shape(in_shape)
        grid = (out[0], out[1])
        if _is_spread(n_in, n_out, window[0] * window[1]):
            # A convolution is the transposed convolution with the flipped kernel and padding k - 1 - p.
            flipped = self.weights.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
            around = (window[0] - 1 - self.padding[0], window[1] - 1 - self.padding[1])
            sums = _spread(arithmetic, flipped, requantise.shift, out, stride=(1, 1), padding=around)
            return lambda x: end(sums(x))
        matrix = arithmetic.constant(self.weights.transpose(2, 3, 1, 0).reshape(-1, n_out), requantise.shift)
        places = [object() for _ in range(4)]

        def convolve(x: Values) -> Values:
            padded = _pad(arithmetic, x, self.padding, self.padding, places[0])
            y = arithmetic.empty((len(x), *out), places[1])
            for at, windows in _windows(arithmetic, padded, grid, (window[0], window[1]), places[2]):
                part = y[at]
                part[...] = end(arithmetic.product(windows, matrix, places[3])).reshape(part.shape)
            return y

        return convolve

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "padding": list(self.padding)}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"weights": self.weights, "biases": self.biases}

    @classmethod
    def read(cls, reader: Reader) -> Convolution:
        return cls(
            reader.tensor("weights", np.int16, 4),
            reader.tensor("biases", np.int64, 1),
            reader.whole("shift", 0, MOST_SHIFT),
            reader.pair("padding", 0, 2**16),
        )


@dataclass(frozen=True, eq=False)
class TransposedConvolution(_OverMaps, name="transposed-convolution"):
    """The transpose of a strided convolution, over maps (h, w, in).

    Input x at (u, v, c) adds w[c, o, i, j] x to the sum at (u s_0 + i - p_0, v s_1 + j - p_1, o), if that is within the
    output. The output is clip16(round_shift(b_o + sum, shift)); its shape is
    ((h - 1) s_0 - 2 p_0 + kh + e_0, (w - 1) s_1 - 2 p_1 + kw + e_1, out).

    Attributes
    ----------
    weights : ndarray of int16, shape (in, out, kh, kw)
    biases : ndarray of int64, shape (out,)
    shift : int
        0 to 62.
    stride : (int, int)
        s, 1 to 16.
    padding : (int, int)
        p, less than the kernel.
    output_padding : (int, int)
        e, additional rows and columns at the end, less than the stride.
    """

    weights: NDArray[np.int16]
    biases: NDArray[np.int64]
    shift: int
    stride: Pair
    padding: Pair
    output_padding: Pair

    def __post_init__(self) -> None:
        check_biases("a transposed convolution", self.biases, self.weights.shape[1])
        kernel = self.weights.shape[2:]
        sizes = zip(self.stride, self.padding, self.output_padding, kernel, strict=True)
        if any(not (1 <= s <= _MOST_STRIDE and 0 <= p < k and 0 <= e < s) for s, p, e, k in sizes):
            raise ModelFileError(
                f"A transposed convolution must have a stride of 1 to {_MOST_STRIDE}, a padding less than its kernel, "
                f"{kernel}, and an output padding less than its stride. Got stride {self.stride}, padding "
                f"{self.padding} and output padding {self.output_padding}."
            )

    def out_shape(self, in_shape: Shape) -> Shape:
        grid = self._check_maps(in_shape, len(self.weights))
        sizes = zip(grid, self.stride, self.padding, self.output_padding, self.weights.shape[2:], strict=True)
        out = tuple((n - 1) * s - 2 * p + k + e for n, s, p, e, k in sizes)
        check_size(
            "A transposed convolution",
            (*(n + 2 * k for n, k in zip(grid, self.weights.shape[2:], strict=True)), in_shape[2]),
        )
        return check_size("A transposed convolution", (*out, self.weights.shape[1]))

    def n_multiplications(self, in_shape: Shape) -> int:
        n_in, n_out, *window = self.weights.shape
        return self._n_multiplications(in_shape, self.stride, math.prod(window), n_in, n_out)

    def largest_sum(self) -> int:
        magnitudes = np.zeros(self.weights.shape[1], np.int64)
        for kernels in self.weights:
            magnitudes += np.abs(kernels.astype(np.int64)).sum((1, 2))
        return largest_row(magnitudes, self.biases, self.shift)

    def prepare_with(self, arithmetic: Arithmetic, in_shape: Shape, requantise: Requantise) -> Step:
        end = requantise.prepare(arithmetic, self.biases)
        out, n_out = self.out_shape(in_shape), self.weights.shape[1]
        if _is_spread(len(self.weights), n_out, math.prod(self.weights.shape[2:])):
            sums = _spread(arithmetic, self.weights, requantise.shift, out, stride=self.stride, padding=self.padding)
            return lambda x: end(sums(x))
        sizes = list(zip(self.stride, self.padding, self.weights.shape[2:], strict=True))
        along = [
            [_Phase.of(first, n, *size) for first in range(size[0])] for n, size in zip(out[:2], sizes, strict=True)
        ]
        # All windows are within the maps with this many zeros before and after.
        before = tuple(max(max(-phase.start, 0) for phase in phases) for phases in along)
        after = tuple(
            max(max(phase.start + phase.count - 1 + len(phase.taps) - n, 0) for phase in phases)
            for n, phases in zip(in_shape, along, strict=False)
        )
        parts = []
        for phases in product(*along):
            if all(phase.count for phase in phases):
                weights = self.weights[:, :, phases[0].taps][:, :, :, phases[1].taps]
                matrix = weights.transpose(2, 3, 0, 1).reshape(-1, n_out)
                parts.append((phases, arithmetic.constant(matrix, requantise.shift) if matrix.size else None))
        places = [object() for _ in range(4)]

        def convolve(x: Values) -> Values:
            padded = _pad(arithmetic, x, (before[0], before[1]), (after[0], after[1]), places[0])
            y = arithmetic.empty((len(x), *out), places[1])
            for (vertical, horizontal), matrix in parts:
                phase = y[:, vertical.first :: self.stride[0], horizontal.first :: self.stride[1]]
                if matrix is None:
                    zeros = arithmetic.empty((1, n_out), places[3])
                    zeros[...] = 0
                    phase[...] = end(zeros)
                    continue
                grid, window = (vertical.count, horizontal.count), (len(vertical.taps), len(horizontal.taps))
                maps = padded[:, before[0] + vertical.start :, before[1] + horizontal.start :]
                for at, windows in _windows(arithmetic, maps, grid, window, places[2]):
                    part = phase[at]
                    part[...] = end(arithmetic.product(windows, matrix, places[3])).reshape(part.shape)
            return y

        return convolve

    def settings(self) -> dict[str, Any]:
        places = {"stride": self.stride, "padding": self.padding, "output_padding": self.output_padding}
        return {**super().settings(), **{name: list(pair) for name, pair in places.items()}}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"weights": self.weights, "biases": self.biases}

    @classmethod
    def read(cls, reader: Reader) -> TransposedConvolution:
        return cls(
            reader.tensor("weights", np.int16, 4),
            reader.tensor("biases", np.int64, 1),
            reader.whole("shift", 0, MOST_SHIFT),
            reader.pair("stride", 1, _MOST_STRIDE),
            reader.pair("padding", 0, 2**16),
            reader.pair("output_padding", 0, _MOST_STRIDE),
        )


@dataclass(frozen=True)
class _Phase:
    """The output positions of a transposed convolution along one axis that the same taps of the kernel contribute to.

    Attributes
    ----------
    first, count : int
        The positions are first, first + stride, …, count in all.
    taps : list of int
        The taps, in the order of their inputs.
    start : int
        The input of the first tap at the first position; each next position uses the next input.
    """

    first: int
    count: int
    taps: list[int]
    start: int

    @classmethod
    def of(cls, first: int, n_out: int, stride: int, padding: int, kernel: int) -> _Phase:
        # Input u contributes to position y through tap i if u s + i - p = y.
        taps = [i for i in range(kernel - 1, -1, -1) if (first + padding - i) % stride == 0]
        start = (first + padding - taps[0]) // stride if taps else 0
        return cls(first, len(range(first, n_out, stride)), taps, start)


def _pad(arithmetic: Arithmetic, x: Values, before: Pair, after: Pair, place: object) -> Values:
    """Return maps (n, h, w, c) padded with zeros, in C order."""
    n, h, w, c = x.shape
    padded = arithmetic.empty((n, before[0] + h + after[0], before[1] + w + after[1], c), place)
    padded[...] = 0
    padded[:, before[0] : before[0] + h, before[1] : before[1] + w] = x
    return padded


def _windows(
    arithmetic: Arithmetic, maps: Values, grid: Pair, window: Pair, place: object
) -> Iterator[tuple[tuple[slice, slice, slice], Values]]:
    """Yield slices of the records, rows and columns of the grid, and the windows there as the rows of a matrix."""
    n, values = maps.shape[0], window[0] * window[1] * maps.shape[3]
    n_columns = min(grid[1], max(1, _WINDOW_VALUES // values))
    n_rows = min(grid[0], max(1, _WINDOW_VALUES // (values * n_columns))) if n_columns == grid[1] else 1
    n_records = max(1, _WINDOW_VALUES // (values * math.prod(grid))) if n_rows == grid[0] else 1
    starts = (range(0, whole, n_some) for whole, n_some in ((n, n_records), (grid[0], n_rows), (grid[1], n_columns)))
    for record, row, column in product(*starts):
        here = (min(n_rows, grid[0] - row), min(n_columns, grid[1] - column))
        at = slice(record, record + n_records), slice(row, row + here[0]), slice(column, column + here[1])
        yield at, arithmetic.windows(maps[at[0], row:, column:], here, window, place)


def _is_spread(n_in: int, n_out: int, n_taps: int) -> bool:
    """Return whether `_spread` is faster, and needs little memory."""
    return n_out <= _FEW_CHANNELS and n_taps * n_out <= _MOST_PLANES * n_in


def _spread(
    arithmetic: Arithmetic, weights: NDArray[Any], shift: int, out: Shape, *, stride: Pair, padding: Pair
) -> Step:
    """Return a function for the sums of a transposed convolution with few outputs, without copying windows.

    With few outputs, copying windows takes longer than their products. Instead the product of the inputs with each tap
    and output of the kernel is a plane (n, h, w), which is added to the output at the tap's offset.
    """
    n_in, n_out, kh, kw = weights.shape
    matrix = arithmetic.constant(weights.transpose(2, 3, 1, 0).reshape(-1, n_in), shift)
    places = object(), object()

    def sums(x: Values) -> Values:
        n, h, w = x.shape[:3]
        planes = arithmetic.product(matrix, x.reshape(-1, n_in).T, places[0]).reshape(kh, kw, n_out, n, h, w)
        y = arithmetic.empty((n_out, n, out[0], out[1]), places[1])
        y[...] = 0
        for i, j in product(range(kh), range(kw)):
            to_rows, rows = _reached(i - padding[0], stride[0], h, out[0])
            to_columns, columns = _reached(j - padding[1], stride[1], w, out[1])
            y[:, :, to_rows, to_columns] += planes[i, j, :, :, rows, columns]
        return arithmetic.transpose(y, (1, 2, 3, 0))

    return sums


def _reached(offset: int, stride: int, n: int, n_out: int) -> tuple[slice, slice]:
    """Return slices of the positions u · stride + offset that are within 0 … n_out - 1, and of u in 0 … n - 1."""
    first = max(-(offset // stride), 0)
    end = max(min(n, -((offset - n_out) // stride)), first)
    start = first * stride + offset
    return slice(start, start + (end - first) * stride, stride), slice(first, end)
