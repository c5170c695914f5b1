"""The common style of all pictures: colours, font sizes, and layout in whole pixels."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT",
    "CLASSES",
    "DPI",
    "FAINT",
    "INK",
    "MUTED",
    "PAPER",
    "axes_at",
    "axes_in_pixels",
    "new_figure",
    "style",
    "text_at",
    "text_width",
]

DPI = 200
PAPER, INK, MUTED, FAINT = "#ffffff", "#1f2430", "#6b7280", "#dde1e7"
ACCENT = "#d1495b"

CLASSES = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9",
)  # fmt: skip
"""Ten colours that can be distinguished with colour-vision deficiencies: seaborn's ``colorblind`` (Waskom 2021)."""

_FAMILIES = ("Inter", "Source Sans 3", "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans")


def style() -> AbstractContextManager[None]:
    """Return a context in which Matplotlib uses this style; at its end the settings are restored.

    Text is never parsed as mathematics, so that a ``$`` in a label or a file name is drawn as ``$``.
    """
    import matplotlib

    settings: Any = {
        "font.family": [_family()],
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.labelsize": 8,
        "axes.facecolor": PAPER,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": MUTED,
        "axes.titlecolor": INK,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "figure.facecolor": PAPER,
        "figure.edgecolor": PAPER,
        "grid.color": FAINT,
        "grid.linewidth": 0.5,
        "grid.linestyle": "-",
        "legend.frameon": False,
        "legend.fontsize": 8,
        "lines.linewidth": 1.4,
        "lines.solid_capstyle": "round",
        "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
        "svg.hashsalt": "narrows",  # the same picture gives the same bytes
        "text.color": INK,
        "text.parse_math": False,
        "text.usetex": False,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.minor.visible": False,
        "ytick.minor.visible": False,
    }
    context: AbstractContextManager[None] = matplotlib.rc_context(settings)
    return context


def new_figure(width: int, height: int) -> Figure:
    """Return an empty figure of `width` × `height` pixels at 200 dots per inch, with its own canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Figure, left: int, top: int, width: int, height: int) -> Axes:
    """Return axes over exactly these pixels of the figure, counted from its upper left corner."""
    full_width, full_height = _size_px(figure)
    return figure.add_axes(
        (left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height)
    )


def axes_in_pixels(figure: Figure) -> Axes:
    """Return axes over the whole figure without lines or labels, in pixels counted from its upper left corner."""
    width, height = _size_px(figure)
    figure.suppressComposite = True  # SVG and PDF keep each image, in its own pixels
    axes = axes_at(figure, 0, 0, width, height)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return axes


def text_at(figure: Figure, left: float, top: float, text: str, **arguments: Any) -> None:
    """Write `text` at this pixel of the figure, counted from its upper left corner."""
    full_width, full_height = _size_px(figure)
    figure.text(left / full_width, 1 - top / full_height, text, **arguments)


@lru_cache(maxsize=1024)  # computing outlines is slow, and pictures repeat their labels
def text_width(text: str, *, size: float = 8, weight: str = "normal") -> int:
    """Return the width in pixels of `text` at `size` points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0
    font = FontProperties(family=_family(), weight=weight)
    extent = TextPath((0, 0), text.replace("$", r"\$"), size=size, prop=font).get_extents()
    return int(extent.width * DPI / 72) + 1


def _size_px(figure: Figure) -> tuple[int, int]:
    width, height = figure.get_size_inches() * DPI
    return round(width), round(height)


@cache
def _family() -> str:
    """Return the first preferred font that is installed; DejaVu Sans comes with Matplotlib."""
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    return next(family for family in _FAMILIES if family in there or family == "DejaVu Sans")
