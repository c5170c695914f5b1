"""Temporal convolutional networks, for series."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

from torch import Generator, Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.networks.activations import ACTIVATIONS, activation
from narrows.networks.conditions import join
from narrows.networks.contract import Decoder, Encoder, Network, Sizes
from narrows.networks.embedding import Embedding, embedding_of, embedding_option
from narrows.networks.grids import map_shape
from narrows.networks.images import Reshape
from narrows.networks.initialisation import INITIALISATIONS, initialise, undrawn
from narrows.networks.steps import (
    SeriesDecoder,
    along_time,
    embedded_maps,
    n_steps_after,
    series_layout,
    transposed_along_time,
)
from narrows.parts.options import Choice, Integer, SequenceOf, option, optional
from narrows.records import ImageLayout

__all__ = ["Temporal"]

_KERNEL = 3  # taps of the convolutions that keep the number of steps


class Temporal(Network, name="temporal"):
    """Strided convolutions along time, dilated ones on the fewest steps, and a decoder that mirrors them.

    Each entry of ``channels`` is a convolution that divides the number of steps by ``stride`` (rounded up; the decoder
    restores the exact number). Each entry of ``dilations`` is a convolution that keeps it, whose taps are that many
    steps apart, so that few layers see a long time (Bai, Kolter and Koltun 2018). Then a dense layer outputs a code of
    ``n_latent`` numbers or, with ``code_channels``, a convolution outputs a code along time, of that many numbers for
    each of the remaining steps. The time for a record is proportional to its length.

    Examples
    --------
    A series of 140 steps becomes 4 numbers at each of 18:

    >>> Temporal(channels=(16, 32, 32), code_channels=4).code_shape((140,), None)
    (4, 1, 18)
    """

    for_series: ClassVar[bool] = True

    channels: tuple[int, ...] = option(
        SequenceOf(Integer(1)), "channels of the stages that divide the steps, from the input on", default=(32, 64)
    )
    kernel: int = option(Choice(3, 5, 7, 9), "taps of the convolutions, odd", default=5)
    stride: int = option(
        Integer(2, 9), "factor by which a stage divides the number of steps, at most the kernel", default=2
    )
    dilations: tuple[int, ...] = option(
        SequenceOf(Integer(1)),
        "distances between the taps of further convolutions of kernel 3 on the fewest steps, from the input on",
        default=(1, 2),
    )
    code_channels: int | None = option(
        optional(Integer(1)), "channels of a code along time; None: a dense code", default=None
    )
    activation: str = option(ACTIVATIONS, "activation of all but the last layers", default="silu")
    output_activation: str = option(ACTIVATIONS, "activation of the decoder's last layer", default="identity")
    initialisation: str = option(INITIALISATIONS, "initial weights; biases start at zero", default="glorot")
    embedding: int | None = embedding_option()

    def _check(self) -> None:
        super()._check()
        if self.stride > self.kernel:
            raise InvalidParameterError(
                "The 'stride' of Temporal must be at most its 'kernel', since kernels would not reach all steps. "
                f"Got stride={self.stride} and kernel={self.kernel}. Set a smaller stride or a larger kernel."
            )

    def code_shape(self, shape: tuple[int, ...], n_latent: int | None) -> tuple[int, ...]:
        if not self.channels:
            raise InvalidParameterError("The 'channels' of Temporal must have at least one entry. Got ().")
        if self.code_channels is None:
            return super().code_shape(shape, n_latent)
        return map_shape(self.code_channels, (1, self._steps(shape)[-1]), n_latent)

    def connect(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        layout = series_layout(sizes.shape, type(self).__name__)
        steps = self._steps(sizes.shape)
        embedding = embedding_of(self.embedding, sizes, type(self).__name__)
        encoder = _TemporalEncoder(self, sizes, layout, steps, embedding)
        decoder = _TemporalDecoder(self, sizes, layout, steps)
        initialise(encoder, self.initialisation, generator)
        initialise(decoder, self.initialisation, generator)
        if embedding is not None:
            embedding.draw(generator)
        return encoder, decoder

    def _steps(self, shape: tuple[int, ...]) -> list[int]:
        """Return the number of steps before the first stage and after each."""
        return n_steps_after(series_layout(shape, type(self).__name__).width, len(self.channels), self.stride)


class _TemporalEncoder(Encoder):
    """x (n, *shape) → h (n, *h_shape)."""

    def __init__(
        self, part: Temporal, sizes: Sizes, layout: ImageLayout, steps: list[int], embedding: Embedding | None
    ) -> None:
        super().__init__()
        self.embedding, channels = embedding, layout.channels * (part.embedding or 1)
        self.layout = replace(layout, channels=channels)
        width = part.channels[-1]
        stages: list[nn.Module] = []
        for n_in, n_out in pairwise([channels + sizes.n_condition, *part.channels]):
            stages += [along_time(n_in, n_out, part.kernel, stride=part.stride), activation(part.activation)]
        for dilation in part.dilations:
            stages += [along_time(width, width, _KERNEL, dilation=dilation), activation(part.activation)]
        if part.code_channels is None:
            n_h = math.prod(sizes.h_shape)
            stages += [nn.Flatten(), undrawn(nn.Linear, width * steps[-1], n_h), Reshape(sizes.h_shape)]
        else:
            stages += [along_time(width, sizes.h_shape[0], _KERNEL)]
        self.layers = nn.Sequential(*stages)
        self.is_map = part.code_channels is not None

    @property
    def last_layer(self) -> nn.Module:
        return self.layers[-1 if self.is_map else -2]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layers(join(embedded_maps(self.layout, self.embedding, x), condition))  # type: ignore[no-any-return]


class _TemporalDecoder(SeriesDecoder):
    """z (n, *z_shape) → the likelihood's parameters, (n, *out_shape)."""

    def __init__(self, part: Temporal, sizes: Sizes, layout: ImageLayout, steps: list[int]) -> None:
        super().__init__(layout, sizes, part.output_activation)
        widths = [*part.channels[::-1], layout.channels * sizes.n_parameters]
        stages: list[nn.Module] = []
        if part.code_channels is None:
            start = (widths[0], 1, steps[-1])
            head = undrawn(nn.Linear, math.prod(sizes.z_shape) + sizes.n_condition, math.prod(start))
            stages += [nn.Flatten(), head, activation(part.activation), Reshape(start)]
        else:
            n_z = sizes.z_shape[0] + sizes.n_condition
            stages += [along_time(n_z, widths[0], _KERNEL), activation(part.activation)]
        for dilation in part.dilations[::-1]:
            stages += [along_time(widths[0], widths[0], _KERNEL, dilation=dilation), activation(part.activation)]
        for (n_in, n_out), here, back_to in zip(pairwise(widths), steps[:0:-1], steps[-2::-1], strict=True):
            back = transposed_along_time(n_in, n_out, here, back_to, kernel=part.kernel, stride=part.stride)
            stages += [back, activation(part.activation)]
        stages[-1] = activation(part.output_activation)
        self.layers = nn.Sequential(*stages)

    @property
    def last_layer(self) -> nn.Module:
        return self.layers[-2]

    def as_sequence(self) -> list[nn.Module]:
        return [*self.layers, self.to_steps, self.to_records]
