"""The rate-distortion picture: a panel a set, a curve a method, each with its name beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from needed import Curve, curves
from records import SETS

from narrows import pictures
from narrows.pictures.style import ACCENT, CLASSES, DPI, MUTED, axes_at, new_figure, style, text_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

SHEETS = {
    "AVIF, sheet": CLASSES[2],
    "WebP, sheet": CLASSES[9],
    "JPEG XL, sheet": CLASSES[0],
    "JPEG, sheet": CLASSES[7],
}
TRAINED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "PCA + range coder": (CLASSES[1], "PCA + range coder", {"shift_px": (12, -8), "ha": "left", "va": "top"}),
    "PQ": (CLASSES[4], "product\nquantisation", {"shift_px": (-8, 12), "ha": "right", "va": "bottom"}),
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
    """Draw the curves from the least to the most important, and name them where they leave the panel or end."""
    for method, (name, looks) in EXACT.items():
        if method in its:
            n_bytes = its[method].points[0][0]
            axes.axvline(n_bytes, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1.6)
            _text(axes, (n_bytes, PSNR_DB[0]), name, MUTED, rotation=90, ha="left", **looks)
    for method in EACH:
        if method in its:
            axes.plot(*_xy(its[method]), color=MUTED, alpha=0.3, linewidth=1.4, zorder=1.5)
    for method, colour in SHEETS.items():
        if method in its:
            axes.plot(*_xy(its[method]), color=colour, marker="o", markersize=2)
    _at_top(axes, [(its[method], method.removesuffix(", sheet"), SHEETS[method]) for method in SHEETS if method in its])
    for method, (colour, name, looks) in TRAINED.items():
        if method in its:
            axes.plot(*_xy(its[method]), color=colour, marker="o", markersize=2)
            _text(axes, its[method].points[0], name, colour, **looks)
    for method, curve in its.items():
        if method.startswith("narrows"):
            axes.plot(*_xy(curve), color=ACCENT, linewidth=2.6, marker="o", markersize=4.5, zorder=4)
            is_dense = method != "narrows"  # below its curve, where the other's is not
            _text(
                axes,
                curve.points[-1],
                method,
                ACCENT,
                shift_px=(12, -6) if is_dense else (-14, 8),
                ha="left" if is_dense else "right",
                va="top" if is_dense else "bottom",
                weight="bold",
                size=10,
            )


def _xy(curve: Curve) -> tuple[Sequence[float], Sequence[float]]:
    n_bytes, psnr = zip(*curve.points, strict=True)
    return n_bytes, psnr


def _at_top(axes: Axes, named: Sequence[tuple[Curve, str, str]]) -> None:
    """Name curves where they leave the panel, side by side, or above their last point if they don't."""
    low, high = np.log(axes.get_xlim())
    free = 0.0  # pixels from the left edge from which on there is room
    for curve, name, colour in sorted(named, key=lambda one: one[0].needed(PSNR_DB[1]).n_bytes or np.inf):
        leaves = curve.needed(PSNR_DB[1]).n_bytes
        if leaves is None:
            _text(axes, curve.points[-1], name, colour, shift_px=(0, 10), ha="center", va="bottom")
            continue
        at = (np.log(leaves) - low) / (high - low) * WIDTH
        shift = max(at, free) - at
        free = at + shift + SPACE
        _text(axes, (leaves, PSNR_DB[1]), name, colour, shift_px=(shift, 8), rotation=60, ha="left", va="bottom")


def _text(
    axes: Axes, at: tuple[float, float], text: str, colour: str, *, shift_px: tuple[float, float], **looks: Any
) -> None:
    shift_points = (shift_px[0] * 72 / DPI, shift_px[1] * 72 / DPI)
    looks = {"size": 8, "color": colour, "rotation_mode": "anchor", "annotation_clip": False, **looks}
    axes.annotate(text, at, shift_points, textcoords="offset points", zorder=5, **looks)
