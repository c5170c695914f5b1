"""The layout of image records: (H, W), (H, W, channels) or (channels, H, W)."""

from __future__ import annotations

from dataclasses import dataclass

from narrows.errors import InvalidParameterError

__all__ = ["ImageLayout"]

_COLOUR_CHANNELS = (1, 2, 3, 4)


@dataclass(frozen=True)
class ImageLayout:
    """Size of an image, and the position of its channels.

    Attributes
    ----------
    height, width, channels : int
        Size of one image.
    axis : {"none", "last", "first"}
        Position of the channel axis in a record.
    """

    height: int
    width: int
    channels: int
    axis: str

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> ImageLayout:
        """Return the layout for a record's shape: of three axes, the last is channels if at most 4, else the first.

        Raises
        ------
        InvalidParameterError
            If records of this shape are not images.
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
