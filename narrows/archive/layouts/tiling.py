"""Images larger than a model's records: cut into tiles, and put together again.

Tiles stand on a grid and may overlap; the last row and column reach beyond the image, whose edge is repeated there.
Where tiles overlap, their values are averaged with weights that rise from the edge of a tile inwards, in whole numbers
for whole numbers, so that the same image comes back everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.archive.layouts.contract import Layout
from narrows.codec.dequantise import to_dtype
from narrows.errors import CorruptArchiveError, InvalidParameterError

__all__ = ["Tiling"]

_COLOUR_CHANNELS = 4
_MOST_VALUES = 1 << 28  # of an image
_SMALLER = 2.0**-64  # no sum of values times this overflows, whatever the weights


@dataclass(frozen=True)
class Tiling(Layout, entry="tiling"):
    """How images of one shape are cut into tiles of another.

    Attributes
    ----------
    shape : tuple of int
        Shape of an image: (H, W), (H, W, channels) or (channels, H, W).
    tile : tuple of int
        Shape of a tile, a record: the same but for height and width.
    overlap : int
        Pixels that neighbouring tiles share.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    overlap: int = 0

    @classmethod
    def of(cls, shape: tuple[int, ...], tile: tuple[int, ...], overlap: int) -> Self | None:
        """Return the tiling of images, None if tiles of this shape cannot cover them.

        Raises
        ------
        InvalidParameterError
            If the overlap is more than half a tile.
        """
        if not _covers(shape, tile):
            return None
        most = min(tile[axis] for axis in _axes(tile)) // 2
        if isinstance(overlap, bool) or not isinstance(overlap, int) or not 0 <= overlap <= most:
            raise InvalidParameterError(
                f"The 'overlap' of tiles must be a whole number from 0 to half a tile, {most}. Got {overlap!r}."
            )
        return cls(tuple(shape), tuple(tile), overlap)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        rows, columns = (
            max(math.ceil((self.shape[axis] - self.overlap) / (self.tile[axis] - self.overlap)), 1)
            for axis in _axes(self.tile)
        )
        return rows, columns

    @property
    def n_records(self) -> int:
        """Tiles of an image."""
        return math.prod(self.grid)

    def __str__(self) -> str:
        images, tiles = ("×".join(map(str, shape)) for shape in (self.shape, self.tile))
        return f"images of {images} in tiles of {tiles} with an overlap of {self.overlap}"

    def cut(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return the tiles (n · n_records, *tile) of images (n, *shape), row by row."""
        padding = [(0, 0)] * images.ndim
        for axis, n_tiles in zip(_axes(self.tile), self.grid, strict=True):
            covered = n_tiles * self._step(axis) + self.overlap
            padding[axis + 1] = (0, covered - self.shape[axis])
        padded = np.pad(images, padding, mode="edge")
        tiles = np.stack([padded[(slice(None), *place)] for place in self._places()], 1)
        return tiles.reshape(-1, *self.tile)

    def assemble(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return the images (n, *shape) of tiles (n · n_records, *tile)."""
        tiles = tiles.reshape(-1, self.n_records, *self.tile)
        covered = list(self.shape)
        for axis, n_tiles in zip(_axes(self.tile), self.grid, strict=True):
            covered[axis] = n_tiles * self._step(axis) + self.overlap
        inside = tuple(slice(0, size) for size in self.shape)
        if not self.overlap:
            images = np.empty((len(tiles), *covered), tiles.dtype)
            for position, place in enumerate(self._places()):
                images[(slice(None), *place)] = tiles[:, position]
            return images[(slice(None), *inside)]
        return self._blend(tiles, covered)[(slice(None), *inside)]

    def to_json(self) -> dict[str, Any]:
        """Return the tiling as JSON values."""
        return {"image_shape": list(self.shape), "overlap": self.overlap}

    @classmethod
    def from_json(cls, values: dict[str, Any], tile: tuple[int, ...]) -> Self:
        """Return the tiling in an archive's header, of records of shape ``tile``.

        Raises
        ------
        CorruptArchiveError
            If it cannot be.
        """
        shape, overlap = values.get("image_shape"), values.get("overlap")
        is_shape = (
            isinstance(shape, list)
            and len(shape) == len(tile)
            and all(type(size) is int and size >= 1 for size in shape)
            and math.prod(shape) <= _MOST_VALUES
        )
        try:
            tiling = cls.of(tuple(shape), tile, overlap) if is_shape and shape is not None else None  # type: ignore[arg-type]
        except InvalidParameterError:
            tiling = None
        if tiling is None:
            raise CorruptArchiveError(f"the 'tiling' in its metadata cannot be {values!r:.80}")
        return tiling

    def _blend(self, tiles: NDArray[Any], covered: list[int]) -> NDArray[Any]:
        is_wide = tiles.dtype.kind == "f" or tiles.dtype.itemsize > 4  # 64 bits times a weight would overflow
        weight = np.ones(self.tile, np.int64)
        for axis in _axes(self.tile):
            at = np.arange(self.tile[axis])
            ramp = np.minimum(np.minimum(at, at[::-1]) + 1, self.overlap)
            weight *= ramp.reshape([-1 if other == axis else 1 for other in range(len(self.tile))])
        weights = np.zeros(covered, np.int64)
        for place in self._places():
            weights[place] += weight
        if not is_wide:
            sums = self._sums(tiles, weight, np.zeros((len(tiles), *covered), np.int64))
            return ((2 * sums + weights) // (2 * weights)).astype(tiles.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            means = self._sums(tiles, weight, np.zeros((len(tiles), *covered))) / weights
            if not np.isfinite(
                means
            ).all():  # near the end of float64's range a sum may be beyond it, though no mean is
                smaller = self._sums(tiles * _SMALLER, weight, np.zeros_like(means)) / weights
                np.copyto(means, smaller / _SMALLER, where=~np.isfinite(means))
        return to_dtype(means, tiles.dtype)

    def _sums(self, tiles: NDArray[Any], weight: NDArray[np.int64], sums: NDArray[Any]) -> NDArray[Any]:
        """Return zeros to which tiles times their weights were added where they lie, in the order of the tiles."""
        for position, place in enumerate(self._places()):
            sums[(slice(None), *place)] += tiles[:, position].astype(sums.dtype) * weight
        return sums

    def _step(self, axis: int) -> int:
        return self.tile[axis] - self.overlap

    def _places(self) -> Iterator[tuple[slice, ...]]:
        """Go through where each tile lies in the covered area, row by row."""
        first, second = _axes(self.tile)
        rows, columns = self.grid
        for row in range(rows):
            for column in range(columns):
                place = [slice(None)] * len(self.tile)
                place[first] = slice(row * self._step(first), row * self._step(first) + self.tile[first])
                place[second] = slice(column * self._step(second), column * self._step(second) + self.tile[second])
                yield tuple(place)


def _axes(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return which axes of a record are height and width."""
    return (1, 2) if len(shape) == 3 and shape[-1] > _COLOUR_CHANNELS else (0, 1)


def _covers(shape: tuple[int, ...], tile: tuple[int, ...]) -> bool:
    """Return whether images of a shape can be cut into tiles: as many channels, and no smaller in both directions."""
    if len(shape) != len(tile) or len(tile) not in (2, 3):
        return False
    axes = _axes(tile)
    return all(shape[axis] >= tile[axis] if axis in axes else shape[axis] == tile[axis] for axis in range(len(tile)))
