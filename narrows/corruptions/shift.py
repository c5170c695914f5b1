"""Corruption of images: they are moved, and values are hidden."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor

from narrows.corruptions.contract import Corruption
from narrows.parts.options import Integer, Real, option
from narrows.records import ImageLayout

__all__ = ["Shift"]


class Shift(Corruption, name="shift"):
    """Move each image by a whole number of pixels, and then set values to zero with probability ``level``.

    Both distances are drawn uniformly from −``pixels`` to ``pixels``. The pixels of the edge are repeated into the rows
    and columns that become free. A classifier that is consistent under such moves needs fewer labels (Sohn et al. 2020,
    "FixMatch").

    Examples
    --------
    >>> Shift(pixels=1)
    Shift(pixels=1)
    """

    for_images: ClassVar[bool] = True

    pixels: int = option(Integer(0), "largest distance, in each direction", default=2)
    level: float = option(Real(0, 1), "probability that a value is set to zero after the move", default=0.0)

    def corrupt(self, x: Tensor, generator: Generator) -> Tensor:
        layout, n = ImageLayout.of(tuple(x.shape[1:])), len(x)
        size = (n, 1)
        moves = [
            torch.randint(-self.pixels, self.pixels + 1, size, generator=generator, device=x.device) for _ in range(2)
        ]
        rows, columns = (
            (torch.arange(length, device=x.device) + move).clamp_(0, length - 1)
            for length, move in zip((layout.height, layout.width), moves, strict=True)
        )
        places = (rows[:, :, None] * layout.width + columns[:, None, :]).flatten(1)
        if layout.axis == "last":
            flat = x.flatten(1, 2)
            moved = flat.gather(1, places[:, :, None].expand_as(flat))
        elif layout.axis == "first":
            flat = x.flatten(2)
            moved = flat.gather(2, places[:, None].expand_as(flat))
        else:
            moved = x.flatten(1).gather(1, places)
        moved = moved.reshape(x.shape)
        if self.level == 0:
            return moved
        uniform = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return moved * (uniform >= self.level)
