"""What networks for images share: grids, convolutions between them, codes that are maps, and the decoder's output."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.networks.activations import inverse_activation
from narrows.networks.convolutions import Convolution, TransposedConvolution
from narrows.networks.images import FromChannelsFirst, mean_by_channel
from narrows.networks.initialisation import undrawn
from narrows.networks.modules import Decoder, Sizes
from narrows.records import ImageLayout

__all__ = ["ImageDecoder", "Size", "convolution", "grids_of", "map_shape", "transposed_convolution"]

Size = tuple[int, int]
"""Height and width."""


def grids_of(shape: tuple[int, ...], n_stages: int, stride: int) -> list[Size]:
    """Return height and width of an image record before the first stage and after each; every stage divides them.

    Examples
    --------
    >>> grids_of((28, 25, 3), 2, 2)
    [(28, 25), (14, 13), (7, 7)]
    """
    layout = ImageLayout.of(shape)
    grids = [(layout.height, layout.width)]
    for _ in range(n_stages):
        height, width = grids[-1]
        grids.append((-(-height // stride), -(-width // stride)))
    return grids


def map_shape(n_channels: int, grid: Size, n_latent: int | None) -> tuple[int, ...]:
    """Return the shape of a code that is a map of ``n_channels`` on a grid.

    Raises
    ------
    InvalidParameterError
        If the map does not have ``n_latent`` numbers.
    """
    shape = (n_channels, *grid)
    if n_latent is not None and n_latent != math.prod(shape):
        raise InvalidParameterError(
            f"The code of this network is a map of {'×'.join(map(str, shape))} = {math.prod(shape)} numbers. "
            f"Got n_latent={n_latent}. Leave n_latent unset, or change 'code_channels'."
        )
    return shape


def convolution(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Module:
    """Return a convolution that divides height and width by ``stride``, rounded up; its weights are not drawn."""
    return undrawn(Convolution, n_in, n_out, kernel, stride=stride, padding=kernel // 2)


def transposed_convolution(
    n_in: int, n_out: int, grid: Size, back_to: Size, *, kernel: int, stride: int = 2
) -> nn.Module:
    """Return a transposed convolution between two grids, the second about ``stride`` times as large."""
    padding = kernel // 2
    reached = [(size - 1) * stride - 2 * padding + kernel for size in grid]
    extra = tuple(size - at for size, at in zip(back_to, reached, strict=True))
    return undrawn(TransposedConvolution, n_in, n_out, kernel, stride=stride, padding=padding, output_padding=extra)


class ImageDecoder(Decoder):
    """A decoder that outputs maps, one for each channel and parameter, and converts them to records.

    Parameters
    ----------
    layout : ImageLayout
        The layout of the records.
    sizes : Sizes
        Shapes of code and output.
    output_activation : str
        Name of the activation after the last layer.
    """

    def __init__(self, layout: ImageLayout, sizes: Sizes, output_activation: str) -> None:
        super().__init__()
        self.layout, self.output_activation = layout, output_activation
        self.to_records = FromChannelsFirst(layout, sizes.n_parameters)

    def init_output_bias(self, parameters: Tensor) -> None:
        """Set the bias of each channel of the last layer from the mean of the channel's parameters."""
        assert self.last_layer is not None, "decoders of images have a last layer"
        means = mean_by_channel(self.layout, parameters, self.to_records.n_parameters)
        with torch.no_grad():
            self.last_layer.get_parameter("bias").copy_(inverse_activation(self.output_activation, means))
