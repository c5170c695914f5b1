"""Many small images in one array, like `tile_raster_images` of the Theano tutorials."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import DataError, InvalidParameterError
from narrows.pictures.records import as_records, check_count

__all__ = ["tile_raster"]


def tile_raster(
    images: ArrayLike, *, tile: tuple[int, int], spacing: int = 1, scale_each: bool = True, fill: float = 0.0
) -> NDArray[np.float64]:
    r"""Lay images out in a grid, from left to right and from top to bottom.

    Image :math:`i` starts at row :math:`(H + s) \lfloor i / c \rfloor` and column :math:`(W + s) (i \bmod c)`, where
    :math:`s` is the spacing and :math:`c` the number of columns. There is no spacing around the grid, only within.

    Parameters
    ----------
    images : array-like of shape (n, H, W), (n, H, W, 3) or (n, 3, H, W)
        Real, finite numbers.
    tile : (int, int)
        Rows and columns of the grid. Cells without an image contain `fill`.
    spacing : int
        Pixels between neighbouring images.
    scale_each : bool
        Scale every image separately to [0, 1], from its smallest to its largest value over all colours together. A
        constant image becomes 0.5. If False, the values are not changed.
    fill : float
        The value of the spacing and of empty cells.

    Returns
    -------
    float64 array of shape (rows·(H + spacing) − spacing, columns·(W + spacing) − spacing), + (3,) for colour

    Raises
    ------
    InvalidParameterError
        The tile has fewer cells than there are images, or a size is negative or not a whole number.
    DataError
        The images have another shape, or values that are not finite real numbers.

    Notes
    -----
    From ``utils.tile_raster_images`` of the Deep Learning Tutorials 0.1 (Theano). It drops images that do not fit,
    scales the three colours separately, adds 1e-8 to every range, and makes constant images black.

    Examples
    --------
    >>> tile_raster([[[0, 5]], [[2, 1]], [[7, 7]]], tile=(2, 2))
    array([[0. , 1. , 0. , 1. , 0. ],
           [0. , 0. , 0. , 0. , 0. ],
           [0.5, 0.5, 0. , 0. , 0. ]])
    """
    x = as_records("images", images)
    if x.ndim == 2 or x.shape[3:] == (4,):
        raise DataError(f"tile_raster takes images (n, H, W) or (n, H, W, 3). Got shape {x.shape}.")
    n_rows, n_columns = _check_tile(tile)
    check_count("spacing", "tile_raster", spacing, least=0)
    if n_rows * n_columns < len(x):
        raise InvalidParameterError(
            f"The 'tile' of tile_raster must hold all {len(x)} images. "
            f"Got {n_rows} × {n_columns} = {n_rows * n_columns} cells. Give more rows or columns."
        )

    values = _scale_each(x) if scale_each else x.astype(np.float64)
    height, width = x.shape[1:3]
    cells = np.full((n_rows * n_columns, height + spacing, width + spacing, *x.shape[3:]), fill, dtype=np.float64)
    cells[: len(x), :height, :width] = values
    grid = cells.reshape(n_rows, n_columns, *cells.shape[1:]).swapaxes(1, 2)  # (rows, H + s, columns, W + s, …)
    raster = grid.reshape(n_rows * (height + spacing), n_columns * (width + spacing), *x.shape[3:])
    return raster[: raster.shape[0] - spacing, : raster.shape[1] - spacing]


def _scale_each(x: NDArray[Any]) -> NDArray[np.float64]:
    """Scale every image separately to [0, 1]; a constant image becomes 0.5."""
    values = x.astype(np.float64)
    axes = tuple(range(1, x.ndim))
    low = values.min(axis=axes, keepdims=True)
    span = values.max(axis=axes, keepdims=True) - low
    return np.where(span > 0, (values - low) / np.where(span > 0, span, 1.0), 0.5)


def _check_tile(tile: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(tile, tuple | list) or len(tile) != 2:
        raise InvalidParameterError(f"The 'tile' of tile_raster must be two numbers, rows and columns. Got {tile!r}.")
    for name, value in zip(("rows", "columns"), tile, strict=True):
        check_count(f"tile ({name})", "tile_raster", value, least=1)
    return int(tile[0]), int(tile[1])
