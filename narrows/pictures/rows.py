"""Labelled rows of records: one row of images each, or vectors as superimposed curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import InvalidParameterError
from narrows.pictures.records import as_records, check_count, check_same_shape, is_images, value_range
from narrows.pictures.style import (
    ACCENT,
    CLASSES,
    FAINT,
    INK,
    MUTED,
    axes_at,
    axes_in_pixels,
    new_figure,
    style,
    text_at,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["rows"]

_MARGIN, _GAP, _LINE = 28, 14, 30  # pixels: margin, gap between cells, line of text
_BREADTH = 1500  # width of all cells of a row in pixels


def rows(
    images: Mapping[str, ArrayLike],
    *,
    n: int = 10,
    captions: Sequence[str] | None = None,
    caption_label: str = "",
) -> Figure:
    """Draw the same records in several states, one labelled row each: original, noisy, restored, ….

    One pixel of an image is a whole number of pixels of the picture, unless the image is larger than its cell. All
    rows share the black and white of the first: 0 and 255 for bytes, 0 and 1 for booleans and for floats within
    [0, 1], otherwise its smallest and largest drawn value. Vectors become small plots, one for each record, with a
    curve for each row.

    Parameters
    ----------
    images : dict of str to array-like, all of one shape
        ``(n, H, W)`` or ``(n, 1, H, W)`` grey, ``(n, H, W, 3 | 4)`` or ``(n, 3 | 4, H, W)`` colour, or vectors
        ``(n, d)``. All in the same units.
    n : int
        Number of records to draw, from the first; fewer if there are fewer.
    captions : sequence of str, optional
        A line of text below every column, at least one for each drawn record.
    caption_label : str
        Label of the captions, at their left.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeMismatchError
        Rows of different shapes; the message gives both.
    DataError
        A shape that cannot be drawn, no records, or values that are not numbers.
    NonFiniteDataError
        NaN or infinity.
    InvalidParameterError
        No rows, `n` below 1, or too few captions.
    """
    check_count("n", "rows", n, least=1)
    if not images:
        raise InvalidParameterError("The 'images' of rows must hold at least one row. Got none.")
    records = {str(name): as_records(str(name), value) for name, value in images.items()}
    check_same_shape(records)
    records = {name: x[:n] for name, x in records.items()}
    first = next(iter(records.values()))
    if captions is not None and len(captions) < len(first):
        raise InvalidParameterError(
            f"The 'captions' of rows must be one for each of the {len(first)} records drawn. Got {len(captions)}."
        )
    with style():
        draw = _draw_images if is_images(first) else _draw_vectors
        return draw(records, None if captions is None else list(captions), caption_label)


def _draw_images(records: dict[str, NDArray[Any]], captions: list[str] | None, caption_label: str) -> Figure:
    """Draw one row of images for each entry, in whole pixels."""
    first = next(iter(records.values()))
    n, height, width = _cell_size(first)
    gap = max(4, min(_GAP, width // 8))
    labels = [*records, caption_label if captions else ""]
    left = _MARGIN + max(text_width(label) for label in labels) + 24
    column = width
    if captions:
        column = max(width, *(text_width(caption, size=7) + 6 for caption in captions[:n]))
    total_width = left + n * (column + gap) - gap + _MARGIN
    total_height = 2 * _MARGIN + len(records) * (height + gap) - gap + (_LINE + 4 if captions else 0)
    figure = new_figure(total_width, total_height)
    axes = axes_in_pixels(figure)  # one for all images, since axes take longer than an image
    low, high = value_range(first)

    top = _MARGIN
    for name, x in records.items():
        text_at(figure, left - 24, top + height / 2, name, ha="right", va="center", color=INK)
        for i, image in enumerate(x):
            at = left + i * (column + gap) + (column - width) // 2
            _draw_image(axes, image, low, high, extent=(at, at + width, top + height, top))
        top += height + gap
    if captions:
        baseline = top - gap + 10
        text_at(figure, left - 24, baseline, caption_label, ha="right", va="top", color=MUTED, fontsize=7)
        for i, caption in enumerate(captions[:n]):
            middle = left + i * (column + gap) + column / 2
            text_at(figure, middle, baseline, caption, ha="center", va="top", color=MUTED, fontsize=7)
    return figure


def _cell_size(x: NDArray[Any]) -> tuple[int, int, int]:
    """Return the number of images, and height and width of an image in pixels of the picture."""
    n, height, width = x.shape[:3]
    side = min(480, max(110, _BREADTH // n))
    longest = max(height, width)
    if longest <= 2 * side:
        scale = max(1, round(side / longest))
        return n, height * scale, width * scale
    return n, max(1, round(height * side / longest)), max(1, round(width * side / longest))


def _draw_image(axes: Axes, image: NDArray[Any], low: float, high: float, *, extent: tuple[int, int, int, int]) -> None:
    """Draw one image between left, right, bottom and top; enlarged pixels are sharp, others are averaged."""
    *_, bottom, top = extent
    interpolation = "antialiased" if image.shape[0] > bottom - top else "nearest"
    if image.ndim == 3:
        image = np.clip((image.astype(np.float64) - low) / (high - low), 0, 1)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation=interpolation, aspect="auto", extent=extent)


def _draw_vectors(records: dict[str, NDArray[Any]], captions: list[str] | None, caption_label: str) -> Figure:
    """Draw a small plot for each record with a curve for each row, at most five in a line."""
    first = next(iter(records.values()))
    n_columns = min(5, len(first))
    n_lines = -(-len(first) // n_columns)
    width, height, gap = (300, 190, 34) if n_columns > 2 else (620, 300, 40)
    strip = _LINE if captions else 0
    legend = _LINE + 26
    total_width = 2 * _MARGIN + n_columns * (width + gap) - gap
    total_height = 2 * _MARGIN + legend + n_lines * (height + strip + gap) - gap
    figure = new_figure(total_width, total_height)
    colours = [INK, ACCENT, *CLASSES]
    drawn = np.stack(list(records.values()))
    low, high = float(drawn.min()), float(drawn.max())
    space = 0.05 * (high - low) or 0.5

    for i in range(len(first)):
        line, column = divmod(i, n_columns)
        corner = _MARGIN + column * (width + gap), _MARGIN + legend + line * (height + strip + gap)
        axes = axes_at(figure, *corner, width, height)
        for j, (name, x) in enumerate(records.items()):
            look: dict[str, Any] = {
                "color": colours[j % len(colours)],
                "linewidth": 1.0 if j else 1.5,
                "alpha": 0.95 if j else 0.55,
            }
            axes.plot(x[i], label=name, marker="o" if x.shape[1] <= 30 else None, markersize=2, **look)
        axes.set_ylim(low - space, high + space)
        axes.margins(x=0.02)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[["left", "bottom"]].set_color(FAINT)
        if captions:
            text = f"{caption_label} {captions[i]}".strip()
            where = corner[0] + width / 2, corner[1] + height + 8
            text_at(figure, *where, text, ha="center", va="top", color=MUTED, fontsize=7)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper left", ncols=len(records), borderaxespad=0,
        bbox_to_anchor=(_MARGIN / total_width, 1 - _MARGIN / total_height),
    )  # fmt: skip
    return figure
