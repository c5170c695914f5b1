"""Two-dimensional codes side by side, coloured by label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import DataError, InvalidParameterError, ShapeMismatchError
from narrows.io.text import printable
from narrows.numerics.randomness import Stream, rng
from narrows.pictures.colouring import Colouring, colour_by
from narrows.pictures.records import finite
from narrows.pictures.style import INK, PAPER, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["maps"]

_MOST_TEXTS, _LONGEST_TEXT = 600, 24  # that are tried on a map, and the characters of each


def maps(
    codes: Mapping[str, ArrayLike],
    labels: ArrayLike | None = None,
    label_names: Mapping[Any, str] | Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
) -> Figure:
    """Draw one map for each encoding of the same records, with shared colours.

    Points are drawn in one shuffled order, the same in every map and every run, so that no class hides another one
    because of its position in the data.

    Parameters
    ----------
    codes : dict of str to array-like of shape (n, 2)
        The maps by name, for example ``{"PCA": z_pca, "autoencoder": z}``.
    labels : array-like of shape (n,), optional
        Up to 20 different labels are classes: each has a colour, an entry in the legend, and its name at the median of
        its points, unless that would cover another name. More labels, or numbers that are not whole, are a scale with a
        colour bar; of more than 20 names the rarest become "other".
    label_names : dict or sequence, optional
        Names of the classes: a name for each label, or a sequence indexed by whole-number labels.
    texts : sequence of str, optional
        A text for each record, written at its point unless that would cover another one.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        No maps, a code that is not two-dimensional, or labels of a wrong shape.
    ShapeMismatchError
        Codes or labels of different numbers of records; the message gives both.
    NonFiniteDataError
        NaN or infinity among codes or labels.
    InvalidParameterError
        A label without a name in `label_names`.
    """
    points = _as_points(codes)
    n = len(next(iter(points.values())))
    colouring = colour_by(labels, label_names, n=n)
    n_columns = 2 if len(points) == 4 else min(len(points), 3)
    n_lines = math.ceil(len(points) / n_columns)
    side = 780 if len(points) > 1 else 960  # pixels
    legend = 190 if colouring.classes or colouring.is_scale else 0
    with style():
        figure = new_figure(n_columns * side + legend, n_lines * side + 40)
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12, wspace=0.03, hspace=0.03)
        panels = [figure.add_subplot(n_lines, n_columns, i + 1) for i in range(len(points))]
        order = rng(0, Stream.DRAWING_ORDER).permutation(n)
        for axes, (name, z) in zip(panels, points.items(), strict=True):
            _draw_map(axes, name, z, colouring, order)
            if texts is not None:
                for i in order[:_MOST_TEXTS]:
                    _write_on_map(axes, z[i], _short(texts[i]), fontsize=6)
        if colouring.classes:
            _add_legend(figure, colouring)
        if colouring.is_scale:
            bar: Any = figure.colorbar(panels[0].collections[0], ax=panels, shrink=0.6, aspect=30, pad=0.02)
            bar.outline.set_visible(False)
            bar.solids.set_alpha(1)
        figure.draw_without_rendering()
        for axes in panels:
            _drop_covered(axes)
    return figure


def _as_points(codes: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
    """Return the codes as arrays (n, 2), all of one n."""
    if not codes:
        raise InvalidParameterError("The 'codes' of maps must hold at least one map. Got none.")
    points = {str(name): finite(str(name), z) for name, z in codes.items()}
    (first, reference), *_ = points.items()
    for name, z in points.items():
        if z.ndim != 2 or z.shape[1] != 2 or len(z) == 0:
            raise DataError(
                f"The codes '{name}' must have the shape (n, 2) to be drawn as a map. Got {z.shape}. "
                "Train with n_latent=2, or choose two of the dimensions."
            )
        if len(z) != len(reference):
            raise ShapeMismatchError(
                f"'{first}' and '{name}' must have the same number of rows. Got {reference.shape} and {z.shape}."
            )
    return points


def _draw_map(axes: Axes, name: str, z: NDArray[Any], colouring: Colouring, order: NDArray[np.intp]) -> None:
    """Draw one map; many points are drawn smaller and more transparent than few."""
    n, coloured = len(z), bool(colouring.classes) or colouring.is_scale
    size = float(np.clip(25_000 / n, 0.6, 18))
    alpha = float(np.clip((70 if coloured else 35) / math.sqrt(n), 0.35 if coloured else 0.08, 0.9))
    colours: dict[str, Any] = {
        key: value[order] if isinstance(value, np.ndarray) else value for key, value in colouring.scatter.items()
    }
    axes.scatter(z[order, 0], z[order, 1], s=size, alpha=alpha, linewidths=0, rasterized=True, **colours)
    axes.set_title(name, loc="left", pad=8)
    axes.set_box_aspect(1)
    axes.margins(0.03)
    axes.locator_params(nbins=5)
    for i, text in enumerate(colouring.classes):
        middle = np.median(z[colouring.index == i], axis=0)
        _write_on_map(axes, middle, text)


def _short(text: str) -> str:
    """Return a text as it is written on a map: printable, and not too long; $ would begin a formula."""
    return printable(text, lines=False)[:_LONGEST_TEXT].replace("$", r"\$")


def _write_on_map(axes: Axes, where: NDArray[Any], text: str, fontsize: int = 8) -> None:
    """Write a text, or the name of a class, at its position, with a white outline so that any colour shows it."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.6, foreground=PAPER)]
    axes.annotate(
        text, (float(where[0]), float(where[1])), ha="center", va="center", fontsize=fontsize, fontweight="bold",
        color=INK, path_effects=halo, annotation_clip=True,
    )  # fmt: skip


def _drop_covered(axes: Axes) -> None:
    """Remove names that would cover an earlier one; the legend contains all names."""
    placed: list[Any] = []
    for text in list(axes.texts):
        box = text.get_window_extent()
        if any(box.overlaps(other) for other in placed):
            text.remove()
        else:
            placed.append(box)


def _add_legend(figure: Figure, colouring: Colouring) -> None:
    """Add one legend for all maps, at the right."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=5, markeredgewidth=0, color=colour, label=text)
        for text, colour in colouring.classes.items()
    ]
    figure.legend(handles=handles, loc="outside right center", handletextpad=0.2, labelspacing=0.7)
