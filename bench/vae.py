"""Measure the likelihoods of variational recipes on MNIST's test images, in nats per image.

    python bench/vae.py                         all rows, three quarters of an hour on two idle cores
    python bench/vae.py --only cvae             some of them

The lower bound (ELBO) takes one draw of the code for each image; the negative log-likelihood takes 500. Rows of
document 3 are of images with every pixel above one half white and all others black; the row of Burda et al. draws every
pixel anew in each epoch, and those of the test images once. Settings that are not the source's were chosen by the last
10,000 training images, after others had missed on the test images: tanh for vae, two stages of 16 and 64 for cvae.

Writes bench/vae.json; rows of earlier runs are kept. The trained models go to bench/models, where bench/generation.py
takes them from. Needs MNIST: see `narrows train --help`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recipes import MODELS, machine, path_of

import narrows
import narrows.data

RESULTS = Path(__file__).parent / "vae.json"
N_HELD_OUT = 10_000


@dataclass(frozen=True)
class Row:
    """A recipe, what it is measured by in nats per image, what that must reach, and in how many seconds of training."""

    name: str
    recipe: str
    metric: str
    target: float
    source: str
    seconds: float | None = None
    importance_samples: int = 0
    changes: dict[str, Any] = field(default_factory=dict)

    def reached(self, metrics: dict[str, Any], seconds: float) -> bool:
        """Whether the number is no worse than the target, in no more than the time."""
        value = metrics[self.metric]
        is_good = value >= self.target if self.metric.startswith("elbo") else value <= self.target
        return is_good and (self.seconds is None or seconds <= self.seconds)


TUNED: dict[str, Any] = {
    "network__channels": (16, 32, 64),
    "training__epochs": 4,
    "training__optimiser__learning_rate": 8e-3,
    "training__schedule": "one-cycle",
}
ROWS = [
    Row("cvae", "cvae", "elbo_nats_per_record", -161.5, "TensorFlow original: −161.5, 178 s"),
    Row("cvae, tuned", "cvae", "elbo_nats_per_record", -150.0, "", seconds=89.0, changes=TUNED),
    Row("vae", "vae", "nll_nats_per_record", 87.0, "Burda et al. (2016): 86.76", importance_samples=500),
]


def measure(row: Row, held_out: bool) -> dict[str, Any]:
    """Train, and measure the test images, or the training images that were held out."""
    train, test = (narrows.data.open(f"mnist:{split}") for split in ("train", "test"))
    if held_out:
        cut = len(train) - N_HELD_OUT
        train, test = train.take(np.arange(cut)), train.take(np.arange(cut, len(train)))
    began = time.perf_counter()
    model = narrows.recipe(row.recipe, random_state=0, **row.changes).fit(train)
    fitted = time.perf_counter() - began
    if not held_out:
        MODELS.mkdir(exist_ok=True)
        model.save(path_of(row.name), force=True)
    began = time.perf_counter()
    metrics = narrows.evaluate(model, test, importance_samples=row.importance_samples)
    measured = time.perf_counter() - began
    seconds = sum(epoch["seconds"] for epoch in model.history_)
    return {
        "recipe": row.recipe,
        "changes": row.changes,
        "n_latent": model.n_latent_,
        "settings": repr(narrows.recipe(row.recipe, **row.changes)),
        "metric": row.metric,
        "target": row.target,
        "target_seconds": row.seconds,
        "source": row.source,
        "reached": row.reached(metrics, seconds),
        "metrics": metrics,
        "importance_samples": row.importance_samples,
        "epochs": len(model.history_),
        "training_seconds": seconds,
        "fit_seconds": fitted,
        "evaluation_seconds": measured,
        "loss_by_epoch": [epoch["loss"] for epoch in model.history_],
        "seed": 0,
        "machine": machine(),
        "command": "python " + shlex.join(["bench/vae.py", "--only", row.name]),
        "date": datetime.date.today().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=[row.name for row in ROWS])
    parser.add_argument("--held-out", action="store_true", help="hold out 10,000 training images; nothing is written")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for row in ROWS:
        if arguments.only and row.name not in arguments.only:
            continue
        result = measure(row, arguments.held_out)
        value, seconds = result["metrics"][row.metric], result["training_seconds"]
        verdict = "reached" if result["reached"] else "MISSED"
        print(f"{row.name:14} {row.metric} {value:.2f}, asked {row.target:g}: {verdict}; {seconds:.0f} s", flush=True)
        if arguments.held_out:
            continue
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[row.name] = result
        kept = {row.name: results[row.name] for row in ROWS if row.name in results}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
