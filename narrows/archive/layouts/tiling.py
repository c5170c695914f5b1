"""Tiling: images larger than a model's records are cut into tiles, and assembled from them.

Tiles form a regular grid and may overlap. Tiles of the last row and column may extend beyond the image, and are padded
with the values of its edge. Where tiles overlap, the image is their weighted mean. The weights increase from the edges
of a tile to its centre. Integers are averaged in integer arithmetic, so the result is the same on every machine.
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
_MOST_VALUES = 1 << 28  # the largest number of values of an image
_SMALLER = 2.0**-64  # scales values so that no weighted sum overflows


@dataclass(frozen=True)
class Tiling(Layout, entry="tiling"):
    """The layout of images that are cut into tiles.

    Attributes
    ----------
    shape : tuple of int
        Shape of an image: (H, W), (H, W, channels) or (channels, H, W).
    tile : tuple of int
        Shape of a tile, which is a record. Height and width may differ from those of the image.
    overlap : int
        Number of pixels that neighbouring tiles share.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    overlap: int = 0

    @classmethod
    def of(cls, shape: tuple[int, ...], tile: tuple[int, ...], overlap: int) -> Self | None:
        """Return the tiling of images; None if they cannot be cut into tiles of this shape.

        Raises
        ------
        InvalidParameterError
            If the overlap is not an integer from 0 to half a tile.
        """
        if not _covers(shape, tile):
            return None
        most = min(tile[axis] for axis in _axes(tile)) // 2
        if isinstance(overlap, bool) or not isinstance(overlap, int) or not 0 <= overlap <= most:
            raise InvalidParameterError(
                f"The 'overlap' of tiles must be an integer from 0 to half a tile, {most}. Got {overlap!r}."
            )
        return cls(tuple(shape), tuple(tile), overlap)

    @property
    def grid(self) -> tuple[int, int]:
        """Number of rows and columns of tiles."""
        rows, columns = (
            max(math.ceil((self.shape[axis] - self.overlap) / (self.tile[axis] - self.overlap)), 1)
            for axis in _axes(self.tile)
        )
        return rows, columns

    @property
    def n_records(self) -> int:
        """Number of tiles of an image."""
        return math.prod(self.grid)

    def __str__(self) -> str:
        images, tiles = ("×".join(map(str, shape)) for shape in (self.shape, self.tile))
        return f"images of {images} in tiles of {tiles} with an overlap of {self.overlap}"

    def cut(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return the tiles (n · n_records, *tile) of images (n, *shape), in the order of their rows."""
        padding = [(0, 0)] * images.ndim
        for axis, n_tiles in zip(_axes(self.tile), self.grid, strict=True):
            covered = n_tiles * self._step(axis) + self.overlap
            padding[axis + 1] = (0, covered - self.shape[axis])
        padded = np.pad(images, padding, mode="edge")
        tiles = np.stack([padded[(slice(None), *place)] for place in self._places()], 1)
        return tiles.reshape(-1, *self.tile)

    def assemble(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return the images (n, *shape) assembled from tiles (n · n_records, *tile)."""
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
        """Return the tiling as JSON values, without the tile's shape, which is that of the records."""
        return {"image_shape": list(self.shape), "overlap": self.overlap}

    @classmethod
    def from_json(cls, values: dict[str, Any], tile: tuple[int, ...]) -> Self:
        """Return the tiling described in an archive's header, for records of shape `tile`.

        Raises
        ------
        CorruptArchiveError
            If the entry is not valid.
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
            raise CorruptArchiveError(
                f"the 'tiling' in its metadata is not valid for tiles of shape {tile}: {values!r:.80}"
            )
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
            if not np.isfinite(means).all():  # a sum may overflow although the mean is finite
                smaller = self._sums(tiles * _SMALLER, weight, np.zeros_like(means)) / weights
                np.copyto(means, smaller / _SMALLER, where=~np.isfinite(means))
        return to_dtype(means, tiles.dtype)

    def _sums(self, tiles: NDArray[Any], weight: NDArray[np.int64], sums: NDArray[Any]) -> NDArray[Any]:
        """Add weighted tiles at their places, in the order of the tiles, and return the sums."""
        for position, place in enumerate(self._places()):
            sums[(slice(None), *place)] += tiles[:, position].astype(sums.dtype) * weight
        return sums

    def _step(self, axis: int) -> int:
        return self.tile[axis] - self.overlap

    def _places(self) -> Iterator[tuple[slice, ...]]:
        """Iterate over the places of tiles in the padded image, in the order of their rows."""
        first, second = _axes(self.tile)
        rows, columns = self.grid
        for row in range(rows):
            for column in range(columns):
                place = [slice(None)] * len(self.tile)
                place[first] = slice(row * self._step(first), row * self._step(first) + self.tile[first])
                place[second] = slice(column * self._step(second), column * self._step(second) + self.tile[second])
                yield tuple(place)


def _axes(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the axes of a record that are height and width."""
    return (1, 2) if len(shape) == 3 and shape[-1] > _COLOUR_CHANNELS else (0, 1)


def _covers(shape: tuple[int, ...], tile: tuple[int, ...]) -> bool:
    """Return whether images can be cut into tiles: same channels, and height and width not less than the tile's."""
    if len(shape) != len(tile) or len(tile) not in (2, 3):
        return False
    axes = _axes(tile)
    return all(shape[axis] >= tile[axis] if axis in axes else shape[axis] == tile[axis] for axis in range(len(tile)))
