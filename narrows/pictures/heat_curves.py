"""Curves beside the expected ones, under red where a step contributes to a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import DataError
from narrows.pictures.limits import drawable, limits_around
from narrows.pictures.style import ACCENT, FAINT, INK, MUTED, axes_at, new_figure, style, text_at, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["heat_curves"]

Floats = NDArray[np.float64]

_MARGIN, _GAP, _CAPTION, _WIDTH, _TICKS, _LEGEND = 28, 16, 34, 1300, 30, 44  # pixels
_HEIGHTS = {1: 190, 2: 130, 3: 104}  # of a panel, by the number of panels of a record
_MOST_PANELS = 3
_DEEPEST, _CONTRAST = 0.75, 1.5  # opacity of the red, and the power of a part that it grows with
_MARKED = 40  # steps, up to which each has a mark


def heat_curves(
    records: Floats,
    expected: Floats,
    parts: Floats,
    *,
    captions: Sequence[str],
    channels: Sequence[str] | None = None,
    steps: str = "step",
) -> Figure:
    """Draw windows of series below each other: the curve, the expected one, and red where a step has a large part.

    Parameters
    ----------
    records, expected : ndarray of shape (n, steps, channels)
        In the same units. NaN is missing.
    parts : ndarray of shape (n, steps, channels)
        What each value contributes to the score of its record.
    captions : sequence of str
        A line above each record.
    channels : sequence of str, optional
        Names of the channels. Of more than three, those with the largest parts of the score of a record are drawn.
    steps : str
        What the axis counts.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If there are no records.
    """
    if not len(records):
        raise DataError("A picture of curves needs at least one record.")
    records, expected = drawable(records), drawable(expected)
    names = channels or ([""] if records.shape[2] == 1 else [f"channel {c}" for c in range(records.shape[2])])
    n_panels = min(len(names), _MOST_PANELS)
    height = _HEIGHTS[n_panels]
    with style():
        left = _MARGIN + 74 + max((text_width(name, size=7) for name in names), default=0)
        block = _CAPTION + n_panels * height + _TICKS + _GAP
        figure = new_figure(left + _WIDTH + _MARGIN, 2 * _MARGIN + _LEGEND + len(records) * block)
        for i in range(len(records)):
            top = _MARGIN + _LEGEND + i * block
            text_at(figure, left, top + _CAPTION - 8, captions[i], color=INK, va="bottom", fontweight="bold")
            largest = np.sort(np.argsort(-parts[i].sum(axis=0), kind="stable")[:n_panels])
            for panel, channel in enumerate(largest.tolist()):
                axes = axes_at(figure, left, top + _CAPTION + panel * height, _WIDTH, height - 6)
                _draw(axes, records[i, :, channel], expected[i, :, channel], parts[i, :, channel], parts[i].max())
                axes.set_ylabel(names[channel], rotation=0, ha="right", va="center", fontsize=7, color=INK)
                axes.tick_params(labelbottom=panel == n_panels - 1)
        figure.axes[-1].set_xlabel(steps)
        _draw_legend(figure, left)
    return figure


def _draw(axes: Axes, record: Floats, expected: Floats, parts: Floats, deepest: float) -> None:
    steps = np.arange(len(record))
    extent = (-0.5, len(record) - 0.5, *limits_around(np.concatenate([record, expected]), 0.08))
    red = np.zeros((1, len(record), 4))
    red[..., :3] = _rgb(ACCENT)
    red[..., 3] = _DEEPEST * (parts / max(deepest, 1e-12)) ** _CONTRAST
    axes.imshow(red, extent=extent, aspect="auto", interpolation="nearest", zorder=0)
    mark: dict[str, Any] = {"marker": "o", "markersize": 2} if len(record) <= _MARKED else {}
    axes.plot(steps, expected, color=MUTED, linewidth=1.0, linestyle=(0, (3, 2)), label="expected")
    axes.plot(steps, record, color=INK, linewidth=1.2, label="record", **mark)
    axes.set_xlim(*extent[:2])
    axes.set_ylim(*extent[2:])
    axes.locator_params(axis="y", nbins=3)
    axes.spines[["left", "bottom"]].set_color(FAINT)


def _draw_legend(figure: Figure, left: int) -> None:
    from matplotlib.patches import Patch

    handles = [*figure.axes[-1].lines[::-1], Patch(color=ACCENT, alpha=_DEEPEST, label="part of the score")]
    full_width, full_height = figure.get_size_inches() * figure.dpi
    where = left / full_width, 1 - _MARGIN / full_height
    figure.legend(handles=handles, loc="upper left", ncols=len(handles), borderaxespad=0, bbox_to_anchor=where)


def _rgb(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
