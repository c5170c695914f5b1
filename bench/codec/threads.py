"""Time compress, restore and verify with one thread and with all, and the reading of single records.

    python bench/codec/threads.py                                  all models, some minutes
    python bench/codec/threads.py --records 10000 --rounds 3 --only mnist-dense

Each call is repeated in turns, and medians are written to bench/codec-threads.json: wall time, and CPU time of the
process (user and system). Their quotient is how many CPUs were used at a time; "load" is how many processes were
running at the start, which should be about 0. Needs MNIST and models in bench/models/codec (`train.py`).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from archives import MODELS
from records import open_records

import narrows
from narrows.archive import verify
from narrows.numerics.cpus import usable_cpus

RESULTS = Path(__file__).parents[1] / "codec-threads.json"
WAYS: dict[str, dict[str, Any]] = {"mnist-dense": {}, "mnist-26.5": {}, "mnist-lossless": {"lossless": True}}
READS = 25  # of single records


def seconds_of(call: Callable[[], Any]) -> tuple[float, float]:
    """Return wall time and CPU time of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(path: Path, options: dict[str, Any], images: np.ndarray, rounds: int, folder: Path) -> dict[str, Any]:
    """Return the times of a model."""
    model, archive, threads = narrows.load(path, device="cpu"), folder / "a.narrows", (1, usable_cpus())
    calls: dict[str, Callable[[int], Any]] = {
        "compress": lambda n: narrows.compress(images, archive, model=model, force=True, threads=n, **options),
        "restore": lambda n: narrows.restore(archive, model=model, threads=n),
        "verify": lambda n: verify(archive, model=model, threads=n),
    }
    narrows.compress(images[:64], archive, model=model, force=True, **options)
    turns: dict[tuple[str, int], list[tuple[float, float]]] = {}
    load, written = os.getloadavg()[0], set()
    for _ in range(rounds):
        for n in threads:
            for name, call in calls.items():
                turns.setdefault((name, n), []).append(seconds_of(lambda call=call, n=n: call(n)))
            written.add(archive.read_bytes())
    assert len(written) == 1, "the bytes depend on the number of threads"
    row: dict[str, Any] = {"model": path.stem, "records": len(images), "load": round(load, 2), **options}
    for name in calls:
        walls = [statistics.median(wall for wall, _ in turns[name, n]) for n in threads]
        cpus = [statistics.median(cpu for _, cpu in turns[name, n]) for n in threads]
        row[name] = {
            "threads": list(threads),
            "wall_seconds": [round(wall, 3) for wall in walls],
            "cpu_seconds": [round(cpu, 3) for cpu in cpus],
            "mb_per_s": [round(images.nbytes / 1e6 / wall, 2) for wall in walls],
            "speed_up": round(walls[0] / walls[1], 2),
        }
    return row | {"one_record_ms": round(1000 * one_record(archive, model), 2)}


def one_record(archive: Path, model: narrows.Autoencoder) -> float:
    """Return the median time to read one record of an open archive, each of another chunk."""
    with narrows.open_archive(archive, model=model) as opened:
        step = max(1, len(opened) // READS)
        return statistics.median(seconds_of(lambda i=i: opened[i])[0] for i in range(0, len(opened), step))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=WAYS, metavar="MODEL")
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the models")
    arguments = parser.parse_args()
    images = np.ascontiguousarray(open_records("mnist").train[: arguments.records])
    results: dict[str, Any] = {
        "command": "python " + shlex.join(["bench/codec/threads.py", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "machine": {"cpu": platform.processor(), "cpus": usable_cpus(), "python": platform.python_version()},
        "rows": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            path = arguments.models / f"{name}.safetensors"
            if not path.exists():
                print(f"{name} is left out: there is no {path}")
                continue
            results["rows"].append(measure(path, WAYS[name], images, arguments.rounds, Path(folder)))
            print(json.dumps(results["rows"][-1]), flush=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
