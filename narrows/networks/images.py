"""Converts records to images (n, channels, H, W), the input of convolutions, and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from narrows.records import ImageLayout

__all__ = ["FromChannelsFirst", "Reshape", "from_channels_first", "mean_by_channel", "to_channels_first"]


def to_channels_first(layout: ImageLayout, x: Tensor) -> Tensor:
    """Return records (n, *shape) as (n, channels, H, W)."""
    if layout.axis == "none":
        return x.unsqueeze(1)
    return x.movedim(3, 1) if layout.axis == "last" else x  # counted from the front, as the export to ONNX needs


def from_channels_first(layout: ImageLayout, y: Tensor, n_parameters: int = 1) -> Tensor:
    """Return (n, channels · n_parameters, H, W) as (n, *shape), with n_parameters last if there are several."""
    if n_parameters > 1:
        y = torch.unflatten(y, 1, (layout.channels, n_parameters)).movedim(2, 4)
    if layout.axis == "none":
        return y.squeeze(1)
    return y.movedim(1, 3) if layout.axis == "last" else y


def mean_by_channel(layout: ImageLayout, parameters: Tensor, n_parameters: int) -> Tensor:
    """Return the mean over all pixels of the parameters of one record, (channels · n_parameters,)."""
    if n_parameters == 1:
        return to_channels_first(layout, parameters.unsqueeze(0)).mean((0, 2, 3))
    each = to_channels_first(layout, parameters.movedim(-1, 0))  # (n_parameters, channels, H, W)
    return each.mean((2, 3)).T.flatten()


class FromChannelsFirst(nn.Module):
    """`from_channels_first` as a module."""

    def __init__(self, layout: ImageLayout, n_parameters: int = 1) -> None:
        super().__init__()
        self.layout, self.n_parameters = layout, n_parameters

    def forward(self, y: Tensor) -> Tensor:
        return from_channels_first(self.layout, y, self.n_parameters)


class Reshape(nn.Module):
    """Records (n, ...) as records (n, *shape)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, y: Tensor) -> Tensor:
        return y.reshape(-1, *self.shape)
