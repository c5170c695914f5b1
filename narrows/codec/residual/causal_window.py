"""The inputs of a causal network: the pixels and channels before the predicted value, within reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["seen_at", "window"]


def window(reach: int, channels: int) -> list[list[tuple[int, int, int]]]:
    """Return for each channel the inputs of its network, as (down, right, channel) relative to the predicted pixel."""
    before = [(-down, right) for down in range(reach, 0, -1) for right in range(-reach, reach + 1)]
    before += [(0, -left) for left in range(reach, 0, -1)]
    everywhere = [(down, right, channel) for down, right in before for channel in range(channels)]
    # All channels have the same number of inputs; those of later channels at the same pixel are always 0.
    return [[*everywhere, *((0, 0, other) for other in range(channels - 1))] for _ in range(channels)]


def seen_at(grid: tuple[int, int, int], reach: int, channel: int) -> NDArray[np.int64]:
    """Return the indices of the inputs of a channel's network at each pixel: shape (pixels, n).

    The index of an input that is beyond the edge, or of a later channel, is the number of values of a record.
    """
    height, width, channels = grid
    rows, columns = np.divmod(np.arange(height * width), width)
    seen = []
    for down, right, other in window(reach, channels)[channel]:
        y, x = rows + down, columns + right
        is_there = (y >= 0) & (y < height) & (x >= 0) & (x < width) & ((down, right) != (0, 0) or other < channel)
        seen.append(np.where(is_there, (y * width + x) * channels + other, height * width * channels))
    return np.stack(seen, -1)
