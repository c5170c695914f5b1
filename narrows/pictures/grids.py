"""Many records in one grid: images as tiles, vectors as small curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import InvalidParameterError
from narrows.pictures.records import as_records, check_count, is_images, value_range
from narrows.pictures.style import FAINT, INK, MUTED, axes_at, new_figure, style, text_at, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["grid"]

_MARGIN, _SIDE, _LABEL = 28, 1300, 36  # pixels: margin, longer side of all cells, line of labels
_CURVE = (0.86, 0.76)  # width and height of a curve as shares of a cell
_WIDEST_CURVE = 4 / 3


def grid(
    records: ArrayLike,
    *,
    columns: int | None = None,
    spacing: int | None = None,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
) -> Figure:
    """Draw records in a grid, from left to right and from top to bottom.

    A pixel of an image is a whole number of pixels of the picture, unless there are too many. All images share black
    and white: 0 and 255 for bytes, 0 and 1 for booleans and for floats within [0, 1], otherwise the smallest and
    largest drawn value. Vectors become curves that share one scale.

    Parameters
    ----------
    records : array-like
        ``(n, H, W)`` or ``(n, 1, H, W)`` grey, ``(n, H, W, 3 | 4)`` or ``(n, 3 | 4, H, W)`` colour, or vectors
        ``(n, d)``.
    columns : int, optional
        Records in a row. Default: nearly square with full rows, if that is at most four times as wide as high.
    spacing : int, optional
        Distance between neighbours, in pixels of the images. Default: a fourteenth of an image, at least one.
    row_labels, column_labels : sequence of str, optional
        Labels to the left of each row, and above each column.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError, NonFiniteDataError
        A shape that cannot be drawn, no records, or values that are not finite numbers.
    InvalidParameterError
        No columns, negative spacing, or a number of labels that differs from that of rows or columns.
    """
    x = as_records("records", records)
    n_columns = _usual_columns(len(x)) if columns is None else columns
    check_count("columns", "grid", n_columns, least=1)
    n_rows = -(-len(x) // n_columns)
    for name, labels, number in (("row_labels", row_labels, n_rows), ("column_labels", column_labels, n_columns)):
        if labels is not None and len(labels) != number:
            raise InvalidParameterError(f"The '{name}' of grid must be {number}. Got {len(labels)}.")
    if spacing is None:
        spacing = max(1, min(x.shape[1:3]) // 14) if is_images(x) else 0
    check_count("spacing", "grid", spacing, least=0)

    with style():
        cell = _image_cell(x, n_rows, n_columns, spacing) if is_images(x) else _curve_cell(n_rows, n_columns)
        height, width, gap = cell
        left = _MARGIN + (max(text_width(label, size=7) for label in row_labels) + 20 if row_labels else 0)
        top = _MARGIN + (_LABEL if column_labels else 0)
        full = n_columns * (width + gap) - gap, n_rows * (height + gap) - gap
        figure = new_figure(left + full[0] + _MARGIN, top + full[1] + _MARGIN)
        axes = axes_at(figure, left, top, *full)
        (_draw_images if is_images(x) else _draw_curves)(axes, x, n_rows, n_columns, spacing)
        look: dict[str, Any] = {"color": MUTED, "fontsize": 7}
        for i, label in enumerate(row_labels or ()):
            text_at(figure, left - 16, top + i * (height + gap) + height / 2, label, ha="right", va="center", **look)
        for i, label in enumerate(column_labels or ()):
            text_at(figure, left + i * (width + gap) + width / 2, top - 12, label, ha="center", va="bottom", **look)
    return figure


def _usual_columns(n: int) -> int:
    """Return the number of columns that fills all rows of a grid of n records, or makes it nearly square.

    Examples
    --------
    >>> [_usual_columns(n) for n in (1, 3, 17, 60, 64)]
    [1, 3, 5, 10, 8]
    """
    least = math.ceil(math.sqrt(n))
    return next((columns for columns in range(least, 2 * least) if n % columns == 0), least)


def _image_cell(x: NDArray[Any], n_rows: int, n_columns: int, spacing: int) -> tuple[int, int, int]:
    """Return height and width of an image in the picture, and the gap between two, in pixels."""
    height, width = x.shape[1:3]
    longest = max(n_rows * (height + spacing), n_columns * (width + spacing))
    scale = _SIDE / longest
    if scale >= 1:
        scale = max(1, min(round(scale), 480 // max(height, width, 1) or 1))
        return height * scale, width * scale, spacing * scale
    return max(1, round(height * scale)), max(1, round(width * scale)), round(spacing * scale)


def _curve_cell(n_rows: int, n_columns: int) -> tuple[int, int, int]:
    width = min(480, max(24, _SIDE // n_columns))
    height = min(round(width / _WIDEST_CURVE), max(18, _SIDE // n_rows))
    return height, width, 0


def _draw_images(axes: Axes, x: NDArray[Any], n_rows: int, n_columns: int, spacing: int) -> None:
    """Draw all images as one with white gaps; enlarged pixels are sharp."""
    low, high = value_range(x)
    height, width = x.shape[1:3]
    cells = np.ones((n_rows * n_columns, height + spacing, width + spacing, *x.shape[3:]))
    cells[: len(x), :height, :width] = ((x.astype(np.float64) - low) / (high - low)).clip(0, 1)
    tiled = cells.reshape(n_rows, n_columns, *cells.shape[1:]).swapaxes(1, 2)  # (rows, H + s, columns, W + s, …)
    raster = tiled.reshape(n_rows * (height + spacing), n_columns * (width + spacing), *x.shape[3:])
    raster = raster[: raster.shape[0] - spacing, : raster.shape[1] - spacing]
    shrunk = raster.shape[0] > round(axes.get_window_extent().height)
    axes.imshow(
        raster, cmap="gray", vmin=0, vmax=1, interpolation="antialiased" if shrunk else "nearest", aspect="auto"
    )
    axes.set_axis_off()


def _draw_curves(axes: Axes, x: NDArray[Any], n_rows: int, n_columns: int, spacing: int) -> None:
    """Draw a curve in each cell, over a faint line at zero or at the lowest value."""
    low, high = float(x.min()), float(x.max())
    span = (high - low) or 1.0
    ground = (min(max(0.0, low), high) - low) / span
    across = (1 - _CURVE[0]) / 2 + _CURVE[0] * np.linspace(0, 1, x.shape[1])
    for i, record in enumerate(x.astype(np.float64)):
        row, column = divmod(i, n_columns)
        foot = n_rows - 1 - row + (1 - _CURVE[1]) / 2
        axes.plot(
            [column + across[0], column + across[-1]], [foot + _CURVE[1] * ground] * 2, color=FAINT, linewidth=0.7
        )
        marker = "o" if len(record) <= 30 and n_columns <= 8 else None
        heights = foot + _CURVE[1] * (record - low) / span
        axes.plot(column + across, heights, color=INK, linewidth=1.0, marker=marker, markersize=2)
    axes.set_xlim(0, n_columns)
    axes.set_ylim(0, n_rows)
    axes.set_axis_off()
