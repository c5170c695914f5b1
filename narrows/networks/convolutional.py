"""Convolutional networks."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from narrows.errors import InvalidParameterError, NotDecodableError, NotFreezableError
from narrows.networks.activations import ACTIVATIONS, activation
from narrows.networks.conditions import join
from narrows.networks.contract import Decoder, Encoder, Network, Sizes, Switches
from narrows.networks.convolutions import Convolution, is_training
from narrows.networks.grids import ImageDecoder, Size, convolution, grids_of, map_shape, transposed_convolution
from narrows.networks.images import Reshape, to_channels_first
from narrows.networks.initialisation import INITIALISATIONS, initialise, undrawn
from narrows.networks.pooling import NEED_SWITCHES, MaxPool, Unpool, doubles, repeating
from narrows.parts.options import Choice, Integer, SequenceOf, option, optional
from narrows.records import ImageLayout

__all__ = ["Convolutional"]


class Convolutional(Network, name="convolutional"):
    """Convolutions that reduce the image stage by stage, and a decoder that mirrors them, for images of any size.

    A stage is a convolution, its activation, and a division of height and width by ``stride`` (rounded up; the decoder
    restores the exact size). After the last stage a dense layer maps the flattened maps to a code of ``n_latent``
    numbers. With ``code_channels`` the code is a map instead: one more stage outputs that many channels, as in
    document 4, where the code of a 28×28 image is a map of 32×7×7.

    With ``unpooling="switches"`` the decoder puts values at the positions of the record's maxima (see
    `narrows.networks.pooling`). It restores records better, but needs these positions besides the code: such a model
    can reconstruct records, but cannot decode a code alone.

    Examples
    --------
    Document 4's denoising network:

    >>> Convolutional(channels=(32,), code_channels=32, code_activation="relu").code_shape((28, 28), None)
    (32, 7, 7)
    """

    for_images: ClassVar[bool] = True

    channels: tuple[int, ...] = option(
        SequenceOf(Integer(1)), "channels of the stages, from the input to the code", default=(32, 64)
    )
    kernel: int = option(Choice(1, 3, 5, 7, 9), "height and width of the convolutions, odd", default=3)
    resampling: str = option(
        Choice("pool", "stride"), "'pool': max-pooling and unpooling; 'stride': strided and transposed", default="pool"
    )
    unpooling: str = option(
        Choice("repeat", "switches"),
        "inverse of max-pooling: repeat each maximum, or put it at its position with zeros elsewhere, "
        "which needs the record besides the code",
        default="repeat",
    )
    stride: int = option(Integer(2), "factor by which a stage divides height and width", default=2)
    activation: str = option(ACTIVATIONS, "activation of the stages", default="relu")
    code_activation: str = option(ACTIVATIONS, "activation of the encoder's output", default="identity")
    output_activation: str = option(ACTIVATIONS, "activation of the decoder's last layer", default="identity")
    code_channels: int | None = option(
        optional(Integer(1)), "channels of a code that is a map; None: a dense code", default=None
    )
    head_channels: int | None = option(
        optional(Integer(1)),
        "channels of the maps that the decoder computes from a dense code; None: those of the last stage",
        default=None,
    )
    initialisation: str = option(INITIALISATIONS, "initial weights; biases start at zero", default="glorot")

    def _check(self) -> None:
        super()._check()
        if self.unpooling == "switches" and self.resampling != "pool":
            raise InvalidParameterError(
                "The 'unpooling' of Convolutional may be 'switches' only with resampling='pool', since switches are "
                f"positions of maxima. Got resampling={self.resampling!r}. Set unpooling='repeat' or resampling='pool'."
            )
        if self.head_channels is not None and self.code_channels is not None:
            raise InvalidParameterError(
                "The 'head_channels' of Convolutional can be set only for a dense code. Got also "
                f"code_channels={self.code_channels}, with which the code is a map. Leave one of the two unset."
            )

    def code_shape(self, shape: tuple[int, ...], n_latent: int | None) -> tuple[int, ...]:
        if self.code_channels is None:
            if not self.channels:
                raise InvalidParameterError(
                    "The 'channels' of Convolutional may be empty only with 'code_channels'. Got (). "
                    "Give at least one entry, or set 'code_channels'."
                )
            return super().code_shape(shape, n_latent)
        return map_shape(self.code_channels, self._grids(shape)[-1], n_latent)

    def connect(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        layout, grids = ImageLayout.of(sizes.shape), self._grids(sizes.shape)
        encoder = _ConvolutionalEncoder(self, sizes, layout, grids)
        decoder = _ConvolutionalDecoder(self, sizes, layout, grids)
        initialise(encoder, self.initialisation, generator)
        initialise(decoder, self.initialisation, generator)
        return encoder, decoder

    def _grids(self, shape: tuple[int, ...]) -> list[Size]:
        """Return height and width before the first stage and after each."""
        return grids_of(shape, len(self.channels) + (self.code_channels is not None), self.stride)


class _Pooled(nn.Sequential):
    """A convolution, its activation, and max-pooling: (n, in, H, W) → (n, out, ⌈H / stride⌉, ⌈W / stride⌉)."""

    def forward(self, x: Tensor) -> Tensor:
        layer, act, pool = self
        assert isinstance(layer, Convolution)
        if type(act) is nn.ReLU and is_training(layer.weight):
            # relu keeps the order of values, so it may follow the pooling, which leaves fewer of them. Values and
            # gradients stay the same.
            return torch.relu_(layer.pooled(x, pool))
        pooled: Tensor = pool(act(layer(x)))
        return pooled


class _Strided(nn.Sequential):
    """A strided convolution and its activation: (n, in, H, W) → (n, out, ⌈H / stride⌉, ⌈W / stride⌉)."""

    def forward(self, x: Tensor) -> Tensor:
        layer, act = self
        return _activated(act, layer(x))


def _activated(act: nn.Module, y: Tensor) -> Tensor:
    """Return act(y) of the output y of a layer, which needs it no more; in training relu takes its memory."""
    is_free = y.requires_grad and not y._is_view()
    activated: Tensor = torch.relu_(y) if type(act) is nn.ReLU and is_free else act(y)
    return activated


class _ConvolutionalEncoder(Encoder):
    """x (n, *shape) → h (n, *h_shape)."""

    def __init__(self, part: Convolutional, sizes: Sizes, layout: ImageLayout, grids: list[Size]) -> None:
        super().__init__()
        self.layout, self.h_shape = layout, sizes.h_shape
        self.code_activation = activation(part.code_activation)
        is_map = part.code_channels is not None
        widths = [layout.channels + sizes.n_condition, *part.channels, *(sizes.h_shape[:1] if is_map else ())]
        pooled = nn.Sequential if part.unpooling == "switches" else _Pooled
        stages = []
        for position, (n_in, n_out) in enumerate(pairwise(widths), start=1):
            last_of_map = is_map and position == len(widths) - 1
            act = self.code_activation if last_of_map else activation(part.activation)
            if part.resampling == "pool":
                stages.append(pooled(convolution(n_in, n_out, part.kernel), act, MaxPool(part.stride)))
            else:
                stages.append(_Strided(convolution(n_in, n_out, part.kernel, stride=part.stride), act))
        self.stages = nn.Sequential(*stages)
        self.gives_switches = part.unpooling == "switches"
        n_flat = widths[-1] * math.prod(grids[-1])
        self.head = None if is_map else undrawn(nn.Linear, n_flat, math.prod(sizes.h_shape))

    @property
    def last_layer(self) -> nn.Module:
        if self.head is not None:
            return self.head
        last = self.stages[-1]
        assert isinstance(last, nn.Sequential)
        return last[0]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self._to_h(self.stages(join(to_channels_first(self.layout, x), condition)))

    def with_pool_indices(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Switches]:
        if not self.gives_switches:
            return self(x, condition), ()
        y, remembered = join(to_channels_first(self.layout, x), condition), []
        for layer in (layer for stage in self.stages for layer in stage.children()):
            if isinstance(layer, MaxPool):
                y, switches = layer.with_pool_indices(y)
                remembered.append(switches)
            else:
                y = layer(y)
        return self._to_h(y), tuple(remembered)

    def _to_h(self, y: Tensor) -> Tensor:
        if self.head is not None:
            y = self.code_activation(self.head(y.flatten(1)))
        return y.reshape(-1, *self.h_shape)


class _ConvolutionalDecoder(ImageDecoder):
    """z (n, *z_shape) → the likelihood's parameters, (n, *out_shape)."""

    def __init__(self, part: Convolutional, sizes: Sizes, layout: ImageLayout, grids: list[Size]) -> None:
        super().__init__(layout, sizes, part.output_activation)
        self.needs_switches = part.unpooling == "switches"
        is_map = part.code_channels is not None
        # From the code to the output: a map is decoded by as many stages as encoded it, including that of the code.
        widths = [*sizes.z_shape[:1], *part.channels[::-1]] if is_map else list(part.channels[::-1])
        n_code = widths[0] if is_map or part.head_channels is None else part.head_channels
        start = (n_code, *grids[-1])
        if is_map and self.needs_switches:
            widths[0] = sizes.h_shape[0]  # the innermost switches are those of h, which may have more channels than z
        self.flatten, self.to_maps = nn.Flatten(), Reshape(start)
        n_z = math.prod(sizes.z_shape) + sizes.n_condition
        self.head = None if is_map else undrawn(nn.Linear, n_z, math.prod(start))
        self.head_activation = activation(part.activation)
        stages: list[nn.Module] = []
        for position, (grid, back_to) in enumerate(zip(grids[:0:-1], grids[-2::-1], strict=True)):
            n_first = n_code + (sizes.n_condition if is_map else 0)
            n_in, n_out = widths[position - 1] if position else n_first, widths[position]
            if part.resampling == "pool":
                back = (Unpool if self.needs_switches else repeating)(part.stride, back_to)
                stages += [convolution(n_in, n_out, part.kernel), activation(part.activation), back]
            else:
                back = transposed_convolution(n_in, n_out, grid, back_to, kernel=part.kernel, stride=part.stride)
                stages += [back, activation(part.activation)]
        self.stages = nn.Sequential(*stages)
        self.last = convolution(widths[-1], layout.channels * sizes.n_parameters, part.kernel)
        self.output = activation(part.output_activation)

    @property
    def last_layer(self) -> nn.Module:
        return self.last

    def forward(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        if self.needs_switches and not switches:
            raise NotDecodableError(NEED_SWITCHES)
        y, outwards = join(z, condition), iter(reversed(switches))
        is_repeated = False  # by the next convolution
        stages = self._stages()
        for stage, later in zip(stages, [*stages[1:], None], strict=True):
            if isinstance(stage, Unpool):
                y = stage(y, next(outwards))
            elif isinstance(stage, Convolution) and is_repeated:
                y, is_repeated = stage.of_repeated(y), False
            elif isinstance(later, Convolution) and doubles(stage, y) and later.can_be_of_repeated(y):
                is_repeated = True
            else:
                y = _activated(stage, y)
        return y

    def as_sequence(self) -> list[nn.Module]:
        if self.needs_switches:
            raise NotFreezableError(f"The decoder cannot be frozen. {NEED_SWITCHES}")
        return self._stages()

    def _stages(self) -> list[nn.Module]:
        head = [] if self.head is None else [self.flatten, self.head, self.head_activation, self.to_maps]
        return [*head, *self.stages, self.last, self.output, self.to_records]
