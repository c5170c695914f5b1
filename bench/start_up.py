"""Measure how long commands take that have little to do: what counts is what they import.

    python bench/start_up.py                nine rounds that alternate, two minutes
    python bench/start_up.py --rounds 3

`cpu_seconds` is the median of a command's CPU time, which is the time that it takes on a free machine, and changes by
a third if other processes share the core; `seconds` is the least time from start to end. `imports` is the share of
the CPU time of `narrows evaluate` that importing PyTorch and scikit-learn takes. Python's compiled files are written
by a first round, which is not counted. Results: bench/start-up.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recipes import machine

RESULTS = Path(__file__).with_name("start-up.json")
MUST = {"import narrows": 0.5, "narrows --help": 0.3, "narrows restore": 0.5, "narrows evaluate": 3.0}
BESIDE = "import torch, sklearn.base"


def commands(folder: str) -> dict[str, list[str]]:
    """Make a small model and a small archive, and return the commands by their names."""
    narrows = ["-m", "narrows"]
    model, archive = f"{folder}/m.safetensors", f"{folder}/a.narrows"
    train = ["train", "digits:train", "-o", model, "--latent", "8", "--epochs", "3", "-q"]
    compress = ["compress", "digits:test", "-m", model, "-o", archive, "--embed-model", "-q"]
    for command in (train, compress):
        run([*narrows, *command])
    return {
        "python": ["-c", "pass"],
        BESIDE: ["-c", BESIDE],
        "import narrows": ["-c", "import narrows"],
        "narrows --help": [*narrows, "--help"],
        "narrows restore": [*narrows, "restore", archive, "-o", f"{folder}/r.npy", "--force", "-q"],
        "narrows evaluate": [*narrows, "evaluate", "digits:test", "-m", model, "-q"],
    }


def run(command: list[str]) -> tuple[float, float]:
    """Run Python with one thread; return its CPU seconds, and the seconds from start to end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, env=environment, stdout=subprocess.PIPE)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        by_name = commands(folder)
        rounds = [{name: run(command) for name, command in by_name.items()} for _ in range(arguments.rounds + 1)][1:]
    rows = {
        name: {
            "cpu_seconds": round(statistics.median(one[name][0] for one in rounds), 3),
            "least_cpu_seconds": round(min(one[name][0] for one in rounds), 3),
            "seconds": round(min(one[name][1] for one in rounds), 3),
            "must": MUST.get(name),
        }
        for name in by_name
    }
    imports = rows[BESIDE]["cpu_seconds"] / rows["narrows evaluate"]["cpu_seconds"]
    results = {"rounds": arguments.rounds, "load": load, "commands": rows, "imports": round(imports, 2)}
    results |= {"machine": machine(), "date": datetime.date.today().isoformat()}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    for name, row in rows.items():
        print(name, row)


if __name__ == "__main__":
    main()
