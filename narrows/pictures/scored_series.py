"""A series above its scores, with what stands out in red."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from narrows.errors import DataError
from narrows.pictures.limits import drawable, limits_around
from narrows.pictures.style import ACCENT, FAINT, INK, MUTED, axes_at, new_figure, style, text_at, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["scored_series"]

Floats = NDArray[np.float64]

_MARGIN, _LEGEND, _WIDTH, _HEIGHT, _SCORES, _GAP = 28, 24, 1400, 200, 150, 8  # pixels
_MOST_CHANNELS = 4
_LEAST_SHARE = 0.004  # of the width, that a range is drawn at
_LOWEST, _TALLEST = 1.4, 6.0  # scores are drawn up to so many thresholds, at least and at most


def scored_series(
    values: Floats,
    score: Floats,
    ranges: Sequence[tuple[int, int]],
    *,
    threshold: float,
    channels: Sequence[str],
    axis: str = "step",
    ticks: tuple[Sequence[int], Sequence[str]] | None = None,
) -> Figure:
    """Draw the channels of a series, and below the score of each step; ranges of outliers are red.

    Of long series, each pixel has the smallest and the largest value of its steps.

    Parameters
    ----------
    values : ndarray of shape (steps, channels)
        NaN is missing. The first four channels are drawn.
    score : ndarray of shape (steps,)
        NaN where there is none.
    ranges : sequence of pairs of int
        The first and the last step of each range of outliers.
    threshold : float
        A dotted line among the scores.
    channels : sequence of str
        Their names.
    axis : str
        What the steps are.
    ticks : steps and texts, optional
        Labels of the axis, such as times.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If there are no steps.
    """
    if not len(values):
        raise DataError("A picture of a series needs at least one step.")
    names = list(channels)[:_MOST_CHANNELS]
    height = _HEIGHT if len(names) <= 2 else _HEIGHT * 2 // 3
    with style():
        left = _MARGIN + 90 + max(text_width(name, size=7) for name in (*names, "score"))
        figure = new_figure(
            left + _WIDTH + _MARGIN, 2 * _MARGIN + _LEGEND + len(names) * (height + _GAP) + _SCORES + 60
        )
        top = _MARGIN + _LEGEND
        for channel, name in enumerate(names):
            axes = axes_at(figure, left, top + channel * (height + _GAP), _WIDTH, height)
            x = drawable(values[:, channel])
            _draw_curve(axes, x, ranges, INK)
            axes.set_ylim(*limits_around(x, 0.05))
            axes.tick_params(labelbottom=False)
            axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7, color=INK)
        below = axes_at(figure, left, top + len(names) * (height + _GAP), _WIDTH, _SCORES)
        _draw_curve(below, np.maximum(score, 0), ranges, ACCENT)
        below.axhline(threshold, color=MUTED, linewidth=0.7, linestyle=":")
        highest = float(np.nanmax(score)) if np.isfinite(score).any() else 0.0
        below.set_ylim(0, float(np.clip(1.05 * highest, _LOWEST * threshold, _TALLEST * threshold)))
        below.set_ylabel("score", rotation=0, ha="right", va="center", fontsize=7, color=ACCENT)
        below.set_xlabel(axis)
        if ticks is not None:
            below.set_xticks(list(ticks[0]), list(ticks[1]))
        text_at(
            figure,
            left + _WIDTH,
            _MARGIN - 10,
            "red: outliers; dotted: the threshold",
            ha="right",
            va="top",
            color=MUTED,
        )
    return figure


def _draw_curve(axes: Axes, x: Floats, ranges: Sequence[tuple[int, int]], colour: str) -> None:
    steps, low, high = _envelope(x)
    if len(steps) == len(x):
        axes.plot(steps, x, color=colour, linewidth=0.8)
    else:
        axes.fill_between(steps, low, high, color=colour, linewidth=0.4)
    least = _LEAST_SHARE * len(x)
    for first, last in ranges:
        wider = max(least - (last + 1 - first), 0) / 2
        axes.axvspan(first - 0.5 - wider, last + 0.5 + wider, color=ACCENT, alpha=0.25, linewidth=0)
    axes.set_xlim(-0.5, len(x) - 0.5)
    axes.locator_params(axis="y", nbins=4)
    axes.spines[["left", "bottom"]].set_color(FAINT)


def _envelope(x: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return steps, and the smallest and the largest value from each to the next: at most one for each pixel."""
    each = -(-len(x) // _WIDTH)
    if each == 1:
        return np.arange(len(x)), x, x
    padded = np.pad(x, (0, -len(x) % each), constant_values=np.nan).reshape(-1, each)
    is_known = ~np.isnan(padded)
    low = np.where(is_known, padded, np.inf).min(axis=1)
    high = np.where(is_known, padded, -np.inf).max(axis=1)
    low, high = (np.where(is_known.any(axis=1), one, np.nan) for one in (low, high))
    return np.arange(len(padded)) * each, low, high
