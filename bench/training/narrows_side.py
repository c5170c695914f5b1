"""Time narrows on the five workloads, and the commands that reach the originals' quality sooner.

    python bench/training/narrows_side.py WORKLOAD FOLDER --steps N --threads T
    python bench/training/narrows_side.py WORKLOAD FOLDER --tuned --threads T

Prints JSON. ``--tuned`` types the command of the workload and measures its model on the test images. Its seconds are
those of training; those of the whole command, from its start to its end, and its CPU seconds stand beside them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from workloads import WORKLOADS, Workload

import narrows

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
    """Type the command of a workload; return its time and what its model reaches on the test images."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["train", *workload.tuned, "-o", f"{folder}/model.safetensors", "-q"]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "narrows", *command], check=True)
        whole, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        model = narrows.load(f"{folder}/model.safetensors")
    metrics = narrows.evaluate(model, "mnist:test", corrupted=workload.measure == "ce, noisy")
    return {
        "command": " ".join(["narrows", "train", *workload.tuned, "-o", "model.safetensors"]),
        "epochs": len(model.history_),
        "training_seconds": round(sum(row["seconds"] for row in model.history_), 2),
        "command_seconds": round(whole, 2),
        "command_cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
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
