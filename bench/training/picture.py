"""Draw the time to quality of every workload: the original's curve, and what the tuned command reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from workloads import WORKLOADS

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "time-to-quality.png"
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
    figure = Figure(figsize=(3.2 * len(rows), 3.2), layout="constrained")
    for axes, (name, row) in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows.items(), strict=True):
        curve, tuned = row["original"]["curve"], row["tuned"]
        axes.plot(
            [point[2] for point in curve], [point[1] for point in curve], "o-", ms=3, color="0.5", label="original"
        )
        axes.axhline(curve[-1][1], color="0.8", lw=1, zorder=0)
        axes.plot(tuned["cpu_seconds"], tuned["measured"], "*", ms=13, color="C0", label="narrows")
        axes.set(xscale="log", xlabel="CPU seconds", ylabel=NAMES[WORKLOADS[name].measure])
        axes.set_title(f"{name}: {row['sooner_in_cpu']:.3g} times sooner", fontsize=10)
    figure.axes[0].legend(fontsize=8)
    figure.savefig(PICTURE, dpi=110)
