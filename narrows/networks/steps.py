"""What networks for series share: records as maps of height 1, convolutions along time, and the decoder's output.

A series of T steps and C channels is an image of 1×T pixels with C channels. A convolution along time is then one of
images with kernels of height 1, which archives compute exactly as those of images.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.networks.activations import inverse_activation
from narrows.networks.convolutions import Convolution, TransposedConvolution
from narrows.networks.images import FromChannelsFirst, Reshape, mean_by_channel
from narrows.networks.initialisation import undrawn
from narrows.networks.modules import Decoder, Sizes
from narrows.records import ImageLayout

__all__ = [
    "Patches",
    "SeriesDecoder",
    "along_time",
    "embedded_maps",
    "n_steps_after",
    "series_layout",
    "to_maps",
    "transposed_along_time",
]


def series_layout(shape: tuple[int, ...], network: str) -> ImageLayout:
    """Return the layout of series of a shape, (steps,) or (steps, channels), as images of height 1.

    Raises
    ------
    InvalidParameterError
        If records of this shape are not series; the message names the ``network``.

    Examples
    --------
    >>> series_layout((140, 3), "Temporal")
    ImageLayout(height=1, width=140, channels=3, axis='last')
    """
    if len(shape) not in {1, 2}:
        raise InvalidParameterError(
            f"The network {network} needs series: records of shape (steps,) or (steps, channels). "
            f"Got records of shape {shape}. For other records use network='dense'."
        )
    return ImageLayout(1, shape[0], shape[1] if len(shape) == 2 else 1, "last")


def to_maps(layout: ImageLayout, x: Tensor) -> Tensor:
    """Return series (n, steps) or (n, steps, channels) as maps (n, channels, 1, steps)."""
    return x.reshape(-1, 1, layout.width, layout.channels).movedim(3, 1)


def embedded_maps(layout: ImageLayout, embedding: nn.Module | None, x: Tensor) -> Tensor:
    """Return series as maps; with an embedding, the vectors of each step are its channels."""
    return to_maps(layout, x) if embedding is None else to_maps(layout, embedding(x).flatten(2))


def n_steps_after(n_steps: int, n_stages: int, stride: int) -> list[int]:
    """Return the number of steps before the first stage and after each; every stage divides them, rounded up.

    Examples
    --------
    >>> n_steps_after(140, 3, 2)
    [140, 70, 35, 18]
    """
    found = [n_steps]
    for _ in range(n_stages):
        found.append(-(-found[-1] // stride))
    return found


def along_time(n_in: int, n_out: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> nn.Module:
    """Return a convolution along time that divides the steps by ``stride``, rounded up; its weights are not drawn."""
    padding = (0, dilation * (kernel // 2))
    return undrawn(Convolution, n_in, n_out, (1, kernel), stride=(1, stride), padding=padding, dilation=(1, dilation))


def transposed_along_time(n_in: int, n_out: int, steps: int, back_to: int, *, kernel: int, stride: int) -> nn.Module:
    """Return a transposed convolution from ``steps`` steps to about ``stride`` times as many."""
    padding = kernel // 2
    extra = back_to - ((steps - 1) * stride - 2 * padding + kernel)
    return undrawn(
        TransposedConvolution,
        n_in,
        n_out,
        (1, kernel),
        stride=(1, stride),
        padding=(0, padding),
        output_padding=(0, extra),
    )


class Patches(nn.Module):
    """Maps (n, channels, 1, steps) → (n, channels · length, 1, count): patches of successive steps, channel by channel.

    Zeros before and after make the steps a multiple of the length.

    Parameters
    ----------
    n_steps : int
        Steps of a record.
    length : int
        Steps of a patch.
    """

    def __init__(self, n_steps: int, length: int) -> None:
        super().__init__()
        self.length, self.count = length, -(-n_steps // length)
        missing = self.count * length - n_steps
        self.before, self.after = -(-missing // 2), missing // 2

    def forward(self, maps: Tensor) -> Tensor:
        padded = nn.functional.pad(maps, (self.before, self.after))
        patches = padded.reshape(-1, maps.shape[1], self.count, self.length)
        return patches.movedim(3, 2).reshape(-1, maps.shape[1] * self.length, 1, self.count)

    def back(self, n_in: int, n_out: int) -> nn.Module:
        """Return the linear layer from a value for each patch to the steps, as a transposed convolution."""
        return undrawn(
            TransposedConvolution,
            n_in,
            n_out,
            (1, self.length),
            stride=(1, self.length),
            padding=(0, self.before),
            output_padding=(0, self.before - self.after),
        )


class SeriesDecoder(Decoder):
    """A decoder that outputs maps of height 1, one for each channel and parameter, and converts them to series.

    Parameters
    ----------
    layout : ImageLayout
        The layout of the records, see `series_layout`.
    sizes : Sizes
        Shapes of code and output.
    output_activation : str
        Name of the activation after the last layer.
    """

    def __init__(self, layout: ImageLayout, sizes: Sizes, output_activation: str) -> None:
        super().__init__()
        self.layout, self.output_activation = layout, output_activation
        self.to_steps = FromChannelsFirst(layout, sizes.n_parameters)
        self.to_records = Reshape(sizes.out_shape)

    def init_output_bias(self, parameters: Tensor) -> None:
        """Set the bias of each channel of the last layer from the mean of the channel's parameters."""
        assert self.last_layer is not None, "decoders of series have a last layer"
        n_parameters = self.to_steps.n_parameters
        layout = self.layout
        each = (n_parameters,) if n_parameters > 1 else ()
        steps = parameters.reshape(1, layout.width, layout.channels, *each)
        means = mean_by_channel(layout, steps, n_parameters)
        with torch.no_grad():
            self.last_layer.get_parameter("bias").copy_(inverse_activation(self.output_activation, means))
