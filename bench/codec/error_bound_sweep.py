"""The dial from lossy over bounded to lossless: bytes an image of one model's archives, by the largest error allowed.

    OMP_NUM_THREADS=1 python bench/codec/error_bound_sweep.py          about three minutes
    python bench/codec/error_bound_sweep.py --draw                     the picture from the stored rows

Writes bench/codec-error-bound-sweep.json and docs/pictures/dial.png. Needs MNIST and the model `mnist-lossless`
(`train.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from archives import MODELS
from labels import write_at
from measuring import psnr_db
from records import open_records
from run import ROOT, this_run

import narrows
from narrows import pictures
from narrows.pictures.style import ACCENT, INK, MUTED, axes_at, new_figure, style, text_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULTS = ROOT / "bench" / "codec-error-bound-sweep.json"
BOUNDS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
LEFT, TOP, WIDTH, HEIGHT, BELOW = 150, 200, 1450, 640, 150  # pixels


def measured() -> list[dict[str, Any]]:
    """Return a row for each bound, and a last one for the code alone."""
    test = np.ascontiguousarray(open_records("mnist").test)
    model = narrows.load(MODELS / "mnist-lossless.safetensors", device="cpu")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.narrows"
        for bound in (*BOUNDS, None):
            how: dict[str, Any] = {} if bound is None else {"max_error": bound}
            summary = narrows.compress(test, path, model=model, force=True, **how)
            back = narrows.restore(path, model=model)
            largest = int(np.abs(back.astype(np.int16) - test).max())
            if bound is not None and largest > bound:
                raise ValueError(f"A value is off by {largest}, and may be by {bound}.")
            rows.append(
                {
                    "max_error": bound,
                    "bytes_per_record": summary.bytes_per_record,
                    "largest_error": largest,
                    "psnr_db": psnr_db(test, back) if largest else None,
                }
            )
            print(rows[-1], flush=True)
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw bytes over the bound, with the PSNR at each point."""
    with style():
        figure = new_figure(LEFT + WIDTH + 60, TOP + HEIGHT + BELOW)
        text_at(figure, LEFT, 36, "One dial from lossy to lossless", size=13, weight="bold", va="top")
        saying = "10,000 test images of MNIST, one model. How far off any value may be, and what an image then takes."
        text_at(figure, LEFT, 96, saying, size=8, color=MUTED, va="top")
        axes = axes_at(figure, LEFT, TOP, WIDTH, HEIGHT)
        n_bytes = [row["bytes_per_record"] for row in rows]
        axes.plot(range(len(rows)), n_bytes, color=ACCENT, linewidth=2.6, marker="o", markersize=5, zorder=4)
        for place, row in enumerate(rows):
            _label(axes, place, row)
        axes.set(yscale="log", xlim=(-0.8, len(rows) - 0.3), ylim=(min(n_bytes) / 1.5, max(n_bytes) * 1.7))
        axes.set_xticks(
            range(len(rows)), ["any" if row["max_error"] is None else str(row["max_error"]) for row in rows]
        )
        ticks = [tick for tick in (3, 10, 30, 100, 300) if min(n_bytes) / 1.5 < tick < max(n_bytes) * 1.7]
        axes.set_yticks(ticks, [f"{tick}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(True, axis="y")
        axes.set_ylabel("bytes an image, of 784")
        axes.set_xlabel("largest error of a value, of 255")
        pictures.save(figure, path, force=True)


def _label(axes: Axes, place: int, row: dict[str, Any]) -> None:
    at = (place, row["bytes_per_record"])
    write_at(axes, at, f"{row['bytes_per_record']:.1f}", shift_px=(8, 14), ha="left", weight="bold", color=INK)
    said = "exact" if row["psnr_db"] is None else f"{row['psnr_db']:.1f} dB"
    write_at(axes, at, said, shift_px=(-8, -14), ha="right", va="top", color=MUTED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", action="store_true")
    if not parser.parse_args().draw:
        results: dict[str, Any] = {**this_run(), "command": "python bench/codec/error_bound_sweep.py"}
        results["machine"]["threads"] = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
        RESULTS.write_text(json.dumps({**results, "rows": measured()}, indent=1) + "\n")
    draw(json.loads(RESULTS.read_text())["rows"], ROOT / "docs" / "pictures" / "dial.png")


if __name__ == "__main__":
    main()
