"""Names beside curves, each where it crosses nothing that is drawn and, if there is room, nearest to its own."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING, Any

from narrows.pictures.style import DPI

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation

__all__ = ["name_curve", "write_at"]

Point = tuple[float, float]

# What is tried for a name, the best first: whether its own curve is nearer than all else, pixels from its point, and
# pixels between it and all else.
TRIES = [
    *((True, away, clear) for clear in (26, 18, 12, 9) for away in (8, 14, 20) if away < clear),
    *((False, away, 6) for away in (8, 14, 20, 28, 40, 60)),
]
TOUCHES_PX = 4
# Left (-1), over (0) or right (1) of the point, and below (-1), beside (0) or above (1) it.
SIDES = ((-1, 1), (1, -1), (0, 1), (0, -1), (-1, 0), (1, 0), (-1, -1), (1, 1))
HA, VA = {-1: "right", 0: "center", 1: "left"}, {-1: "top", 0: "center", 1: "bottom"}


def write_at(axes: Axes, at: Point, text: str, *, shift_px: Point = (0, 0), **looks: Any) -> Annotation:
    """Write a text some pixels from a point of the data."""
    shift_points = (shift_px[0] * 72 / DPI, shift_px[1] * 72 / DPI)
    looks = {"size": 8, "rotation_mode": "anchor", "annotation_clip": False, **looks}
    return axes.annotate(text, at, shift_points, textcoords="offset points", zorder=5, **looks)


def name_curve(curve: Line2D, text: str, *, from_end: bool = False, **looks: Any) -> None:
    """Write a name beside one of a curve's points, near its start or its end; where nothing is free, at the very end.

    Call it when all lines are drawn and the axes have their limits.
    """
    points = [(float(x), float(y)) for x, y in curve.get_xydata()][:: -1 if from_end else 1]
    looks = {"color": curve.get_color(), **looks}
    for is_nearest, away, clear in TRIES:
        for at, (right, above) in product(points, SIDES):
            by = away / (2**0.5 if right and above else 1)
            shift = {"shift_px": (right * by, above * by), "ha": HA[right], "va": VA[above]}
            name = write_at(curve.axes, at, text, **shift, **looks)
            if _is_free(name, curve, clear, is_nearest):
                return
            name.remove()
    write_at(curve.axes, points[0], text, shift_px=(0, 10), ha="center", va="bottom", **looks)


def _is_free(name: Annotation, own: Line2D, clear: float, is_nearest: bool) -> bool:
    """Return whether a name is in the panel, clear of lines and texts, and its own curve the nearest if it is to be."""
    axes, renderer = own.axes, own.figure.canvas.get_renderer()
    box = name.get_window_extent(renderer)
    around, panel = box.padded(clear), axes.get_window_extent(renderer)
    return (
        (panel.x0 <= box.x0 and box.x1 <= panel.x1 and panel.y0 <= box.y0 and box.y1 <= panel.y1)
        and not _meets([own], box.padded(TOUCHES_PX))
        and (not is_nearest or _meets([own], around))
        and not _meets((line for line in axes.lines if line is not own), around)
        and not any(around.overlaps(other.get_window_extent(renderer)) for other in axes.texts if other is not name)
    )


def _meets(lines: Iterable[Line2D], box: Any) -> bool:
    return any(line.get_path().transformed(line.get_transform()).intersects_bbox(box, filled=False) for line in lines)
