"""Fit `auto` with its defaults to data of many kinds, and measure it beside PCA of the same code size on test records.

    python bench/defaults.py                               all rows, an hour on one thread
    python bench/defaults.py --only "ECG5000" "digits/16"  some of them
    python bench/defaults.py --tables-only                 the quick rows

Writes bench/defaults.json (rows of earlier runs are kept) and bench/defaults.md. Needs the data sets of
bench/datasets.py. A ratio is the squared error of the model over that of PCA, in the units in which the model is
trained (`preprocessed_sse_per_record` of `narrows.evaluate`) and in those of the data (`sse_per_record`).
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import DATASETS, Dataset
from recipes import machine

import narrows

HERE = Path(__file__).parent
RESULTS = HERE / "defaults.json"
ALLOWED = 1.01
MANY, ALLOWED_OF_MANY = 10_000, 0.9


def measure(dataset: Dataset, seed: int, threads: int) -> dict[str, Any]:
    """Fit to the training records on so many threads, and return the numbers on the test records."""
    train, test = dataset.load()
    changes = {} if dataset.n_latent is None else {"n_latent": dataset.n_latent}
    began = time.perf_counter()
    model = narrows.recipe("auto", random_state=seed, **changes).fit(train)
    seconds = time.perf_counter() - began
    metrics = narrows.evaluate(model, test)
    ratio = metrics["preprocessed_sse_per_record"] / metrics["pca_preprocessed_sse_per_record"]
    network = model.chain_.parts.network
    return {
        "data": dataset.name,
        "records": len(train),
        "shape": list(train.shape[1:]),
        "dtype": str(train.dtype),
        "n_latent": model.n_latent_,
        "ratio": ratio,
        "ratio_in_own_units": metrics["sse_per_record"] / metrics["pca_sse_per_record"],
        "must_reach": ALLOWED_OF_MANY if len(train) >= MANY else ALLOWED,
        "sse_per_record": metrics["sse_per_record"],
        "pca_sse_per_record": metrics["pca_sse_per_record"],
        "kept": "principal components" if network.is_linear else "network",
        "held_out_ratio": None if model.comparison_ is None else model.comparison_.ratio,
        "fit_seconds": round(seconds, 1),
        "seed": seed,
        "machine": machine(),
        "command": command(dataset.name, seed, threads),
        "date": datetime.date.today().isoformat(),
    }


def command(data: str, seed: int, threads: int) -> str:
    """Return the command that measures one row again."""
    return "python " + shlex.join(["bench/defaults.py", "--only", data, "--seed", str(seed), "--threads", str(threads)])


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| data | records | code | squared error / PCA's | in the data's units | kept | fit |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for dataset in DATASETS:
        if (row := results.get(dataset.name)) is None:
            continue
        lines.append(
            f"| {row['data']} | {row['records']:,} | {row['n_latent']} | **{row['ratio']:.3f}** "
            f"| {row['ratio_in_own_units']:.3f} | {row['kept']} | {row['fit_seconds']:.0f} s |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="DATA", choices=[dataset.name for dataset in DATASETS])
    parser.add_argument("--tables-only", action="store_true", help="only records of one dimension, 200 values at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for dataset in DATASETS:
        if arguments.only and dataset.name not in arguments.only:
            continue
        if arguments.tables_only and np.prod(dataset.load()[0].shape[1:]) > 200:
            continue
        row = measure(dataset, arguments.seed, arguments.threads)
        held_out = "-" if row["held_out_ratio"] is None else f"{row['held_out_ratio']:.3f}"
        verdict = "reached" if row["ratio"] <= row["must_reach"] else "MISSED"
        print(
            f"{dataset.name:34} {row['ratio']:.4f} of PCA's error ({row['ratio_in_own_units']:.4f} in its own units), "
            f"must reach {row['must_reach']}: {verdict}; {row['kept']}, held out {held_out}, "
            f"{row['fit_seconds']} s",
            flush=True,
        )
        stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results = {**stored, dataset.name: row}
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        (HERE / "defaults.md").write_text(table(results))


if __name__ == "__main__":
    main()
