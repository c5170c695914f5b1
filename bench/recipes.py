"""Train every recipe on MNIST with the settings of its source, and measure it on the test set.

    python bench/recipes.py                    all rows, about half an hour on two cores
    python bench/recipes.py --only auto dense  some of them

Writes bench/recipes.json (rows of earlier runs are kept, so that rows can be run one by one) and bench/recipes.md.
Needs MNIST: see `narrows train --help`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import narrows
import narrows.data

HERE = Path(__file__).parent
RESULTS = HERE / "recipes.json"
MODELS = HERE / "models"  # kept for bench/documents.py, which draws the pictures of the documentation


@dataclass(frozen=True)
class Row:
    """A recipe, what it is measured by, what it must reach, and what its source reaches."""

    recipe: str
    metric: str
    target: float
    source: str
    changes: dict[str, Any] = field(default_factory=dict)
    corrupted: bool = False
    name: str = ""

    @property
    def label(self) -> str:
        return self.name or self.recipe


ROWS = [
    Row("deep-tied", "sse_per_record", 13.47, "TensorFlow original 13.47"),
    Row("dense", "cross_entropy_per_value", 0.083, "Keras original 0.0825"),
    Row("simple", "cross_entropy_per_value", 0.101, "Keras original 0.1007"),
    Row("vanilla", "sse_per_record", 13.19, "PCA 13.19"),
    Row("vanilla", "sse_per_record", 13.19, "PCA 13.19", {"likelihood": "laplace"}, name="vanilla, L1"),
    Row("conv", "sse_per_record", 13.19, "below vanilla"),
    Row(
        "conv-denoising",
        "cross_entropy_per_value",
        0.099,
        "Keras original 0.0993",
        {"training__epochs": 10},
        corrupted=True,
        name="conv-denoising, 10 epochs",
    ),
    Row("auto", "sse_per_record", 3.6, "PCA 13.19"),
    Row("hinton2006", "sse_per_record", 3.0, "Hinton and Salakhutdinov 3.00, PCA 13.87"),
]


def measure(row: Row, train: narrows.data.Source, test: narrows.data.Source) -> dict[str, Any]:
    """Train one row and return its numbers on the test set."""
    model = narrows.recipe(row.recipe, random_state=0, **row.changes)
    began = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - began
    metrics = narrows.evaluate(model, test, corrupted=row.corrupted)
    MODELS.mkdir(exist_ok=True)
    model.save(path_of(row.label), force=True)
    return {
        "recipe": row.label,
        "changes": {name: repr(value) for name, value in row.changes.items()},
        "n_latent": model.n_latent_,
        "epochs": len(model.history_),
        "training_seconds": round(sum(epoch["seconds"] for epoch in model.history_), 1),
        "fit_seconds": round(seconds, 1),
        "metric": row.metric,
        "measured": metrics[row.metric],
        "must_reach": row.target,
        "source": row.source,
        "metrics": metrics,
        "machine": machine(),
        "command": "python " + shlex.join(["bench/recipes.py", "--only", row.label]),
        "date": datetime.date.today().isoformat(),
    }


def path_of(label: str) -> Path:
    """Return where the model of a row is kept."""
    return MODELS / f"{label.replace(', ', '-').replace(' ', '-')}.safetensors"


def machine() -> dict[str, Any]:
    """Describe what the numbers were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "narrows": narrows.__version__,
    }


def stored() -> dict[str, dict[str, Any]]:
    """Return the results so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| recipe | code | epochs | training | squared error per image | cross-entropy per pixel "
        "| PCA, same code | source |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        if row.label not in results:
            continue
        result = results[row.label]
        metrics = result["metrics"]
        error, cross = f"{metrics['sse_per_record']:.2f}", f"{metrics['cross_entropy_per_value']:.4f}"
        error, cross = (f"**{error}**", cross) if row.metric == "sse_per_record" else (error, f"**{cross}**")
        pca = "0" if metrics["pca_sse_per_record"] < 1e-3 else f"{metrics['pca_sse_per_record']:.2f}"
        lines.append(
            f"| `{row.recipe}`{row.label[len(row.recipe) :]} | {result['n_latent']} | {result['epochs']} "
            f"| {result['training_seconds']:.0f} s | {error} | {cross} | {pca} | {row.source} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=[row.label for row in ROWS])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    train, test = narrows.data.open("mnist:train"), narrows.data.open("mnist:test")
    for row in ROWS:
        if arguments.only and row.label not in arguments.only:
            continue
        result = measure(row, train, test)
        results = {**stored(), row.label: result}
        verdict = "reached" if result["measured"] <= row.target else "MISSED"
        print(
            f"{row.label:28} {row.metric} {result['measured']:.5f}, must reach {row.target}: {verdict}; "
            f"training {result['training_seconds']} s, {result['epochs']} epochs",
            flush=True,
        )
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        (HERE / "recipes.md").write_text(table(results))
    print(table(stored()), file=sys.stderr)


if __name__ == "__main__":
    main()
