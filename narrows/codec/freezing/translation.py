"""Translating PyTorch layers into integer operations, one after the other.

`Translation` holds the operations so far, with the shape and the scale of their output. `TRANSLATIONS` has one function
for each type of layer, which adds the layer's operations; a new type of layer is a new entry there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from narrows.codec.arithmetic import HIGHEST, LOWEST
from narrows.codec.freezing.ranges import Ranged, stage_name
from narrows.codec.freezing.recurrence import MOST_INPUT_SCALE, STATE_SCALE, of_zeros, whole_recurrence
from narrows.codec.freezing.row_gains import may_have_octaves
from narrows.codec.freezing.whole_layers import MARGIN, MakeOperation, n_outputs, scale_of, spread_out, whole_layer
from narrows.codec.operations import (
    Argmax,
    Branches,
    Clip,
    Convolution,
    Dense,
    Lookup,
    Operation,
    Relu,
    Rescale,
    Reshape,
    Transpose,
    TransposedConvolution,
    Upsample,
)
from narrows.codec.operations.branches import MOST_LEFT_SHIFT
from narrows.codec.operations.shapes import least_upsampling
from narrows.errors import NotFreezableError
from narrows.networks import images, pooling
from narrows.networks.activations import SoftClip
from narrows.networks.recurrence import RecurrentMaps

__all__ = ["ELEMENTWISE", "TRANSLATIONS", "Translation"]

_TABLES = range(1, 13)  # base-2 logarithms of the numbers of line segments
# Largest error of the interpolation in a table, relative to the largest output: -78 dB.
_TABLE_ERROR = 2.0**-13


class Translation:
    """The operations so far, and the shape and scale of their output.

    Attributes
    ----------
    operations : list of Operation
        The operations, from the decoder's input on.
    shape : tuple of int
        Shape of one record's output in PyTorch; maps have their channels first.
    is_last : bool
        Whether the output of the operations has its channels last instead.
    shift : int
        Values are integers times 2^-shift.
    finer : int
        Added to the limit of all scales, for a decoder whose outputs are small.
    sizes : "fewest", "most" or None
        Operations get the shapes of their arrays only, with zeros as values: the smallest or the largest arrays that
        trained weights may need. None: the operations of the weights.
    octaves : mapping of Module to ndarray
        By what the rows of dense layers are divided (`row_octaves`).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        shift: int,
        finer: int = 0,
        *,
        sizes: str | None = None,
        octaves: Mapping[nn.Module, NDArray[np.int64]] | None = None,
    ) -> None:
        self.operations: list[Operation] = []
        self.finer, self.sizes, self.octaves = finer, sizes, octaves or {}
        self.shape, self.shift, self.is_last = shape, shift, False

    def add(self, stage: nn.Module, largest: float) -> None:
        """Translate one stage, whose largest output so far was ``largest``."""
        for kind, translate in TRANSLATIONS.items():
            if isinstance(stage, kind):
                translate(self, stage, largest)
                return
        raise NotFreezableError(
            f"The decoder cannot be frozen: there are no integer operations for its {stage_name(stage)}. "
            "The model can be trained, and can encode and decode records, but cannot compress them to archives."
        )

    def add_all(self, stages: Iterable[Ranged]) -> None:
        """Translate stages in sequence, with or without branches."""
        for stage in stages:
            if stage.branches:
                self._add_branches(stage)
            else:
                self.add(stage.module, stage.largest)

    def _add_branches(self, stage: Ranged) -> None:
        """Translate each branch, and add up their outputs.

        The sum has the finest scale among the branches. If that is finer than the coarsest by more than the largest
        left shift of an operation, the finest scales are made coarser; the loss is far below the largest values.
        """
        translated = [self._branch(stages) for stages in stage.branches]
        if len({(one.shape, one.is_last) for one in translated}) > 1:
            for one in translated:
                one.channels_first()
        if len({one.shape for one in translated}) > 1:
            shapes = ", ".join(str(one.shape) for one in translated)
            raise NotFreezableError(
                f"The decoder cannot be frozen: the outputs of its branches have different shapes: {shapes}."
            )
        finest = min(max(one.shift for one in translated), min(one.shift for one in translated) + MOST_LEFT_SHIFT)
        for one in translated:
            one.coarsen(finest)
        out = min(scale_of(MARGIN * stage.largest, self.finer), finest)
        self.operations.append(
            Branches(
                tuple(tuple(one.operations) for one in translated),
                tuple(finest - one.shift for one in translated),
                finest - out,
            )
        )
        self.shape, self.is_last, self.shift = translated[0].shape, translated[0].is_last, out

    def _branch(self, stages: Iterable[Ranged]) -> Translation:
        translation = Translation(self.shape, self.shift, self.finer, sizes=self.sizes)
        translation.is_last = self.is_last
        translation.add_all(stages)
        return translation

    def coarsen(self, shift: int) -> None:
        """Make the scale at most 2^shift."""
        if self.sizes == "most":
            self.operations.append(Rescale(_zeros(np.int32, math.prod(self.shape)), 0))
        elif self.shift > shift:
            ones = np.ones(math.prod(self.shape), np.int32)
            # A shift of 17 already turns every 16-bit value into 0.
            self.operations.append(Rescale(ones, min(self.shift - shift, 17)))
            self.shift = shift

    def channels_last(self) -> None:
        if not self.is_last:
            self.operations.append(Transpose((1, 2, 0)))
            self.is_last = True

    def channels_first(self) -> None:
        if self.is_last:
            self.operations.append(Transpose((2, 0, 1)))
            self.is_last = False

    def categories(self, lengths: NDArray[np.int32]) -> None:
        """Add the operation that finds the largest value of each segment; segments are repeated for all outputs."""
        total = int(lengths.sum())
        if self.shape[-1] != total:
            self.reshape((math.prod(self.shape) // total, total))
        self.operations.append(Argmax(lengths))
        self.shape = (*self.shape[:-1], len(lengths))

    def reshape(self, shape: tuple[int, ...]) -> None:
        self.channels_first()
        if shape != self.shape:
            self.operations.append(Reshape(shape))
        self.shape = shape


def _zeros(dtype: type[np.generic], *shape: int) -> NDArray[Any]:
    """Return zeros that take no memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)


Translate = Callable[[Translation, Any, float], None]


def _flatten(so_far: Translation, stage: nn.Flatten, largest: float) -> None:
    so_far.reshape((math.prod(so_far.shape),))


def _reshape(so_far: Translation, stage: images.Reshape, largest: float) -> None:
    so_far.reshape(stage.shape)


def _to_records(so_far: Translation, stage: images.FromChannelsFirst, largest: float) -> None:
    channels, height, width = so_far.shape
    if stage.n_parameters > 1:
        _to_parameters(so_far, stage)
    elif stage.layout.axis == "last":
        so_far.channels_last()
        so_far.shape, so_far.is_last = (height, width, channels), False
    elif stage.layout.axis == "none":
        if so_far.is_last:
            so_far.operations.append(Reshape((height, width)))
            so_far.shape, so_far.is_last = (height, width), False
        else:
            so_far.reshape((height, width))
    else:
        so_far.channels_first()


def _to_parameters(so_far: Translation, stage: images.FromChannelsFirst) -> None:
    """Add operations that make the parameters of each value the last axis."""
    channels, height, width = so_far.shape
    each = (stage.layout.channels, stage.n_parameters)
    if stage.layout.axis == "first":
        so_far.reshape((*each, height, width))
        so_far.operations.append(Transpose((0, 2, 3, 1)))
        so_far.shape = (each[0], height, width, each[1])
        return
    so_far.channels_last()
    so_far.shape, so_far.is_last = (height, width, channels), False
    if stage.layout.axis == "last":
        so_far.reshape((height, width, *each))


def _upsample(so_far: Translation, stage: nn.Upsample, largest: float) -> None:
    if stage.mode != "nearest" or not isinstance(stage.size, tuple):
        raise NotFreezableError(
            "The decoder cannot be frozen: upsampling must have mode='nearest' and a size. "
            f"Got mode={stage.mode!r} and size={stage.size!r}."
        )
    so_far.channels_last()
    height, width = stage.size
    so_far.operations.append(Upsample((height, width)))
    so_far.shape = (so_far.shape[0], height, width)


def _repeat(so_far: Translation, stage: pooling.Repeat, largest: float) -> None:
    """Add operations that copy row r from row floor(r / stride), and the same for columns.

    An upsample operation from h to T rows copies row r from floor(r h / T). If that is wrong for T = H, the size of the
    stage's output, a larger T is used for which the first H rows are right. The rows beyond H are then dropped one by
    one: upsampling n rows to n - 1 copies row floor(r n / (n - 1)) = r, which drops the last row.
    """
    so_far.channels_last()
    channels, *grid = so_far.shape
    height, width = (least_upsampling(n, to, stage.stride) for n, to in zip(grid, stage.size, strict=True))
    so_far.operations.append(Upsample((height, width)))
    while (height, width) != stage.size:
        height, width = max(height - 1, stage.size[0]), max(width - 1, stage.size[1])
        so_far.operations.append(Upsample((height, width)))
    so_far.shape = (channels, height, width)


def _linear(so_far: Translation, stage: nn.Linear, largest: float) -> None:
    _linear_operation(so_far, stage, largest, Dense)
    so_far.shape = (stage.out_features,)
    if so_far.sizes == "most" and may_have_octaves(stage):
        so_far.operations.append(Rescale(_zeros(np.int32, stage.out_features), 0))
    elif stage in so_far.octaves:
        so_far.operations.append(Rescale((1 << so_far.octaves[stage]).astype(np.int32), 0))


def _convolution(so_far: Translation, stage: nn.Conv2d, largest: float) -> None:
    padding = stage.padding
    if _pairs(stage.stride) != [(1, 1)] or stage.groups != 1 or isinstance(padding, str):
        raise NotFreezableError(
            "The decoder cannot be frozen: its convolutions must have neither stride, groups nor padding given as text."
        )
    if stage.padding_mode != "zeros":
        raise NotFreezableError(
            f"The decoder cannot be frozen: its convolutions must have padding_mode='zeros'. "
            f"Got {stage.padding_mode!r}."
        )
    around = (padding[0], padding[1])
    so_far.channels_last()
    dilation = _pairs(stage.dilation)[0]
    _linear_operation(
        so_far,
        stage,
        largest,
        lambda weights, biases, shift: Convolution(spread_out(weights, dilation), biases, shift, around),
    )
    _after_maps(so_far)


def _transposed(so_far: Translation, stage: nn.ConvTranspose2d, largest: float) -> None:
    if _pairs(stage.dilation) != [(1, 1)] or stage.groups != 1:
        raise NotFreezableError("The decoder cannot be frozen: its convolutions must have neither dilation nor groups.")
    places = _pairs(stage.stride, stage.padding, stage.output_padding)
    so_far.channels_last()
    _linear_operation(
        so_far, stage, largest, lambda weights, biases, shift: TransposedConvolution(weights, biases, shift, *places)
    )
    _after_maps(so_far)


def _pairs(*values: Any) -> list[tuple[int, int]]:
    return [(value[0], value[1]) for value in values]


def _after_maps(so_far: Translation) -> None:
    channels, height, width = so_far.shape
    height, width, channels = so_far.operations[-1].out_shape((height, width, channels))
    so_far.shape = (channels, height, width)


def _linear_operation(
    so_far: Translation,
    stage: Any,
    largest: float,
    make: MakeOperation,
) -> None:
    """Add a linear layer, with the finest scale of weights for which they fit 16 bits and all sums are exact."""
    if so_far.sizes is not None:
        n_out = n_outputs(stage)
        so_far.operations.append(make(_zeros(np.int16, *stage.weight.shape), _zeros(np.int64, n_out), 0))
        return
    wanted = scale_of(MARGIN * largest, so_far.finer)
    octaves = so_far.octaves.get(stage)
    operation, so_far.shift = whole_layer(stage, so_far.shift, wanted, so_far.finer, make, octaves=octaves)
    so_far.operations.append(operation)


def _recurrence(so_far: Translation, stage: RecurrentMaps, largest: float) -> None:
    """Add a recurrent layer; inputs so large that they have no binary places would always saturate its gates."""
    so_far.channels_last()
    if so_far.sizes is not None:
        so_far.operations.append(of_zeros(stage))
    else:
        so_far.coarsen(MOST_INPUT_SCALE)
        if so_far.shift < 0:
            raise NotFreezableError(
                f"The decoder cannot be frozen: the inputs of its recurrent layer reach "
                f"{math.ldexp(HIGHEST / MARGIN, -so_far.shift):.3g}. Train again with a lower learning rate."
            )
        so_far.operations.append(whole_recurrence(stage, so_far.shift))
        so_far.shift = STATE_SCALE
    so_far.shape = (stage.n_hidden, 1, so_far.shape[2])


def _relu(so_far: Translation, stage: nn.ReLU, largest: float) -> None:
    so_far.operations.append(Relu())


def _clip(so_far: Translation, stage: nn.Hardtanh, largest: float) -> None:
    low, high = (
        round(min(max(math.ldexp(limit, so_far.shift), LOWEST), HIGHEST)) for limit in (stage.min_val, stage.max_val)
    )
    so_far.operations.append(Clip(low, high))


def _nothing(so_far: Translation, stage: nn.Module, largest: float) -> None:
    pass


def _lookup(so_far: Translation, stage: nn.Module, largest: float) -> None:
    if so_far.sizes is not None:
        bits = _TABLES[-1] if so_far.sizes == "most" else _TABLES[0]
        so_far.operations.append(Lookup(_zeros(np.int16, 2**bits + 1)))
        return
    # Every possible input, and one beyond the last.
    x = np.arange(LOWEST, HIGHEST + 2, dtype=np.float64)
    with torch.no_grad():
        y = stage(torch.from_numpy(np.ldexp(x, -so_far.shift))).numpy()
    peak = float(np.abs(y).max())
    out = scale_of(peak, so_far.finer)
    y = np.ldexp(y, out)
    for bits in _TABLES:
        points = np.clip(np.rint(y[:: 2 ** (16 - bits)]), LOWEST, HIGHEST)
        error = np.interp(x, x[:: 2 ** (16 - bits)], points) - y
        if float(np.abs(error).max()) <= _TABLE_ERROR * math.ldexp(peak, out):
            break
    so_far.operations.append(Lookup(points.astype(np.int16)))
    so_far.shift = out


def _activations() -> Iterable[type[nn.Module]]:
    return (nn.ELU, nn.GELU, nn.LeakyReLU, nn.SELU, nn.Sigmoid, nn.SiLU, SoftClip, nn.Softplus, nn.Tanh)


ELEMENTWISE: tuple[type[nn.Module], ...] = (nn.ReLU, nn.Hardtanh, nn.Identity, *_activations())
"""Layers that compute each output from one input."""

TRANSLATIONS: dict[type[nn.Module], Translate] = {
    nn.Flatten: _flatten,
    images.Reshape: _reshape,
    images.FromChannelsFirst: _to_records,
    nn.Upsample: _upsample,
    pooling.Repeat: _repeat,
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed,
    RecurrentMaps: _recurrence,
    nn.ReLU: _relu,
    nn.Hardtanh: _clip,
    nn.Identity: _nothing,
    **dict.fromkeys(_activations(), _lookup),
}
