"""Classify MNIST with 1,000 labels, by the plain command with its defaults; five draws of the labels.

    python bench/labels/run.py                  all draws, about 25 minutes on one core
    python bench/labels/run.py --draws 0 1      some of them; rows of earlier runs are kept
    python bench/labels/run.py --only unlabelled

For each draw:

    narrows classify train mnist --n-labels 1000 --seed DRAW -o few.safetensors
    narrows classify predict mnist:test -m few.safetensors -o classes.csv

The seed draws the labels, 100 of each digit, and the weights. The other 59,000 training images are used without their
labels, or left out for comparison (``labels alone``). The settings of the recipe `few-labels` were chosen on training
images 50,000 to 59,999, with labels drawn from the first 50,000; test images were not looked at before.

Writes bench/labels.json and bench/labels.md. Needs MNIST.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parents[1]
sys.path.insert(0, str(BENCH))

from recipes import machine  # noqa: E402

RESULTS, TABLE = BENCH / "labels.json", BENCH / "labels.md"
N_LABELS = 1_000
TRAIN = "classify train mnist --n-labels {n} --seed {draw} --threads {threads} -o few.safetensors --json -q"
METHODS = {"unlabelled": "", "labels alone": " --set consistency=0 --set pretrain=false"}
PREDICT = "classify predict mnist:test -m few.safetensors -o classes.csv --json -q"


def call(arguments: str, folder: str) -> dict[str, Any]:
    """Run narrows in a folder and return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "narrows", *arguments.split()], cwd=folder, capture_output=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(method: str, draw: int, threads: int) -> dict[str, Any]:
    """Train with one draw of the labels, and classify the test images."""
    with tempfile.TemporaryDirectory() as folder:
        trained = call(TRAIN.format(n=N_LABELS, draw=draw, threads=threads) + METHODS[method], folder)
        predicted = call(PREDICT, folder)
    return {
        "test_error_percent": 100 * predicted["error"],
        "seconds": trained["epoch_seconds"],
        "labelled": trained["labelled"],
        "records": trained["records"],
    }


def mean_and_spread(draws: dict[str, Any]) -> str:
    errors = [row["test_error_percent"] for row in draws.values()]
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{statistics.mean(errors):.2f}{spread}"


def table(results: dict[str, Any]) -> str:
    """Return the table of bench/labels.md, beside the stacked autoencoder of bench/sda.json."""
    dense = json.loads((BENCH / "sda.json").read_text())["sda-1000"]
    command = "`narrows classify train mnist --n-labels 1000"
    found = results["methods"]
    rows = [(f"{command}{METHODS[name]}`", mean_and_spread(draws), str(len(draws))) for name, draws in found.items()]
    rows += [
        ("document 2: dense, pretrained layer by layer", f"{dense['pretrained']['test_error_percent']:.2f}", "1"),
        ("document 2: dense, random weights", f"{dense['random']['test_error_percent']:.2f}", "1"),
    ]
    lines = ["# Errors on the MNIST test set with 1,000 labels", "", "Measured by `python bench/labels/run.py` and"]
    lines += ["`python bench/sda.py --only sda-1000`. Mean and standard deviation over draws of the labels.", ""]
    lines += ["| | errors, % | draws |", "| --- | --- | --- |", *("| " + " | ".join(row) + " |" for row in rows), ""]
    for name, draws in found.items():
        each = ", ".join(f"{row['test_error_percent']:.2f}" for _, row in sorted(draws.items()))
        lines.append(f"{name}, each draw: {each} %.")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--only", nargs="+", metavar="METHOD", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for method in arguments.only:
        for draw in arguments.draws:
            row = measure(method, draw, arguments.threads)
            before = json.loads(RESULTS.read_text())["methods"] if RESULTS.exists() else {}
            methods = {**before, method: {**before.get(method, {}), str(draw): row}}
            results = {
                "methods": {name: methods[name] for name in METHODS if name in methods},
                "commands": ["narrows " + TRAIN.format(n=N_LABELS, draw="DRAW", threads=1), "narrows " + PREDICT],
                "machine": machine(),
                "date": datetime.date.today().isoformat(),
            }
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            TABLE.write_text(table(results))
            print(method, draw, f"{row['test_error_percent']:.2f} % in {row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
