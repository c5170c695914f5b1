"""Freezing: a trained decoder becomes integer operations.

Every tensor gets a scale that is a power of two, the largest that leaves it 16 bits: a real value r stands as the
integer round(r 2^s). Then a layer is products of integers and a shift back to 16 bits, and every activation function is
a short table. Scales of activations come from calibration codes, with room to spare; beyond it values saturate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narrows.chain import Chain
from narrows.codec.arithmetic import HIGHEST, LOWEST
from narrows.codec.freezing.ranges import Ranged, magnitude, ranged, stage_name
from narrows.codec.operations import (
    EXACT_BELOW,
    Branches,
    Clip,
    Convolution,
    Dense,
    Lookup,
    Operation,
    Rectify,
    Rescale,
    Reshape,
    Sums,
    Transpose,
    TransposedConvolution,
    Upsample,
)
from narrows.codec.operations.branches import MOST_LEFT_SHIFT
from narrows.codec.program import Program
from narrows.errors import ModelFileError, NotFreezableError
from narrows.networks import images, pooling
from narrows.networks.activations import SoftClip, activation

__all__ = ["FrozenDecoder", "freeze_decoder"]

_MARGIN = 1.5  # how far beyond what calibration saw activations may go before they saturate
_BATCH = 256
_TABLES = range(1, 13)  # logarithms of the numbers of lines
# How far off the straight lines of a table may be, of the largest value that comes out: -78 dB.
_TABLE_ERROR = 2.0**-13
_MOST_SHIFT = 40  # of a scale: activations below 2^-25 are as good as zero


@dataclass(frozen=True)
class FrozenDecoder:
    """A decoder in integers.

    Attributes
    ----------
    program : Program
        From z as 16-bit integers, (n, *z_shape), to the likelihood's mean, (n, *shape).
    input_shift : int
        z is what goes in times 2^-input_shift.
    output_shift : int
        The mean, in preprocessed units, is what comes out times 2^-output_shift.
    """

    program: Program
    input_shift: int
    output_shift: int


def freeze_decoder(chain: Chain, codes: Tensor) -> FrozenDecoder:
    """Return the decoder of a chain, likelihood's mean included, as integer operations.

    Parameters
    ----------
    chain : Chain
        A trained one.
    codes : Tensor of shape (n, *z_shape)
        Codes of training records: from them comes how large activations get.

    Raises
    ------
    NotFreezableError
        If a part of it has no counterpart in integers, or holds or computes what is not finite; says which.
    """
    if chain.likelihood.n_parameters != 1:
        raise NotFreezableError(
            f"The '{chain.parts.likelihood.name}' likelihood has {chain.likelihood.n_parameters} numbers for each "
            "value; only decoders with one can be frozen."
        )
    stages = [*chain.decoder.plain_stages(), activation(chain.likelihood.mean_activation)]
    codes = codes.detach().to(dtype=chain.dtype, device=chain.device)
    with torch.no_grad():
        largest, seen = _largest(chain, stages, codes)
    translation = _Translation(tuple(codes.shape[1:]), _scale(_MARGIN * largest))
    input_shift = translation.shift
    try:
        translation.add_all(seen)
        program = Program(tuple(codes.shape[1:]), translation.operations)
    except ModelFileError as error:
        raise NotFreezableError(f"The decoder cannot be computed in whole numbers. {error}") from error
    return FrozenDecoder(program, input_shift, translation.shift)


def _largest(chain: Chain, stages: list[nn.Module], codes: Tensor) -> tuple[float, list[Ranged]]:
    """Return the largest magnitude among the codes, the stages with theirs, and check that they are the decoder."""
    largest, seen = 0.0, ranged(stages)
    for batch in torch.split(codes, _BATCH):
        largest = max(largest, magnitude("the codes", batch))
        y = batch
        for stage in seen:
            y = stage.run(y)
        mean = chain.likelihood.mean(chain.decode(batch))
        smallest = 1e-4 * max(seen[-1].largest, 1e-30)
        if y.shape != mean.shape or not torch.allclose(y, mean, rtol=1e-3, atol=smallest):
            raise NotFreezableError(
                f"The stages of {type(chain.decoder).__name__.lstrip('_')} do not do one after the other what it does "
                "itself; its 'plain_stages' must be mended."
            )
    return largest, seen


def _scale(largest: float) -> int:
    """Return the largest s for which round(largest · 2^s) has 16 bits."""
    if largest <= 0:
        return 0
    shift = min(math.frexp(HIGHEST / largest)[1] - 1, _MOST_SHIFT)
    return shift - (round(math.ldexp(largest, shift)) > HIGHEST)


class _Translation:
    """The operations so far, and what the records are behind them.

    Attributes
    ----------
    operations : list of Operation
        What was translated.
    shape : tuple of int
        Shape of a record as PyTorch has it, maps with the channels first.
    is_last : bool
        Whether the operations have it with the channels last instead.
    shift : int
        Values are integers times 2^-shift.
    """

    def __init__(self, shape: tuple[int, ...], shift: int) -> None:
        self.operations: list[Operation] = []
        self.shape, self.shift, self.is_last = shape, shift, False

    def add(self, stage: nn.Module, largest: float) -> None:
        """Translate one stage, whose largest output so far was ``largest``."""
        for kind, translate in _TRANSLATIONS.items():
            if isinstance(stage, kind):
                translate(self, stage, largest)
                return
        raise NotFreezableError(
            f"The decoder cannot be frozen: there are no integer operations for its {stage_name(stage)}. "
            "Without them a model still trains, encodes and restores, but compresses nothing."
        )

    def add_all(self, stages: Iterable[Ranged]) -> None:
        """Translate stages one after the other, those with branches among them."""
        for stage in stages:
            if stage.branches:
                self._add_branches(stage)
            else:
                self.add(stage.module, stage.largest)

    def _add_branches(self, stage: Ranged) -> None:
        """Translate each branch, and add up what comes out.

        The sum has the finest scale among the branches. Where that is finer than the coarsest by more than the left
        shift of an operation can bridge, the finest are made coarser: what they lose is far below the largest values.
        """
        translated = [self._branch(stages) for stages in stage.branches]
        if len({(one.shape, one.is_last) for one in translated}) > 1:
            for one in translated:
                one.channels_first()
        if len({one.shape for one in translated}) > 1:
            shapes = ", ".join(str(one.shape) for one in translated)
            raise NotFreezableError(f"The decoder cannot be frozen: its branches make records of the shapes {shapes}.")
        finest = min(max(one.shift for one in translated), min(one.shift for one in translated) + MOST_LEFT_SHIFT)
        for one in translated:
            one.coarsen(finest)
        out = min(_scale(_MARGIN * stage.largest), finest)
        self.operations.append(
            Branches(
                tuple(tuple(one.operations) for one in translated),
                tuple(finest - one.shift for one in translated),
                finest - out,
            )
        )
        self.shape, self.is_last, self.shift = translated[0].shape, translated[0].is_last, out

    def _branch(self, stages: Iterable[Ranged]) -> _Translation:
        translation = _Translation(self.shape, self.shift)
        translation.is_last = self.is_last
        translation.add_all(stages)
        return translation

    def coarsen(self, shift: int) -> None:
        """Make the scale at most 2^shift."""
        if self.shift > shift:
            ones = np.ones(math.prod(self.shape), np.int32)
            # A shift of 17 already leaves nothing of 16 bits.
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

    def reshape(self, shape: tuple[int, ...]) -> None:
        self.channels_first()
        if shape != self.shape:
            self.operations.append(Reshape(shape))
        self.shape = shape


Translate = Callable[[_Translation, Any, float], None]


def _flatten(so_far: _Translation, stage: nn.Flatten, largest: float) -> None:
    so_far.reshape((math.prod(so_far.shape),))


def _reshape(so_far: _Translation, stage: images.Reshape, largest: float) -> None:
    so_far.reshape(stage.shape)


def _to_records(so_far: _Translation, stage: images.FromChannelsFirst, largest: float) -> None:
    channels, height, width = so_far.shape
    if stage.layout.axis == "last":
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


def _upsample(so_far: _Translation, stage: nn.Upsample, largest: float) -> None:
    if stage.mode != "nearest" or not isinstance(stage.size, tuple):
        raise NotFreezableError(
            f"The decoder cannot be frozen: upsampling must be 'nearest' and to a size. Got mode={stage.mode!r} and "
            f"size={stage.size!r}."
        )
    so_far.channels_last()
    height, width = stage.size
    so_far.operations.append(Upsample((height, width)))
    so_far.shape = (so_far.shape[0], height, width)


def _repeat(so_far: _Translation, stage: pooling.Repeat, largest: float) -> None:
    """Add operations that copy row r from row floor(r / stride), and columns alike.

    An upsample operation to T rows copies row floor(r h / T). Where that differs for T = H, there is a larger T for
    which the first H rows are right, and one to n - 1 rows copies rows floor(r n / (n - 1)) = r: it drops the last.
    """
    so_far.channels_last()
    channels, *grid = so_far.shape
    height, width = (_rows_that_repeat(n, to, stage.stride) for n, to in zip(grid, stage.size, strict=True))
    so_far.operations.append(Upsample((height, width)))
    while (height, width) != stage.size:
        height, width = max(height - 1, stage.size[0]), max(width - 1, stage.size[1])
        so_far.operations.append(Upsample((height, width)))
    so_far.shape = (channels, height, width)


def _rows_that_repeat(n: int, to: int, stride: int) -> int:
    """Return the least T ≥ ``to`` with floor(r n / T) = floor(r / stride) for all r below ``to``: n stride, or less."""
    rows = np.arange(to, dtype=np.int64)
    return next(t for t in range(to, n * stride + 1) if (rows * n // t == rows // stride).all())


def _linear(so_far: _Translation, stage: nn.Linear, largest: float) -> None:
    _sums(so_far, stage, largest, Dense)
    so_far.shape = (stage.out_features,)


def _convolution(so_far: _Translation, stage: nn.Conv2d, largest: float) -> None:
    padding = stage.padding
    if _pairs(stage.stride, stage.dilation) != [(1, 1)] * 2 or stage.groups != 1 or isinstance(padding, str):
        raise NotFreezableError(
            "The decoder cannot be frozen: its convolutions must have neither stride, dilation nor groups."
        )
    if stage.padding_mode != "zeros":
        raise NotFreezableError(f"The decoder cannot be frozen: its convolutions pad with {stage.padding_mode!r}.")
    around = (padding[0], padding[1])
    so_far.channels_last()
    _sums(so_far, stage, largest, lambda weights, biases, shift: Convolution(weights, biases, shift, around))
    _after_maps(so_far)


def _transposed(so_far: _Translation, stage: nn.ConvTranspose2d, largest: float) -> None:
    if _pairs(stage.dilation) != [(1, 1)] or stage.groups != 1:
        raise NotFreezableError("The decoder cannot be frozen: its convolutions must have neither dilation nor groups.")
    places = _pairs(stage.stride, stage.padding, stage.output_padding)
    so_far.channels_last()
    _sums(so_far, stage, largest, lambda weights, biases, shift: TransposedConvolution(weights, biases, shift, *places))
    _after_maps(so_far)


def _pairs(*values: Any) -> list[tuple[int, int]]:
    return [(value[0], value[1]) for value in values]


def _after_maps(so_far: _Translation) -> None:
    channels, height, width = so_far.shape
    height, width, channels = so_far.operations[-1].out_shape((height, width, channels))
    so_far.shape = (channels, height, width)


def _sums(
    so_far: _Translation, stage: Any, largest: float, make: Callable[[NDArray[np.int16], NDArray[np.int64], int], Sums]
) -> None:
    """Add a layer, its weights with the finest scale that 16 bits and exact sums allow."""
    weights = stage.weight.detach().double().cpu().contiguous().numpy()
    n_out = stage.bias.shape[0] if stage.bias is not None else _n_out(stage)
    biases = np.zeros(n_out) if stage.bias is None else stage.bias.detach().double().cpu().numpy()
    if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
        raise NotFreezableError(f"The decoder cannot be frozen: the weights of its {stage_name(stage)} are not finite.")
    wanted = _scale(_MARGIN * largest)
    for scale in range(_scale(float(np.abs(weights).max())), -so_far.shift - 64, -1):
        in_sums = scale + so_far.shift
        out = min(wanted, in_sums)
        if np.abs(biases).max() * 2.0**in_sums >= EXACT_BELOW // 2 or in_sums - out > 50:
            continue
        whole = np.rint(np.ldexp(weights, scale)).astype(np.int16), np.rint(np.ldexp(biases, in_sums)).astype(np.int64)
        operation = make(*whole, in_sums - out)
        if operation.largest_sum() < EXACT_BELOW:
            so_far.operations.append(operation)
            so_far.shift = out
            return
    raise NotFreezableError(f"The decoder cannot be frozen: the biases of its {stage_name(stage)} are too large.")


def _n_out(stage: Any) -> int:
    return int(stage.out_features if isinstance(stage, nn.Linear) else stage.out_channels)


def _rectify(so_far: _Translation, stage: nn.ReLU, largest: float) -> None:
    so_far.operations.append(Rectify())


def _clip(so_far: _Translation, stage: nn.Hardtanh, largest: float) -> None:
    low, high = (
        round(min(max(math.ldexp(limit, so_far.shift), LOWEST), HIGHEST)) for limit in (stage.min_val, stage.max_val)
    )
    so_far.operations.append(Clip(low, high))


def _nothing(so_far: _Translation, stage: nn.Module, largest: float) -> None:
    pass


def _lookup(so_far: _Translation, stage: nn.Module, largest: float) -> None:
    # Every value that can come in, and the one beyond the last.
    x = np.arange(LOWEST, HIGHEST + 2, dtype=np.float64)
    with torch.no_grad():
        y = stage(torch.from_numpy(np.ldexp(x, -so_far.shift))).numpy()
    peak = float(np.abs(y).max())
    out = _scale(peak)
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


_TRANSLATIONS: dict[type[nn.Module], Translate] = {
    nn.Flatten: _flatten,
    images.Reshape: _reshape,
    images.FromChannelsFirst: _to_records,
    nn.Upsample: _upsample,
    pooling.Repeat: _repeat,
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed,
    nn.ReLU: _rectify,
    nn.Hardtanh: _clip,
    nn.Identity: _nothing,
    **dict.fromkeys(_activations(), _lookup),
}
