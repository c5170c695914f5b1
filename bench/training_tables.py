"""The tables of docs/performance.md, from bench/training.json and bench/training-quick.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MUST = {"deep-tied": 2.0, "dense": 2.0, "simple": 2.0, "conv-denoising": 1.2, "cvae": 1.2}
"""How many times as fast as TensorFlow training must be."""


def training_tables() -> dict[str, str]:
    """Return the tables by the names of their markers."""
    results = json.loads((HERE / "training.json").read_text())
    quick = json.loads((HERE / "training-quick.json").read_text())
    return {
        "training:speeds": _speeds(results["speeds"]),
        "training:times": _times(results["times"]),
        "training:quick": _quick(quick["ratios"]),
        "training:sooner": f"{results['times']['deep-tied']['sooner_in_cpu']:.0f}",
    }


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def _speeds(speeds: dict[str, Any]) -> str:
    sides = ("narrows", "TensorFlow", "pythae", "PyTorch loop")
    rows = []
    for name, row in speeds.items():
        steps, ratios = row["steps_per_second"], row["ratios"]
        cells = [f"{steps[side]:.0f}" if side in steps else "" for side in sides]
        share = f"{ratios['products']:.0%}" if "products" in ratios else ""
        met = [f"{ratios[side]:.2f}" if side in ratios else "" for side in sides[1:]]
        rows.append([f"`{name}`", *cells, *met, f"{MUST[name]:g}", share])
    head = ["steps/s", *sides, "× TensorFlow", "× pythae", "× loop", "aim × TensorFlow", "share of the products"]
    return _table(head, rows)


def _times(times: dict[str, Any]) -> str:
    rows = []
    for name, row in times.items():
        if "sooner" in row:
            original, tuned = row["original"]["curve"][-1], row["tuned"]
            found = [f"{original[2]:.0f}", f"{tuned['cpu_seconds']:.1f}", f"{row['sooner_in_cpu']:.1f}"]
            measured = f"{original[1]:.4g} → {tuned['measured']:.4g}"
            rows.append([f"`{name}`", f"`{tuned['command']}`", *found, f"{row['must']:g}", measured])
    head = ["", "command", "CPU s of the original", "CPU s of narrows", "× sooner", "aim", "test quality"]
    return _table(head, rows) if rows else "Not measured yet: `python bench/training/run.py --times`."


def _quick(ratios: dict[str, float]) -> str:
    return _table(["", "× a plain loop"], [[f"`{name}`", f"{ratio:.2f}"] for name, ratio in ratios.items()])
