"""How often records of each class are taken for those of each other class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from narrows.errors import ShapeMismatchError
from narrows.pictures.style import INK, PAPER, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion"]

_CELL, _MARGIN = 64, 360  # pixels
_MOST_NUMBERED = 30  # classes
_SMALLEST = 6  # pixels of a cell
_WIDEST = 14  # characters of a name


def confusion(counts: ArrayLike, classes: Sequence[Any], *, title: str = "") -> Figure:
    """Draw a matrix of counts: rows are labels, columns are predictions; shades are shares of the row.

    Parameters
    ----------
    counts : array_like of int, shape (n, n)
        How many records of each class (row) were taken for each class (column).
    classes : sequence of length n
        The names.
    title : str
        Written above.

    Raises
    ------
    ShapeMismatchError
        If the counts are of another shape.
    """
    n, of = len(classes), np.asarray(counts)
    if of.shape != (n, n):
        raise ShapeMismatchError(f"The counts of {n} classes have the shape ({n}, {n}). Got {of.shape}.")
    shares = of / np.maximum(of.sum(axis=1, keepdims=True), 1)
    names = [name if len(name := str(one)) <= _WIDEST else f"{name[: _WIDEST - 1]}…" for one in classes]
    cell = _CELL if n <= _MOST_NUMBERED else max(_SMALLEST, _CELL * _MOST_NUMBERED // n)
    with style():
        figure = new_figure(_MARGIN + n * cell, _MARGIN + n * cell)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # rare confusions are visible too
        if n <= _MOST_NUMBERED:
            for row, column in zip(*np.nonzero(of), strict=True):
                colour = PAPER if shares[row, column] > 0.4 else INK
                axes.text(column, row, f"{of[row, column]:,}", ha="center", va="center", fontsize=6, color=colour)
            axes.set_xticks(range(n), names, rotation=90 if max(map(len, names)) > 3 else 0)
            axes.set_yticks(range(n), names)
        axes.set_xlabel("predicted")
        axes.set_ylabel("label")
        axes.set_title(title)
        figure.draw_without_rendering()
    return figure
