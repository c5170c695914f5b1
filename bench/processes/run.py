"""Measure how much faster two processes train than one, each with one thread, on the convolutional denoising network.

    python bench/processes/run.py                 five rounds that alternate, a few minutes
    python bench/processes/run.py --rounds 9

Each process has batches of 128 images of MNIST, as the document has it. `records_per_second` is that of the second of
two trainings of an epoch. On a machine where others work, two processes wait for each other and for a core, and one
does not; `records_per_cpu_second` is what a process learns in a second of its own time, which includes what it sends
and receives, and leaves out waiting. Twice its ratio is what two free cores give at most. `load` is the number of
processes that were running or waiting before the round. Results: bench/processes.json. Needs MNIST: see `narrows
train --help`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from recipes import machine  # noqa: E402 - the folder above is not a package

RESULTS = HERE.parent / "processes.json"
BATCH_SIZE, STEPS, MUST = 128, 30, 1.6


def worker(folder: Path) -> None:
    """Train twice in this process, which may be one of several, and write what the second training took."""
    import torch

    import narrows
    from narrows.numerics.processes import processes
    from narrows.training.process_group import process_group

    torch.set_num_threads(1)
    with process_group(torch.device("cpu")):
        together = processes()
        images = narrows.data.open("mnist:train").values[: together.n * BATCH_SIZE * STEPS]
        for _ in range(2):
            settings = {"training__epochs": 1, "training__batch_size": BATCH_SIZE, "training__threads": 1}
            began = time.process_time()
            model = narrows.recipe("conv-denoising", artefacts=(), random_state=0, **settings).fit(images)
            seconds = time.process_time() - began
        row = model.history_[-1]
    result = {"n": len(images), "seconds": row["seconds"], "cpu_seconds": seconds, "loss": row["loss"]}
    (folder / f"{together.rank}.json").write_text(json.dumps(result))


def measure(n_processes: int) -> dict[str, float]:
    """Return what processes with one thread each learn in a second, and in a second of their time."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n_processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, *(start if n_processes > 1 else []), __file__, "--worker", name]
        subprocess.run(command, check=True, env=environment, capture_output=True)
        found = [json.loads(path.read_text()) for path in Path(name).iterdir()]
    assert len({one["loss"] for one in found}) == 1, "all processes have the same loss"
    cpu = max(one["cpu_seconds"] for one in found)
    return {
        "records_per_second": round(found[0]["n"] / max(one["seconds"] for one in found), 1),
        "records_per_cpu_second": round(found[0]["n"] / n_processes / cpu, 1),
    }


def median(rounds: list[dict[str, Any]], side: str, key: str) -> float:
    return statistics.median(one[side][key] for one in rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker)
        return
    rounds = []
    for _ in range(arguments.rounds):
        rounds.append({"load": os.getloadavg()[0], "one": measure(1), "two": measure(2)})
        print(rounds[-1], flush=True)
    wall = [one["two"]["records_per_second"] / one["one"]["records_per_second"] for one in rounds]
    cpu = median(rounds, "two", "records_per_cpu_second") / median(rounds, "one", "records_per_cpu_second")
    results: dict[str, Any] = {
        "workload": "conv-denoising",
        "batch_size": BATCH_SIZE,
        "steps": STEPS,
        "rounds": rounds,
        "ratio": round(statistics.median(wall), 2),
        "largest_ratio": round(max(wall), 2),
        "ratio_of_cpu": round(2 * cpu, 2),
        "must": MUST,
    }
    results |= {"machine": machine(), "date": datetime.date.today().isoformat()}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print({name: results[name] for name in ("ratio", "largest_ratio", "ratio_of_cpu")})


if __name__ == "__main__":
    main()
