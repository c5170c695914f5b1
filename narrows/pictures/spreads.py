"""Means with their spread, as lines over a few named steps, in several panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from narrows.pictures.style import CLASSES, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Measured", "spreads"]

Measured = Mapping[str, Sequence[tuple[float, float]]]
"""For the name of each line its means and spreads, one pair for each step."""


def spreads(panels: Mapping[str, Measured], steps: Sequence[str], *, x: str, y: str) -> Figure:
    """Draw lines with error bars, in one panel for each title.

    Parameters
    ----------
    panels : dict of str to dict of str to sequence of (mean, spread)
        By title and by the name of the line.
    steps : sequence of str
        The names of the places on the horizontal axis.
    x, y : str
        What the axes show.
    """
    with style():
        figure = new_figure(200 + 700 * len(panels), 720)
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
        every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        places = np.arange(len(steps))
        for axes, (title, lines) in zip(every, panels.items(), strict=True):
            for colour, (name, points) in zip(CLASSES, lines.items(), strict=False):
                mean, spread = np.array(points).T
                axes.errorbar(places, mean, spread, color=colour, marker="o", markersize=3, capsize=2, label=name)
            axes.set_title(title)
            axes.set_xticks(places, steps)
            axes.set_xlabel(x)
            axes.grid(axis="y")
        every[0].set_ylabel(y)
        every[-1].legend(loc="best")
        figure.draw_without_rendering()
    return figure
