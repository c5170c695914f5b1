"""Strided convolutional networks, which do most of their computation on small grids."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.networks.activations import ACTIVATIONS, activation, inverse_activation
from narrows.networks.conditions import join
from narrows.networks.contract import Decoder, Encoder, Network, Sizes
from narrows.networks.images import FromChannelsFirst, Reshape, mean_by_channel, to_channels_first
from narrows.networks.initialisation import INITIALISATIONS, initialise, undrawn
from narrows.parts.options import Choice, Integer, SequenceOf, option, optional
from narrows.records import ImageLayout

__all__ = ["Strided"]

Size = tuple[int, int]


class Strided(Network, name="strided"):
    """Strided convolutions down to a small grid, further convolutions on it, and transposed ones back.

    Each entry of ``channels`` is a convolution that halves height and width (odd sizes are rounded up); ``depth`` more
    convolutions keep the number of channels and the grid. Then a dense layer outputs a code of ``n_latent`` numbers or,
    with ``code_channels``, a convolution outputs a map of that many channels, in which every number describes one part
    of the image. The decoder mirrors the encoder; its last layer is a transposed convolution too, so that only the
    output has full size. Such networks are used in learned image compression (Ballé, Laparra and Simoncelli 2017).

    Examples
    --------
    A 28×28 image becomes 8 maps of 7×7:

    >>> Strided(code_channels=8).code_shape((28, 28), None)
    (8, 7, 7)
    """

    for_images: ClassVar[bool] = True

    channels: tuple[int, ...] = option(
        SequenceOf(Integer(1)), "channels of the stages that halve the image, from the input on", default=(32, 64)
    )
    depth: int = option(Integer(0), "further convolutions on the smallest grid, in encoder and decoder", default=1)
    code_channels: int | None = option(
        optional(Integer(1)), "channels of a code that is a map; None: a dense code", default=None
    )
    kernel: int = option(Choice(3, 5), "height and width of the convolutions", default=3)
    activation: str = option(ACTIVATIONS, "activation of all but the last layers", default="silu")
    output_activation: str = option(ACTIVATIONS, "activation of the decoder's last layer", default="identity")
    initialisation: str = option(INITIALISATIONS, "initial weights; biases start at zero", default="glorot")

    def code_shape(self, shape: tuple[int, ...], n_latent: int | None) -> tuple[int, ...]:
        if not self.channels:
            raise InvalidParameterError("The 'channels' of Strided must have at least one entry. Got ().")
        if self.code_channels is None:
            return super().code_shape(shape, n_latent)
        natural = (self.code_channels, *self._grids(ImageLayout.of(shape))[-1])
        if n_latent is not None and n_latent != math.prod(natural):
            raise InvalidParameterError(
                f"The code of this network is a map of {'×'.join(map(str, natural))} = {math.prod(natural)} numbers. "
                f"Got n_latent={n_latent}. Leave n_latent unset, or change 'code_channels'."
            )
        return natural

    def connect(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        layout = ImageLayout.of(sizes.shape)
        grids = self._grids(layout)
        encoder = _StridedEncoder(self, sizes, layout, grids[-1])
        decoder = _StridedDecoder(self, sizes, layout, grids)
        initialise(encoder, self.initialisation, generator)
        initialise(decoder, self.initialisation, generator)
        return encoder, decoder

    def _grids(self, layout: ImageLayout) -> list[Size]:
        """Return height and width before the first stage and after each."""
        grids = [(layout.height, layout.width)]
        for _ in self.channels:
            height, width = grids[-1]
            grids.append((-(-height // 2), -(-width // 2)))
        return grids


def _convolution(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Module:
    return undrawn(nn.Conv2d, n_in, n_out, kernel, stride=stride, padding=kernel // 2)


def _transposed(n_in: int, n_out: int, kernel: int, grid: Size, back_to: Size) -> nn.Module:
    """Return a transposed convolution between two given grids; the output is about twice as large."""
    padding = kernel // 2
    reached = [(size - 1) * 2 - 2 * padding + kernel for size in grid]
    extra = tuple(size - at for size, at in zip(back_to, reached, strict=True))
    return undrawn(nn.ConvTranspose2d, n_in, n_out, kernel, stride=2, padding=padding, output_padding=extra)


class _StridedEncoder(Encoder):
    """x (n, *shape) → h (n, *h_shape)."""

    def __init__(self, part: Strided, sizes: Sizes, layout: ImageLayout, grid: Size) -> None:
        super().__init__()
        self.layout = layout
        width = part.channels[-1]
        stages: list[nn.Module] = []
        for n_in, n_out in pairwise([layout.channels + sizes.n_condition, *part.channels]):
            stages += [_convolution(n_in, n_out, part.kernel, stride=2), activation(part.activation)]
        for _ in range(part.depth):
            stages += [_convolution(width, width, part.kernel), activation(part.activation)]
        if part.code_channels is None:
            n_h = math.prod(sizes.h_shape)
            stages += [nn.Flatten(), undrawn(nn.Linear, width * math.prod(grid), n_h), Reshape(sizes.h_shape)]
        else:
            stages += [_convolution(width, sizes.h_shape[0], part.kernel)]
        self.layers = nn.Sequential(*stages)
        self.is_map = part.code_channels is not None

    @property
    def last_layer(self) -> nn.Module:
        return self.layers[-1 if self.is_map else -2]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layers(join(to_channels_first(self.layout, x), condition))  # type: ignore[no-any-return]


class _StridedDecoder(Decoder):
    """z (n, *z_shape) → the likelihood's parameters, (n, *out_shape)."""

    def __init__(self, part: Strided, sizes: Sizes, layout: ImageLayout, grids: list[Size]) -> None:
        super().__init__()
        self.layout = layout
        widths = [*part.channels[::-1], layout.channels * sizes.n_parameters]
        stages: list[nn.Module] = []
        if part.code_channels is None:
            start = (widths[0], *grids[-1])
            head = undrawn(nn.Linear, math.prod(sizes.z_shape) + sizes.n_condition, math.prod(start))
            stages += [nn.Flatten(), head, activation(part.activation), Reshape(start)]
        else:
            n_z = sizes.z_shape[0] + sizes.n_condition
            stages += [_convolution(n_z, widths[0], part.kernel), activation(part.activation)]
        for _ in range(part.depth):
            stages += [_convolution(widths[0], widths[0], part.kernel), activation(part.activation)]
        for (n_in, n_out), grid, back_to in zip(pairwise(widths), grids[:0:-1], grids[-2::-1], strict=True):
            stages += [_transposed(n_in, n_out, part.kernel, grid, back_to), activation(part.activation)]
        stages[-1] = activation(part.output_activation)
        self.layers = nn.Sequential(*stages)
        self.output_activation = part.output_activation
        self.to_records = FromChannelsFirst(layout, sizes.n_parameters)

    @property
    def last_layer(self) -> nn.Module:
        return self.layers[-2]

    def init_output_bias(self, parameters: Tensor) -> None:
        means = mean_by_channel(self.layout, parameters, self.to_records.n_parameters)
        with torch.no_grad():
            self.layers[-2].get_parameter("bias").copy_(inverse_activation(self.output_activation, means))

    def as_sequence(self) -> list[nn.Module]:
        return [*self.layers, self.to_records]
