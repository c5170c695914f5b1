"""Compare the speed of training with what is stored: narrows beside a plain PyTorch loop, in CPU seconds.

    python bench/training/quick.py            measure, and compare with bench/training-quick.json; under two minutes
    python bench/training/quick.py --store    measure, and store the ratios

Each workload runs for some steps with one thread, narrows and the loop in turns, in one process. A ratio of CPU seconds
depends little on what else the machine does, and medians of the rounds count. The exit status is 1 if a ratio is below
``TOLERATED`` of the stored one: then narrows has become slower, or PyTorch faster. Images are random: speed does not
depend on them.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset
from torch_side import build
from workloads import WORKLOADS, Workload

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from recipes import machine

import narrows

STORED = Path(__file__).resolve().parents[1] / "training-quick.json"
TOLERATED, ROUNDS = 0.75, 3
STEPS = {"deep-tied": 250, "dense": 60, "simple": 90, "conv-denoising": 6, "cvae": 8}


def seconds_of_narrows(workload: Workload, images: Any, epochs: int) -> float:
    """Return the CPU seconds of a median epoch, the first one left out."""
    changes = {"training__epochs": epochs + 1, "training__threads": 1, "artefacts": (), "random_state": 0}
    model, ends = narrows.recipe(workload.recipe, **changes), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # random images are no data to learn from
        model.fit(images, callback=lambda row: ends.append(time.process_time()))
    return statistics.median(after - before for before, after in itertools.pairwise(ends))


def seconds_of_loop(workload: Workload, images: Any, epochs: int) -> float:
    """Return the CPU seconds of a median epoch of a plain loop, the first one left out."""
    torch.manual_seed(0)
    x = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255)
    _, loss_of, optimiser = build(workload.recipe, x.mean(0))
    loader, found = DataLoader(TensorDataset(x), batch_size=workload.batch_size, shuffle=True), []
    for _ in range(epochs + 1):
        began = time.process_time()
        for (batch,) in loader:
            optimiser.zero_grad()
            loss_of(batch).backward()
            optimiser.step()
        found.append(time.process_time() - began)
    return statistics.median(found[1:])


def ratio_of(workload: Workload) -> float:
    """Return how many times faster narrows is than the loop."""
    n = STEPS[workload.recipe] * workload.batch_size
    images = np.random.default_rng(0).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    sides = (seconds_of_loop, seconds_of_narrows)
    rounds = [[side(workload, images, 1) for side in sides] for _ in range(ROUNDS)]
    theirs, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    return theirs / ours


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true")
    torch.set_num_threads(1)
    store = parser.parse_args().store
    stored = {} if store else json.loads(STORED.read_text())["ratios"]
    ratios, slower = {}, []
    for name, workload in WORKLOADS.items():
        ratios[name] = round(ratio_of(workload), 3)
        print(f"{name:15} {ratios[name]:.2f} times a plain loop", f"(stored {stored[name]:.2f})" if stored else "")
        if stored and ratios[name] < TOLERATED * stored[name]:
            slower.append(name)
    if store:
        row = {"ratios": ratios, "machine": machine(), "date": datetime.date.today().isoformat()}
        STORED.write_text(json.dumps(row, indent=1) + "\n")
    if slower:
        print(f"Slower than stored: {', '.join(slower)}.", file=sys.stderr)
    return bool(slower)


if __name__ == "__main__":
    sys.exit(main())
