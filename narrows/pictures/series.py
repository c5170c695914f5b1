"""Series in several states, such as original and restored: a panel for each channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import DataError, InvalidParameterError
from narrows.pictures.limits import drawable, limits_around
from narrows.pictures.records import check_same_shape
from narrows.pictures.style import ACCENT, CLASSES, FAINT, INK, MUTED, axes_at, new_figure, style, text_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["series"]

_MARGIN, _LEFT, _WIDTH, _HEIGHT, _GAP, _LEGEND = 36, 130, 1500, 300, 76, 92  # pixels
_MOST_CHANNELS = 8
_TICKS = 5

Floats = NDArray[np.float64]


def series(
    states: Mapping[str, ArrayLike],
    *,
    channels: Sequence[str] | None = None,
    steps: Sequence[str] | None = None,
    starts: Sequence[int] = (),
) -> Figure:
    """Draw a series in several states over time, each channel in its own panel and units.

    Missing values (NaN) are gaps. Above a panel stands the root of the mean squared difference between the first state
    and the last one.

    Parameters
    ----------
    states : dict of str to array-like, all of one shape
        ``(steps,)`` or ``(steps, channels)``, in the same units.
    channels : sequence of str, optional
        The names of the channels.
    steps : sequence of str, optional
        The time of each step. Default: the steps are counted.
    starts : sequence of int, optional
        Steps at which windows start, marked by faint lines.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        States of another shape, or without values.
    ShapeMismatchError
        States of different shapes.
    InvalidParameterError
        No states, or fewer names or times than channels or steps.
    """
    if not states:
        raise InvalidParameterError("The 'states' of series must hold at least one. Got none.")
    drawn = {str(name): _columns(str(name), value) for name, value in states.items()}
    check_same_shape(drawn)
    first = next(iter(drawn.values()))
    n_steps, n_channels = first.shape
    for name, given, n in (("channels", channels, n_channels), ("steps", steps, n_steps)):
        if given is not None and len(given) < n:
            raise InvalidParameterError(
                f"The '{name}' of series must hold a text for each of its {n:,} {name}. Got {len(given):,}."
            )
    n_drawn = min(n_channels, _MOST_CHANNELS)
    with style():
        height = 2 * _MARGIN + _LEGEND + n_drawn * (_HEIGHT + _GAP)
        figure = new_figure(_LEFT + _WIDTH + _MARGIN, height)
        for k in range(n_drawn):
            top = _MARGIN + _LEGEND + k * (_HEIGHT + _GAP)
            axes = axes_at(figure, _LEFT, top, _WIDTH, _HEIGHT)
            _draw_channel(axes, {name: columns[:, k] for name, columns in drawn.items()}, starts)
            named = channels[k] if channels is not None else f"channel {k}" if n_channels > 1 else ""
            text_at(figure, _LEFT, top - 10, named, ha="left", va="bottom", color=INK, fontweight="bold")
            if len(drawn) > 1:
                error = _difference(*(list(drawn.values())[i][:, k] for i in (0, -1)))
                text_at(figure, _LEFT + _WIDTH, top - 10, error, ha="right", va="bottom", color=MUTED, fontsize=7)
            _label_steps(axes, n_steps, steps, is_last=k == n_drawn - 1)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        left = n_channels - n_drawn
        if left:
            text_at(figure, _LEFT + _WIDTH, _MARGIN, f"{left} more channels", ha="right", va="top", color=MUTED)
        figure.legend(
            handles, labels, loc="upper left", ncols=len(drawn), borderaxespad=0,
            bbox_to_anchor=(_LEFT / (_LEFT + _WIDTH + _MARGIN), 1 - _MARGIN / height),
        )  # fmt: skip
    return figure


def _columns(name: str, value: ArrayLike) -> Floats:
    x = np.asarray(value)
    if x.dtype.kind not in "biuf" or x.ndim not in {1, 2} or 0 in x.shape:
        raise DataError(
            f"'{name}' must hold numbers of shape (steps,) or (steps, channels). Got {x.dtype} of shape {x.shape}."
        )
    return drawable(x).reshape(len(x), -1)


def _draw_channel(axes: Axes, states: dict[str, Floats], starts: Sequence[int]) -> None:
    """Draw the states of a channel, the first one wide and pale below the others."""
    colours = [INK, ACCENT, *CLASSES] if len(states) < 3 else [INK, CLASSES[7], ACCENT, *CLASSES]
    for i, (name, values) in enumerate(states.items()):
        is_below = i == 0 and len(states) > 1
        look: dict[str, Any] = {"linewidth": 1.8 if is_below else 0.9, "alpha": 0.4 if is_below else 1, "zorder": 2 + i}
        axes.plot(values, color=colours[i % len(colours)], label=name, **look)
    for start in starts:
        axes.axvline(start, color=FAINT, linewidth=0.6, zorder=1)
    axes.margins(x=0)
    axes.set_ylim(*limits_around(np.concatenate(list(states.values())), 0.06))
    axes.locator_params(axis="y", nbins=4)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(length=0)


def _label_steps(axes: Axes, n_steps: int, steps: Sequence[str] | None, *, is_last: bool) -> None:
    """Label steps below the last panel by their times, or by their numbers."""
    at = np.unique(np.linspace(0, n_steps - 1, _TICKS).round().astype(int))
    axes.set_xticks(at.tolist(), [f"{i:,}" if steps is None else steps[i] for i in at.tolist()] if is_last else [])
    for i, label in enumerate(axes.get_xticklabels()):
        label.set_horizontalalignment("left" if i == 0 else "right" if i == len(at) - 1 else "center")
    if is_last and steps is None:
        axes.set_xlabel("step")


def _difference(one: Floats, other: Floats) -> str:
    """Return the root of the mean squared difference as text."""
    difference = (one - other)[np.isfinite(one - other)]
    if not len(difference):
        return ""
    scale = float(np.abs(difference).max())
    return f"typical error {scale * float(np.sqrt(np.square(difference / scale).mean())):.3g}" if scale else "exact"
