"""Measure training speed beside the documents' programs, pythae and a plain PyTorch loop, and the time to quality.

    python bench/training/run.py                           speeds and times of all workloads, about an hour
    python bench/training/run.py --only dense simple       some workloads
    python bench/training/run.py --speed                   speeds only, a few minutes
    python bench/training/run.py --times                   times to quality only; what is stored is not measured again
    python bench/training/run.py --times --sides tuned     one side: "original" or "tuned"

The sides run one after the other, in ROUNDS rounds that alternate, each in a process of its own with the same number of
threads; medians count. TensorFlow runs in an environment that this program makes at first use, bench/training/.venv;
pythae is installed beside it, without what narrows has already. Rows are kept as they are measured, in
bench/training.json, each side of a time to quality by itself: a run that was stopped continues where it was, and
``--again`` measures what is stored once more. The times to quality are drawn in docs/pictures/time-to-quality.png.
Needs MNIST: see `narrows train --help`.
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
import venv
from pathlib import Path
from typing import Any

import numpy as np
from picture import draw
from workloads import WORKLOADS, Workload

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from recipes import machine  # noqa: E402 - the folder above is not a package

import narrows.data  # noqa: E402

RESULTS = HERE.parent / "training.json"
TENSORFLOW, PYTHAE = HERE / ".venv", HERE / ".venv-pythae"
ROUNDS = 5
TIMED = ("original", "tuned")
STEPS = {"deep-tied": 1500, "dense": 230, "simple": 230, "conv-denoising": 30, "cvae": 60}
SIDES = ("narrows", "TensorFlow", "pythae", "PyTorch loop", "products")
SCRIPTS = {"narrows": "narrows_side", "TensorFlow": "tensorflow_side", "pythae": "pythae_side"}
PYTHAE_NEEDS = ("cloudpickle", "imageio", "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "tqdm")


def make_environments() -> None:
    """Install TensorFlow and pythae where the sides look for them."""
    if not TENSORFLOW.exists():
        venv.create(TENSORFLOW, with_pip=True)
        subprocess.run([TENSORFLOW / "bin" / "pip", "install", "--quiet", "tensorflow-cpu"], check=True)
    if not PYTHAE.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(PYTHAE)]
        subprocess.run([*pip, "pythae", *PYTHAE_NEEDS], check=True)


def side(name: str, workload: Workload, folder: Path, threads: int, *more: str) -> dict[str, Any]:
    """Run a side and return what it prints."""
    script = {"narrows": "narrows_side", "TensorFlow": "tensorflow_side", "pythae": "pythae_side"}.get(
        name, "torch_side"
    )
    python = TENSORFLOW / "bin" / "python" if name == "TensorFlow" else sys.executable
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if name == "pythae":
        environment["PYTHONPATH"] = os.pathsep.join([str(PYTHAE), environment.get("PYTHONPATH", "")])
    options = [*more, "--threads", str(threads), *(["--products"] if name == "products" else [])]
    command = [python, HERE / f"{script}.py", workload.recipe, folder, *options]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def has(name: str, workload: Workload) -> bool:
    """Return whether a side has a workload."""
    if name == "pythae":
        return workload.recipe != "conv-denoising"
    return name != "products" or workload.recipe in ("deep-tied", "dense", "simple")


def speeds(workload: Workload, folder: Path, threads: int, rounds: int) -> dict[str, Any]:
    """Return the steps per second of each side, medians of rounds that alternate."""
    measured: dict[str, list[float]] = {name: [] for name in SIDES if has(name, workload)}
    versions = {}
    for _ in range(rounds):
        for name, values in measured.items():
            done = side(name, workload, folder, threads, "--steps", str(STEPS[workload.recipe]))
            values.append(round(done["steps_per_second"], 2))
            versions[name] = done.get("version", "")
    medians = {name: statistics.median(values) for name, values in measured.items()}
    ratios = {name: round(medians["narrows"] / value, 3) for name, value in medians.items() if name != "narrows"}
    row = {"threads": threads, "steps_per_second": medians, "rounds": measured, "ratios": ratios, "versions": versions}
    print(workload.recipe, threads, medians, ratios, flush=True)
    return row


def time_of(name: str, workload: Workload, folder: Path, threads: int, epochs: int | None) -> dict[str, Any]:
    """Return a side of the times to quality: the curve of the original program, or what the tuned command reaches."""
    if name == "tuned":
        return {**side("narrows", workload, folder, threads, "--tuned"), "threads": threads}
    done = side("TensorFlow", workload, folder, threads, "--epochs", str(epochs or workload.epochs))
    return {"curve": done["curve"], "threads": threads, "version": done["version"]}


def compared(workload: Workload, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the times to quality with how much sooner the tuned command is, once both sides are there.

    Other processes on the machine change seconds, and CPU seconds little. Of the command they count from reading the
    data to the end of the training; of the original those of its training steps.
    """
    if "original" in row and "tuned" in row:
        (seconds, quality, cpu), tuned = row["original"]["curve"][-1], row["tuned"]
        row |= {
            "sooner": round(seconds / tuned["training_seconds"], 2),
            "sooner_in_cpu": round(cpu / tuned["cpu_seconds"], 2),
            "reaches": workload.reaches(tuned["measured"], quality),
        }
    return {**row, "must": workload.sooner}


def stored() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"speeds": {}, "times": {}}


def keep(part: str, name: str, row: dict[str, Any]) -> None:
    """Add a row to bench/training.json."""
    results = stored()
    results[part][name] = row
    results |= {"machine": machine(), "date": datetime.date.today().isoformat()}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--speed", action="store_true", help="no training to the end")
    parser.add_argument("--times", action="store_true", help="no speeds")
    parser.add_argument("--sides", nargs="+", choices=TIMED, default=list(TIMED), help="of the times to quality")
    parser.add_argument("--again", action="store_true", help="measure times that are stored once more")
    parser.add_argument("--epochs", type=int, help="of the originals, for a trial: nothing is stored")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    make_environments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for split in ("train", "test"):
            np.save(folder / f"{split}.npy", narrows.data.open(f"mnist:{split}").values)
        for one in arguments.only:
            workload = WORKLOADS[one]
            if not arguments.times:
                keep("speeds", one, speeds(workload, folder, arguments.threads, arguments.rounds))
            for which in [] if arguments.speed else arguments.sides:
                if which in stored()["times"].get(one, {}) and not arguments.again and not arguments.epochs:
                    continue
                found = time_of(which, workload, folder, arguments.threads, arguments.epochs)
                print(one, which, found, flush=True)
                if not arguments.epochs:
                    keep("times", one, compared(workload, stored()["times"].get(one, {}) | {which: found}))
    draw(stored()["times"])


if __name__ == "__main__":
    main()
