"""Classify MNIST with few labels, by the plain command with its defaults, and draw the labels several times.

    python bench/labels/run.py                             1,000 labels, five draws, about 25 minutes on one core
    python bench/labels/run.py --n-labels 100 --draws 0 1  another number; rows of earlier runs are kept
    python bench/labels/run.py --only unlabelled
    python bench/labels/run.py --draws                     only write the table and the picture again

For each draw:

    narrows classify train mnist --n-labels 1000 --seed DRAW -o few.safetensors
    narrows classify predict mnist:test -m few.safetensors -o classes.csv

The seed draws the labels, as many of each digit, and the weights. The other training images are used without their
labels, or left out for comparison (``labels alone``). The settings of the recipe `few-labels` were chosen with 1,000
labels drawn from the first 50,000 training images, on training images 50,000 to 59,999; test images were not looked at
before.

Writes bench/labels.json, bench/labels.md and docs/pictures/few-labels.png. Needs MNIST.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
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

from narrows import pictures  # noqa: E402

RESULTS, TABLE = BENCH / "labels.json", BENCH / "labels.md"
PICTURE = BENCH.parent / "docs" / "pictures" / "few-labels.png"
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


def measure(method: str, n_labels: int, draw: int, threads: int) -> dict[str, Any]:
    """Train with one draw of the labels, and classify the test images."""
    with tempfile.TemporaryDirectory() as folder:
        trained = call(TRAIN.format(n=n_labels, draw=draw, threads=threads) + METHODS[method], folder)
        predicted = call(PREDICT, folder)
    return {
        "test_error_percent": 100 * predicted["error"],
        "seconds": trained["epoch_seconds"],
        "labelled": trained["labelled"],
        "records": trained["records"],
    }


def mean_and_spread(draws: dict[str, Any]) -> tuple[float, float]:
    """Return the mean and the standard deviation of the errors over draws, in percent; 0 for one draw."""
    errors = [row["test_error_percent"] for row in draws.values()]
    return statistics.mean(errors), statistics.stdev(errors) if len(errors) > 1 else 0.0


def shown(draws: dict[str, Any]) -> str:
    mean, spread = mean_and_spread(draws)
    return f"{mean:.2f}" + (f" ± {spread:.2f}" if spread else "")


def table(results: dict[str, Any]) -> str:
    """Return the table of bench/labels.md, beside the stacked autoencoder of bench/sda.json."""
    dense = json.loads((BENCH / "sda.json").read_text())["sda-1000"]
    rows, each = [], []
    for method, counts in results["methods"].items():
        for n, draws in counts.items():
            command = f"`narrows classify train mnist --n-labels {n}{METHODS[method]}`"
            rows.append((command, f"{int(n):,}", shown(draws), str(len(draws))))
            errors = ", ".join(f"{row['test_error_percent']:.2f}" for _, row in sorted(draws.items()))
            each.append(f"{method}, {int(n):,} labels: {errors} %.  ")
    rows += [
        (f"document 2: dense, {how}", "1,000", f"{dense[start]['test_error_percent']:.2f}", "1")
        for start, how in (("pretrained", "pretrained layer by layer"), ("random", "random weights"))
    ]
    lines = ["# Errors on the MNIST test set with few labels", "", "Measured by `python bench/labels/run.py` and"]
    lines += ["`python bench/sda.py --only sda-1000`. Mean and standard deviation over draws of the labels.", ""]
    lines += ["| | labels | errors, % | draws |", "| --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", "Each draw:", "", *each, ""])


def draw_picture(results: dict[str, Any]) -> None:
    """Draw errors over the number of labels that all methods were measured with."""
    methods = results["methods"]
    steps = sorted(set.intersection(*(set(map(int, counts)) for counts in methods.values())))
    lines = {
        name.replace("unlabelled", "labels, and images without"): [mean_and_spread(counts[str(n)]) for n in steps]
        for name, counts in methods.items()
    }
    figure = pictures.spreads({"MNIST": lines}, [f"{n:,}" for n in steps], x="labels", y="errors, %")
    pictures.save(figure, PICTURE, force=True)


def save(methods: dict[str, Any]) -> None:
    """Write the results, in order, the table and the picture."""
    results = {
        "methods": {
            name: {n: methods[name][n] for n in sorted(methods[name], key=int)} for name in METHODS if name in methods
        },
        "commands": ["narrows " + TRAIN.format(n="N", draw="DRAW", threads=1), "narrows " + PREDICT],
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    TABLE.write_text(table(results))
    draw_picture(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--n-labels", type=int, nargs="+", default=[1000])
    parser.add_argument("--only", nargs="+", metavar="METHOD", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    methods = json.loads(RESULTS.read_text())["methods"] if RESULTS.exists() else {}
    for draw, n, method in itertools.product(arguments.draws, arguments.n_labels, arguments.only):
        row = measure(method, n, draw, arguments.threads)
        methods.setdefault(method, {}).setdefault(str(n), {})[str(draw)] = row
        save(methods)
        print(method, n, draw, f"{row['test_error_percent']:.2f} % in {row['seconds']:.0f} s", flush=True)
    save(methods)


if __name__ == "__main__":
    main()
