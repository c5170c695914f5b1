"""Strided convolutional networks, which do most of their computation on small grids."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar

from torch import Generator, Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.networks.activations import ACTIVATIONS, activation
from narrows.networks.conditions import join
from narrows.networks.contract import Decoder, Encoder, Network, Sizes
from narrows.networks.grids import ImageDecoder, Size, convolution, grids_of, map_shape, transposed_convolution
from narrows.networks.images import Reshape, to_channels_first
from narrows.networks.initialisation import INITIALISATIONS, initialise, undrawn
from narrows.parts.options import Choice, Integer, SequenceOf, option, optional
from narrows.records import ImageLayout

__all__ = ["Strided"]


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
        return map_shape(self.code_channels, self._grids(shape)[-1], n_latent)

    def connect(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        layout = ImageLayout.of(sizes.shape)
        grids = self._grids(sizes.shape)
        encoder = _StridedEncoder(self, sizes, layout, grids[-1])
        decoder = _StridedDecoder(self, sizes, layout, grids)
        initialise(encoder, self.initialisation, generator)
        initialise(decoder, self.initialisation, generator)
        return encoder, decoder

    def _grids(self, shape: tuple[int, ...]) -> list[Size]:
        """Return height and width before the first stage and after each."""
        return grids_of(shape, len(self.channels), stride=2)


class _StridedEncoder(Encoder):
    """x (n, *shape) → h (n, *h_shape)."""

    def __init__(self, part: Strided, sizes: Sizes, layout: ImageLayout, grid: Size) -> None:
        super().__init__()
        self.layout = layout
        width = part.channels[-1]
        stages: list[nn.Module] = []
        for n_in, n_out in pairwise([layout.channels + sizes.n_condition, *part.channels]):
            stages += [convolution(n_in, n_out, part.kernel, stride=2), activation(part.activation)]
        for _ in range(part.depth):
            stages += [convolution(width, width, part.kernel), activation(part.activation)]
        if part.code_channels is None:
            n_h = math.prod(sizes.h_shape)
            stages += [nn.Flatten(), undrawn(nn.Linear, width * math.prod(grid), n_h), Reshape(sizes.h_shape)]
        else:
            stages += [convolution(width, sizes.h_shape[0], part.kernel)]
        self.layers = nn.Sequential(*stages)
        self.is_map = part.code_channels is not None

    @property
    def last_layer(self) -> nn.Module:
        return self.layers[-1 if self.is_map else -2]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layers(join(to_channels_first(self.layout, x), condition))  # type: ignore[no-any-return]


class _StridedDecoder(ImageDecoder):
    """z (n, *z_shape) → the likelihood's parameters, (n, *out_shape)."""

    def __init__(self, part: Strided, sizes: Sizes, layout: ImageLayout, grids: list[Size]) -> None:
        super().__init__(layout, sizes, part.output_activation)
        widths = [*part.channels[::-1], layout.channels * sizes.n_parameters]
        stages: list[nn.Module] = []
        if part.code_channels is None:
            start = (widths[0], *grids[-1])
            head = undrawn(nn.Linear, math.prod(sizes.z_shape) + sizes.n_condition, math.prod(start))
            stages += [nn.Flatten(), head, activation(part.activation), Reshape(start)]
        else:
            n_z = sizes.z_shape[0] + sizes.n_condition
            stages += [convolution(n_z, widths[0], part.kernel), activation(part.activation)]
        for _ in range(part.depth):
            stages += [convolution(widths[0], widths[0], part.kernel), activation(part.activation)]
        for (n_in, n_out), grid, back_to in zip(pairwise(widths), grids[:0:-1], grids[-2::-1], strict=True):
            back = transposed_convolution(n_in, n_out, grid, back_to, kernel=part.kernel)
            stages += [back, activation(part.activation)]
        stages[-1] = activation(part.output_activation)
        self.layers = nn.Sequential(*stages)

    @property
    def last_layer(self) -> nn.Module:
        return self.layers[-2]

    def as_sequence(self) -> list[nn.Module]:
        return [*self.layers, self.to_records]
