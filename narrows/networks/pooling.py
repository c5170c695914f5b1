"""Max-pooling and its inverses: unpooling with switches, and repeating without.

Windows of stride × stride values do not overlap. Those at the lower and right edges may be smaller, so that H × W
values become ⌈H / stride⌉ × ⌈W / stride⌉::

    pooling      y[i, j] = max of x[r, s] over the window of (i, j): ⌊r / stride⌋ = i, ⌊s / stride⌋ = j
                 switch[i, j] = r W + s, the position of that maximum; of equal ones the first, row by row
    unpooling    x_hat[r, s] = y[i, j] where r W + s = switch[i, j], 0 elsewhere
    repeating    x_hat[r, s] = y[⌊r / stride⌋, ⌊s / stride⌋]

Unpooling restores the positions, which pooling discards; repeating needs the maxima alone. Maps are
(n, channels, H, W), and each channel of each record has its own switches. Zeiler and Fergus (2014, section 2.1)
visualise networks with unpooling, Noh, Hong and Han (2015, section 3.2.1) train with it.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["NEED_SWITCHES", "MaxPool", "Repeat", "Unpool", "doubles", "repeating"]

Size = tuple[int, int]

NEED_SWITCHES = (
    "The model's unpooling needs the switches of the records' pooling, so its code alone cannot be decoded. "
    "Use reconstruct, or train with network__unpooling='repeat'."
)
"""Why a decoder that unpools cannot decode codes or archives."""


class MaxPool(nn.Module):
    """The maximum of every window: (n, channels, H, W) → (n, channels, ⌈H / stride⌉, ⌈W / stride⌉).

    Parameters
    ----------
    stride : int
        Height and width of a window, at least 1.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(x, self.stride, ceil_mode=True)

    def with_pool_indices(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maxima and their switches, both (n, channels, ⌈H / stride⌉, ⌈W / stride⌉); switches are int64."""
        return functional.max_pool2d(x, self.stride, ceil_mode=True, return_indices=True)


class Unpool(nn.Module):
    """Puts values at the positions of the maxima and zeros elsewhere: (n, channels, h, w) → (n, channels, H, W).

    Parameters
    ----------
    stride : int
        Height and width of a window.
    size : (int, int)
        H and W before the pooling.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[[1.0, 3.0, 5.0], [4.0, 2.0, 0.0]]]])
    >>> values, switches = MaxPool(2).with_pool_indices(x)
    >>> values, switches
    (tensor([[[[4., 5.]]]]), tensor([[[[3, 2]]]]))
    >>> Unpool(2, (2, 3))(values, switches)
    tensor([[[[0., 0., 5.],
              [4., 0., 0.]]]])
    """

    def __init__(self, stride: int, size: Size) -> None:
        super().__init__()
        self.stride, self.size = stride, size

    def forward(self, y: Tensor, switches: Tensor) -> Tensor:
        return functional.max_unpool2d(y, switches, (self.stride, self.stride), output_size=self.size)


class Repeat(nn.Module):
    """Repeats each value over its window: (n, channels, ⌈H / stride⌉, ⌈W / stride⌉) → (n, channels, H, W).

    Parameters
    ----------
    stride : int
        Height and width of a window.
    size : (int, int)
        H and W.
    """

    def __init__(self, stride: int, size: Size) -> None:
        super().__init__()
        self.stride, self.size = stride, size

    def forward(self, y: Tensor) -> Tensor:
        height, width = self.size
        rows, columns = min(self.stride, height), min(self.stride, width)  # if a window is larger than the map
        return y.repeat_interleave(rows, 2).repeat_interleave(columns, 3)[..., :height, :width]


def repeating(stride: int, size: Size) -> nn.Module:
    """Return the fastest module that computes the same as `Repeat`.

    PyTorch's nearest upsampling copies row ⌊r h / H⌋ to row r. For windows of 2 that is the right row, ⌊r / 2⌋, also
    if H is odd. For wider windows it can be wrong: from 3 rows to 7, it copies the second row to rows 3 and 4 only,
    and the third to row 5, the last of the second window.
    """
    return nn.Upsample(size=size, mode="nearest") if stride == 2 else Repeat(stride, size)


def doubles(module: nn.Module | None, y: Tensor) -> bool:
    """Return whether a module repeats each value of y (n, channels, h, w) in a whole window of 2×2."""
    if not (isinstance(module, nn.Upsample) and module.mode == "nearest" and y.ndim == 4):
        return False
    return module.size == (2 * y.shape[2], 2 * y.shape[3])
