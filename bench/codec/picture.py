"""The rate-distortion picture: a panel a set, a curve a method, each with its name beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from labels import name_curve, write_at
from rate_at_quality import Curve, curves
from records import SETS

from narrows import pictures
from narrows.pictures.style import ACCENT, CLASSES, MUTED, axes_at, new_figure, style, text_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["draw"]

SHEETS = {
    "AVIF, sheet": CLASSES[2],
    "WebP, sheet": CLASSES[9],
    "JPEG XL, sheet": CLASSES[0],
    "JPEG, sheet": CLASSES[7],
}
TRAINED = {
    "PCA + range coder": (CLASSES[1], "PCA + range coder"),
    "PQ": (CLASSES[4], "product\nquantisation"),
}
EXACT: dict[str, tuple[str, dict[str, Any]]] = {
    "xz, whole": ("xz, lossless", {"shift_px": (-5, 12), "va": "bottom"}),
    "zstd, each, dictionary": ("zstd, lossless", {"shift_px": (7, 12), "va": "top"}),
}
EACH = ("JPEG, each", "WebP, each", "JPEG XL, each", "AVIF, each")

N_BYTES = {"mnist": (2.5, 900), "fashion-mnist": (2.5, 900), "cifar10": (2.5, 3600)}
PSNR_DB = (14, 32)
LEFT, TOP, WIDTH, HEIGHT, GAP, BELOW = 130, 290, 800, 800, 75, 120  # pixels
SPACE = 34  # between slanted names, pixels
SAYING = (
    "10,000 test images each. Image codecs: all images in one sheet; pale, each image a file of its own. "
    "Dotted: what comes back is exact."
)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the sets that have rows."""
    names = [name for name in SETS if any(row["dataset"] == name for row in rows)]
    with style():
        figure = new_figure(LEFT + len(names) * (WIDTH + GAP), TOP + HEIGHT + BELOW)
        text_at(
            figure, LEFT, 36, "How many bytes a record takes, and what comes back", size=13, weight="bold", va="top"
        )
        text_at(figure, LEFT, 96, SAYING, size=8, color=MUTED, va="top")
        for place, name in enumerate(names):
            axes = axes_at(figure, LEFT + place * (WIDTH + GAP), TOP, WIDTH, HEIGHT)
            _frame(axes, name)
            _curves(
                axes, {curve.method: curve for curve in curves(_drawn(row) for row in rows if row["dataset"] == name)}
            )
            if place:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel("PSNR in dB")
        pictures.save(figure, path, force=True)


def _drawn(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it is drawn: both ways to quantise are one curve, the better of the two."""
    return {**row, "method": "PQ"} if row["method"] == "OPQ" else row


def _frame(axes: Axes, name: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set(xscale="log", xlim=N_BYTES[name], ylim=PSNR_DB, xlabel="bytes a record")
    axes.set_title(SETS[name], loc="left", fontsize=10)
    axes.set_xticks([tick for tick in (3, 10, 30, 100, 300, 1000, 3000) if N_BYTES[name][0] < tick < N_BYTES[name][1]])
    axes.set_yticks(range(15, PSNR_DB[1] + 1, 5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(True)


def _curves(axes: Axes, its: dict[str, Curve]) -> None:
    """Draw the curves from the least to the most important, then name them, the most important first."""
    for method in EACH:
        if method in its:
            axes.plot(*_xy(its[method]), color=MUTED, alpha=0.3, linewidth=1.4, zorder=1.5)
    thin = SHEETS | {method: colour for method, (colour, _) in TRAINED.items()}
    lines = {
        method: axes.plot(*_xy(its[method]), color=colour, marker="o", markersize=2)[0]
        for method, colour in thin.items()
        if method in its
    }
    ours = {
        method: axes.plot(*_xy(curve), color=ACCENT, linewidth=2.6, marker="o", markersize=4.5, zorder=4)[0]
        for method, curve in its.items()
        if method.startswith("narrows")
    }
    _exact(axes, its)
    for method, line in ours.items():
        size = 10 if method == "narrows" else 8
        name_curve(line, method.removeprefix("narrows, "), from_end=True, weight="bold", size=size)
    _at_top(axes, [(its[method], lines[method]) for method in SHEETS if method in its])
    for method, (_, name) in TRAINED.items():
        if method in its:
            name_curve(lines[method], name)


def _exact(axes: Axes, its: dict[str, Curve]) -> None:
    """Draw a dotted line, with its name along it, where what comes back is exact."""
    for method, (name, looks) in EXACT.items():
        if method in its:
            n_bytes = its[method].points[0][0]
            axes.axvline(n_bytes, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1.6)
            write_at(axes, (n_bytes, PSNR_DB[0]), name, color=MUTED, rotation=90, ha="left", **looks)


def _xy(curve: Curve) -> tuple[Sequence[float], Sequence[float]]:
    n_bytes, psnr = zip(*curve.points, strict=True)
    return n_bytes, psnr


def _at_top(axes: Axes, drawn: Sequence[tuple[Curve, Line2D]]) -> None:
    """Name curves where they leave the panel, side by side, or near their last point if they don't."""
    low, high = np.log(axes.get_xlim())
    free = 0.0  # pixels from the left edge from which on there is room
    for curve, line in sorted(drawn, key=lambda one: one[0].rate_at(PSNR_DB[1]).n_bytes or np.inf):
        name, leaves = curve.method.removesuffix(", sheet"), curve.rate_at(PSNR_DB[1]).n_bytes
        if leaves is None:
            name_curve(line, name, from_end=True)
            continue
        at = (np.log(leaves) - low) / (high - low) * WIDTH
        shift = max(at, free) - at
        free = at + shift + SPACE
        looks = {"color": line.get_color(), "rotation": 60, "ha": "left", "va": "bottom"}
        write_at(axes, (leaves, PSNR_DB[1]), name, shift_px=(shift, 8), **looks)
