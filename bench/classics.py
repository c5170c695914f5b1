"""Train the classics with the settings of their sources, and set the numbers beside those published.

    python bench/classics.py                    all rows, half an hour on two cores
    python bench/classics.py --only da-0        some of them

Writes bench/classics.json (rows of earlier runs are kept) and, of the rows in float64, the filters as the tutorial's
picture of 10×10 to docs/pictures. Needs MNIST: see `narrows train --help`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from recipes import machine

import narrows
import narrows.data
from narrows import pictures

HERE = Path(__file__).parent
RESULTS = HERE / "classics.json"
PICTURES = HERE.parent / "docs" / "pictures"
N_TRAIN = 50_000  # of the 60,000 images; the tutorials validate on the others


@dataclass(frozen=True)
class Row:
    """A run of the denoising autoencoder, its training cost published by epoch, and how near it must come."""

    name: str
    level: float
    precision: str
    published: dict[int, float]
    within: float

    @property
    def changes(self) -> dict[str, Any]:
        return {"corruption__level": self.level, "training__precision": self.precision}


CLEAN, MASKED = {1: 63.289, 2: 55.787, 15: 52.440}, {1: 81.75, 15: 65.6}
ROWS = [
    Row("da-0", 0.0, "float64", CLEAN, 0.01),
    Row("da-30", 0.3, "float64", MASKED, 0.3),
    Row("da-0-float32", 0.0, "float32", CLEAN, 0.01),
    Row("da-30-float32", 0.3, "float32", MASKED, 0.3),
]


def measure(row: Row, images: narrows.data.Source) -> dict[str, Any]:
    """Train one row, draw its filters, and return its costs."""
    model = narrows.recipe("da", random_state=0, **row.changes).fit(images)
    if row.precision == "float64":
        weights = model.chain_.encoder.layers[0].weight.detach().numpy()
        figure = pictures.filters(weights, shape=model.shape_, tile=(10, 10))
        pictures.save(figure, PICTURES / f"{row.name}.png", force=True)
    costs = [epoch["loss"] for epoch in model.history_]
    return {
        "recipe": "da",
        "changes": row.changes,
        "records": len(images),
        "cost_by_epoch": costs,
        "published": row.published,
        "largest_difference": max(abs(costs[epoch - 1] - cost) for epoch, cost in row.published.items()),
        "within": row.within,
        "machine": machine(),
        "command": "python " + shlex.join(["bench/classics.py", "--only", row.name]),
        "date": datetime.date.today().isoformat(),
    }


def stored() -> dict[str, dict[str, Any]]:
    """Return the results so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=[row.name for row in ROWS])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    images = narrows.data.open("mnist:train", limit=N_TRAIN)
    for row in ROWS:
        if arguments.only and row.name not in arguments.only:
            continue
        result = measure(row, images)
        RESULTS.write_text(json.dumps({**stored(), row.name: result}, indent=1) + "\n")
        verdict = "reached" if result["largest_difference"] <= row.within else "MISSED"
        costs = ", ".join(f"{epoch}: {result['cost_by_epoch'][epoch - 1]:.3f}" for epoch in row.published)
        print(f"{row.name:16} cost by epoch {costs}; within {row.within}: {verdict}", flush=True)


if __name__ == "__main__":
    main()
