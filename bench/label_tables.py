"""The tables and numbers of docs/labels.md, from bench/labels.json and bench/probes.json."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

HERE = Path(__file__).parent


def label_numbers() -> dict[str, str]:
    """Return what belongs between the markers of pages, by their names."""
    methods = json.loads((HERE / "labels.json").read_text())["methods"]
    probes = json.loads((HERE / "probes.json").read_text())
    filled = {"few-labels": few_labels(methods), "probes": probed(probes["probes"])}
    for method, name in (("unlabelled", "labels"), ("labels alone", "labels alone")):
        filled |= {f"{name}:{n}": f"{errors(draws)} %" for n, draws in methods[method].items()}
    seconds = [row["seconds"] for row in methods["unlabelled"]["1000"].values()]
    return {**filled, "labels:1000:minutes": f"{median(seconds) / 60:.0f}"}


def errors(draws: dict[str, Any]) -> str:
    """Return the mean of the errors over draws of the labels, and their standard deviation, in percent."""
    found = [row["test_error_percent"] for row in draws.values()]
    return f"{mean(found):.2f}" + (f" ± {stdev(found):.2f}" if len(found) > 1 else "")


def few_labels(methods: dict[str, Any]) -> str:
    """Return the table of errors: a row for each number of labels that both methods were measured with."""
    lines = ["| labels | and images without labels | labels alone | draws |", "| --- | --- | --- | --- |"]
    for n, draws in methods["unlabelled"].items():
        alone = methods["labels alone"].get(n, {})
        if len(alone) == len(draws):
            lines.append(f"| {int(n):,} | {errors(draws)} % | {errors(alone)} % | {len(draws)} |")
    return "\n".join(lines)


def probed(rows: list[dict[str, Any]]) -> str:
    """Return the table of probes: their accuracy in percent."""
    cells: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        spread = "" if row["spread"] is None else f" ± {100 * row['spread']:.1f}"
        cells.setdefault((row["probe"], row["features"]), []).append(f"{100 * row['accuracy']:.1f}{spread}")
    lines = ["| | | 1 a class | 10 a class | 100 a class | all |", "| --- | --- | --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join([*names, *row])} |" for names, row in cells.items())])
