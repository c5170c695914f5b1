"""Rows of a table in several states, cell below cell, such as original and restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from narrows.errors import DataError
from narrows.io.text import printable
from narrows.pictures.style import FAINT, INK, MUTED, axes_in_pixels, new_figure, style, text_at, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CLOSE", "DIFFERENT", "FILLED", "SAME", "table_rows"]

SAME, CLOSE, DIFFERENT, FILLED = range(4)
"""What a cell is beside the one that it is compared with."""

_COLOURS = {CLOSE: "#fbeecb", DIFFERENT: "#f5c6cb", FILLED: "#cfe3f5"}
_MEANINGS = {CLOSE: "a little different", DIFFERENT: "different", FILLED: "was missing"}
_MARGIN, _LINE, _GAP, _SPACE, _SWATCH = 28, 26, 12, 18, 18  # pixels
_SIZE, _LONGEST, _MOST_COLUMNS = 6.5, 20, 24  # points of text, letters of a cell, columns


def table_rows(
    states: Mapping[str, Sequence[Sequence[str]]],
    names: Sequence[str],
    marks: Mapping[str, NDArray[np.int_]],
) -> Figure:
    """Draw rows of a table, each in several states below each other, with colours where cells differ.

    Parameters
    ----------
    states : dict of str to sequence of sequences of str
        The cells of n rows of d columns in each state, for example original and restored.
    names : sequence of str
        The names of the d columns, of which the first 24 are drawn.
    marks : dict of str to ndarray of shape (n, d)
        For some of the states: `SAME`, `CLOSE`, `DIFFERENT` or `FILLED`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If there are no rows.
    """
    n = len(next(iter(states.values())))
    if not n or not names:
        raise DataError("A picture of a table needs at least one row and one column.")
    n_columns = min(len(names), _MOST_COLUMNS)
    head = [_short(name) for name in names[:n_columns]]
    cells = {state: [[_short(cell) for cell in row[:n_columns]] for row in rows] for state, rows in states.items()}
    with style():
        widths = [
            max(_width(text) for text in (head[f], *(row[f] for rows in cells.values() for row in rows))) + _SPACE
            for f in range(n_columns)
        ]
        first = max(_width(state) for state in states) + _SPACE
        lefts = _MARGIN + first + np.cumsum([0, *widths])
        height = 2 * _MARGIN + 2 * _LINE + _GAP + n * (len(states) * _LINE + _GAP)
        figure = new_figure(max(int(lefts[-1]) + _MARGIN, 700), height)
        axes = axes_in_pixels(figure)
        for f, name in enumerate(head):
            _write(figure, lefts[f] + _SPACE / 2, _MARGIN, name, color=INK, fontweight="bold")
        top = _MARGIN + _LINE
        for i in range(n):
            axes.plot([_MARGIN, lefts[-1]], [top - _GAP / 3] * 2, color=FAINT, linewidth=0.6)
            for state, rows in cells.items():
                _write(figure, _MARGIN, top, state, color=MUTED)
                of_state = marks.get(state)
                for f in range(n_columns):
                    mark = SAME if of_state is None else int(of_state[i, f])
                    if mark != SAME:
                        _fill(axes, (lefts[f], top), widths[f], _LINE, _COLOURS[mark])
                    _write(figure, lefts[f] + _SPACE / 2, top, rows[i][f], color=INK)
                top += _LINE
            top += _GAP
        _draw_legend(figure, axes, top, sorted({int(one) for of in marks.values() for one in of.flat} - {SAME}))
    return figure


def _draw_legend(figure: Figure, axes: Axes, top: float, marks: Sequence[int]) -> None:
    left = float(_MARGIN)
    for mark in marks:
        _fill(axes, (left, top + 4), _SWATCH, _SWATCH, _COLOURS[mark])
        _write(figure, left + _SWATCH + 8, top, _MEANINGS[mark], color=MUTED)
        left += _SWATCH + 8 + _width(_MEANINGS[mark]) + 2 * _SPACE


def _fill(axes: Axes, corner: tuple[float, float], width: float, height: float, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(corner, width, height, facecolor=colour, linewidth=0))


def _write(figure: Figure, left: float, top: float, text: str, **look: str) -> None:
    text_at(figure, left, top + _LINE / 2, text, ha="left", va="center", fontsize=_SIZE, **look)


def _width(text: str) -> int:
    return text_width(text, size=_SIZE, weight="bold")


def _short(text: str) -> str:
    shown = printable(text, lines=False)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
