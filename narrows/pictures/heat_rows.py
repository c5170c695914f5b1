"""Rows of a table, each cell as red as it contributes to a score, with a note below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import DataError
from narrows.io.text import printable
from narrows.pictures.style import (
    ACCENT,
    FAINT,
    INK,
    axes_in_pixels,
    new_figure,
    style,
    text_at,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["heat_rows"]

Floats = NDArray[np.float64]

_MARGIN, _LINE, _GAP, _SPACE = 28, 28, 8, 26  # pixels
_SIZE, _LONGEST, _MOST_COLUMNS = 7.0, 24, 12  # points of text, letters of a cell, columns
_NOTED = 0.2  # of the largest part of a row, from which on a cell has its note
_DEEPEST = 0.85  # opacity of the red, which dark text can still be read on


def heat_rows(
    cells: Sequence[Sequence[str]],
    notes: Sequence[Sequence[str]],
    parts: Floats,
    names: Sequence[str],
    *,
    captions: Sequence[str],
) -> Figure:
    """Draw rows of a table: the value of each cell, on red if it has a large part of the score, with a note below.

    Parameters
    ----------
    cells, notes : sequence of sequences of str
        The values of n rows of d columns, and what is written below those with a large part.
    parts : ndarray of shape (n, d)
        What each value contributes to the score of its row.
    names : sequence of str
        The names of the columns. Of more than twelve, those with the largest parts are drawn.
    captions : sequence of str
        What is written at the left of each row.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If there are no rows or no columns.
    """
    if not len(cells) or not names:
        raise DataError("A picture of a table needs at least one row and one column.")
    shares = parts / np.maximum(parts.max(axis=1, keepdims=True), 1e-12)
    chosen = np.sort(np.argsort(-shares.max(axis=0), kind="stable")[:_MOST_COLUMNS]).tolist()
    noted = [
        [note if share >= _NOTED else "" for note, share in zip(*row, strict=True)]
        for row in zip(notes, shares, strict=True)
    ]
    with style():
        widths = [max(_width(row[j]) for row in (names, *cells, *noted)) + _SPACE for j in chosen]
        first = max(_width(caption) for caption in captions) + _SPACE
        lefts = (_MARGIN + first + np.cumsum([0, *widths])).tolist()
        height = 2 * _MARGIN + _LINE + _GAP + len(cells) * (2 * _LINE + _GAP)
        figure = new_figure(max(int(lefts[-1]) + _MARGIN, 700), height)
        axes = axes_in_pixels(figure)
        for j, left in zip(chosen, lefts, strict=False):
            _write(figure, left, _MARGIN, names[j], color=INK, fontweight="bold")
        for i, caption in enumerate(captions):
            top = _MARGIN + _LINE + _GAP + i * (2 * _LINE + _GAP)
            axes.plot([_MARGIN, lefts[-1]], [top - _GAP / 2] * 2, color=FAINT, linewidth=0.6)
            _write(figure, _MARGIN - _SPACE / 2, top, caption, color=INK, fontweight="bold")
            for j, left, width in zip(chosen, lefts, widths, strict=False):
                _fill(axes, (left, top), (width - 2, 2 * _LINE), float(shares[i, j]))
                _write(figure, left, top, cells[i][j], color=INK)
                _write(figure, left, top + _LINE, noted[i][j], color=INK)
    return figure


def _fill(axes: Axes, corner: tuple[float, float], size: tuple[float, float], share: float) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(corner, *size, facecolor=ACCENT, alpha=_DEEPEST * share, linewidth=0))


def _write(figure: Figure, left: float, top: float, text: str, **look: Any) -> None:
    where = left + _SPACE / 2, top + _LINE / 2
    text_at(figure, *where, _short(text), ha="left", va="center", fontsize=_SIZE, **look)


def _width(text: str) -> int:
    return text_width(_short(text), size=_SIZE, weight="bold")


def _short(text: str) -> str:
    shown = printable(text, lines=False)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
