"""Draw the time to quality of every workload: the original's curve, and what the tuned command reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workloads import WORKLOADS

from narrows.pictures import save
from narrows.pictures.style import ACCENT, FAINT, INK, new_figure, style

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "time-to-quality.png"
_IN_A_LINE = 3  # panels
_WIDTH, _HEIGHT = 1000, 760  # pixels of a workload
NAMES = {
    "sse": "squared error of an image",
    "ce": "cross-entropy of a pixel",
    "ce, noisy": "cross-entropy, noisy images",
    "elbo": "bound, nats of an image",
}


def draw(times: dict[str, Any]) -> None:
    """Draw the rows of bench/training.json that have both sides."""
    rows = {name: row for name, row in times.items() if "sooner" in row}
    if not rows:
        return
    with style():
        n_lines = -(-len(rows) // _IN_A_LINE)
        figure = new_figure(_WIDTH * min(len(rows), _IN_A_LINE), _HEIGHT * n_lines)
        for place, (name, row) in enumerate(rows.items(), 1):
            axes = figure.add_subplot(n_lines, min(len(rows), _IN_A_LINE), place)
            curve, tuned = row["original"]["curve"], row["tuned"]
            seconds, quality = [point[2] for point in curve], [point[1] for point in curve]
            axes.plot(seconds, quality, marker="o", markersize=3, color=INK, label="the original, epoch by epoch")
            axes.axhline(quality[-1], color=FAINT, linewidth=1, zorder=0)
            axes.plot(
                tuned["cpu_seconds"], tuned["measured"], "*", markersize=13, color=ACCENT, label="narrows, at its end"
            )
            axes.set(xscale="log", xlabel="CPU seconds", ylabel=NAMES[WORKLOADS[name].measure])
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
            axes.xaxis.set_minor_formatter(lambda *_: "")
            if min(*quality, tuned["measured"]) > 0:
                axes.set_ylim(0, None)
            axes.set_title(f"{name}: {row['sooner_in_cpu']:.3g} times sooner", loc="left")
        figure.axes[0].legend(loc="lower right")
        figure.tight_layout()
        save(figure, PICTURE, force=True)
