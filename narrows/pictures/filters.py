"""The weights of a first layer, with every filter as a small image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike, NDArray

from narrows.errors import DataError, ShapeMismatchError
from narrows.pictures.records import as_records, check_count, finite
from narrows.pictures.style import MUTED, axes_at, new_figure, style, text_at, text_width
from narrows.pictures.tiling import tile_raster

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["filters"]

_MARGIN, _LINE, _SIDE, _MOST = 28, 40, 1300, 400


def filters(
    weights: ArrayLike, *, shape: tuple[int, ...], tile: tuple[int, int] | None = None, spacing: int = 1
) -> Figure:
    """Draw the filters of a layer in a grid, each scaled to [0, 1] separately.

    Parameters
    ----------
    weights : array-like of shape (n_filters, n_values) or (n_filters, *shape)
        One filter per row: the weights from all inputs to one hidden unit. Weights stored as (inputs, units) must be
        transposed.
    shape : tuple
        The shape of a record: ``(H, W)``, ``(H, W, 3)`` or ``(3, H, W)``.
    tile : (int, int), optional
        Rows and columns. If the grid has fewer cells than there are filters, the first ones are drawn, as the line
        below says. Default: nearly square, at most 20 × 20.
    spacing : int
        Distance between neighbours, in pixels of the filters.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeMismatchError
        A row of weights does not have the size of a record.
    DataError, NonFiniteDataError
        A shape that is not that of an image, or weights that are not finite numbers.
    InvalidParameterError
        A tile without cells, or negative spacing.

    See Also
    --------
    tile_raster : The picture as an array.
    """
    images = _as_images(weights, tuple(shape))
    check_count("spacing", "filters", spacing, least=0)
    if tile is None:
        n_columns = math.ceil(math.sqrt(min(len(images), _MOST)))
        tile = (math.ceil(min(len(images), _MOST) / n_columns), n_columns)
    for value in tile:
        check_count("tile", "filters", value, least=1)
    n_drawn = min(len(images), tile[0] * tile[1])
    raster = tile_raster(images[:n_drawn], tile=tile, spacing=spacing, fill=1.0)

    scale = max(1, round(_SIDE / max(raster.shape[:2])))
    height, width = raster.shape[0] * scale, raster.shape[1] * scale
    which = f"{n_drawn} filters" if n_drawn == len(images) else f"the first {n_drawn} of {len(images)} filters"
    note = f"{which}, each scaled to its own range"
    with style():
        full_width = max(width, text_width(note, size=7)) + 2 * _MARGIN
        figure = new_figure(full_width, height + 2 * _MARGIN + _LINE)
        axes = axes_at(figure, (full_width - width) // 2, _MARGIN, width, height)
        axes.imshow(raster, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        where = (full_width - width) // 2, _MARGIN + height + 14
        text_at(figure, *where, note, ha="left", va="top", color=MUTED, fontsize=7)
    return figure


def _as_images(weights: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the weights as (n_filters, H, W) or (n_filters, H, W, 3)."""
    w = finite("weights", weights)
    if len(shape) not in {2, 3}:
        raise DataError(f"The 'shape' of filters must be (H, W), (H, W, 3) or (3, H, W). Got {shape}.")
    if w.ndim < 2 or math.prod(w.shape[1:]) != math.prod(shape):
        hint = " Pass them transposed." if w.ndim == 2 and w.shape[0] == math.prod(shape) else ""
        raise ShapeMismatchError(
            f"Weights for records of shape {shape} must have the shape (n_filters, {math.prod(shape)}). "
            f"Got {w.shape}.{hint}"
        )
    return as_records("weights", w.reshape(len(w), *shape))
