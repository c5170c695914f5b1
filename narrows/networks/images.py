"""How a record is laid out as an image: (H, W), (H, W, channels) or (channels, H, W)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from narrows.errors import InvalidParameterError

__all__ = ["FromChannelsFirst", "ImageLayout", "Reshape"]

_COLOUR_CHANNELS = (1, 2, 3, 4)


@dataclass(frozen=True)
class ImageLayout:
    """Where the channels of image records are.

    Attributes
    ----------
    height, width, channels : int
        Size of one image.
    axis : {"none", "last", "first"}
        Where the channels stand in a record.
    """

    height: int
    width: int
    channels: int
    axis: str

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> ImageLayout:
        """Read the layout off a record's shape: of three dimensions, the last is channels if at most 4, else the first.

        Raises
        ------
        InvalidParameterError
            If records of this shape are no images.
        """
        if len(shape) == 2:
            return cls(shape[0], shape[1], 1, "none")
        if len(shape) == 3 and shape[-1] in _COLOUR_CHANNELS:
            return cls(shape[0], shape[1], shape[2], "last")
        if len(shape) == 3:
            return cls(shape[1], shape[2], shape[0], "first")
        raise InvalidParameterError(
            "A convolutional network needs images: records of shape (H, W), (H, W, channels) or (channels, H, W). "
            f"Got records of shape {shape}. For other records use network='dense'."
        )

    def to_channels_first(self, x: Tensor) -> Tensor:
        """Return records (n, *shape) as (n, channels, H, W)."""
        if self.axis == "none":
            return x.unsqueeze(1)
        return x.movedim(-1, 1) if self.axis == "last" else x

    def from_channels_first(self, y: Tensor, n_parameters: int = 1) -> Tensor:
        """Return (n, channels · n_parameters, H, W) as (n, *shape), with n_parameters last if there are several."""
        if n_parameters > 1:
            y = y.reshape(len(y), self.channels, n_parameters, *y.shape[2:]).movedim(2, -1)
        if self.axis == "none":
            return y.squeeze(1)
        return y.movedim(1, 3) if self.axis == "last" else y


class FromChannelsFirst(nn.Module):
    """`ImageLayout.from_channels_first` as a module."""

    def __init__(self, layout: ImageLayout, n_parameters: int = 1) -> None:
        super().__init__()
        self.layout, self.n_parameters = layout, n_parameters

    def forward(self, y: Tensor) -> Tensor:
        return self.layout.from_channels_first(y, self.n_parameters)


class Reshape(nn.Module):
    """Records (n, ...) as records (n, *shape)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, y: Tensor) -> Tensor:
        return y.reshape(-1, *self.shape)
