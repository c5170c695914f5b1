"""Time narrows on the five workloads, and the commands that reach the originals' quality sooner.

    python bench/training/narrows_side.py WORKLOAD FOLDER --steps N --threads T
    python bench/training/narrows_side.py WORKLOAD FOLDER --tuned --threads T

Prints JSON. ``--tuned`` calls the command of the workload and measures its model on the test images. `cpu_seconds` are
the CPU seconds from reading the data to the end of the training, as far as the quality needs; those of the whole
command, which then makes artefacts and writes the model, stand beside them. Imports are not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from workloads import WORKLOADS, Workload

import narrows
from narrows import cli

KEYS = {
    "sse": "sse_per_record",
    "ce": "cross_entropy_per_value",
    "ce, noisy": "cross_entropy_per_value",
    "elbo": "elbo_nats_per_record",
}


def speed(workload: Workload, folder: Path, n_steps: int) -> dict[str, Any]:
    """Return the steps per second of training, as the history has it; the first of two epochs is not counted."""
    images = np.load(folder / "train.npy")[: n_steps * workload.batch_size]
    model = narrows.recipe(workload.recipe, training__epochs=2, artefacts=(), random_state=0).fit(images)
    row = model.history_[-1]
    return {"steps_per_second": -(-len(images) // workload.batch_size) / row["seconds"], "threads": row["threads"]}


def tuned(workload: Workload) -> dict[str, Any]:
    """Call the command of a workload; return its time and what its model reaches on the test images."""
    import narrows.estimators.autoencoder  # so that its import is not counted
    from narrows.training.loop import Run

    ends: list[float] = []
    complete = Run.complete

    def timed(run: Run) -> Any:
        history = complete(run)
        ends.append(time.process_time())
        return history

    Run.complete = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        command = ["train", *workload.tuned, "-o", f"{folder}/model.safetensors", "-q"]
        began, cpu = time.perf_counter(), time.process_time()
        cli.main(command, standalone_mode=False)
        whole, whole_cpu = time.perf_counter() - began, time.process_time() - cpu
        model = narrows.load(f"{folder}/model.safetensors")
    metrics = narrows.evaluate(model, "mnist:test", corrupted=workload.measure == "ce, noisy")
    return {
        "command": " ".join(["narrows", "train", *workload.tuned, "-o", "model.safetensors"]),
        "epochs": len(model.history_),
        "training_seconds": round(sum(row["seconds"] for row in model.history_), 2),
        "command_seconds": round(whole, 2),
        "cpu_seconds": round(ends[-1] - cpu, 2),
        "command_cpu_seconds": round(whole_cpu, 2),
        "measured": metrics[KEYS[workload.measure]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    workload = WORKLOADS[arguments.workload]
    result = tuned(workload) if arguments.tuned else speed(workload, arguments.folder, arguments.steps)
    print(json.dumps({**result, "version": narrows.__version__}))


if __name__ == "__main__":
    main()
