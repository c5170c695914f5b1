"""Compare the scores of outliers with other methods: ROC-AUC and average precision on nineteen tables of ADBench.

    OMP_NUM_THREADS=1 python bench/outliers/run.py

The protocol of Livernoche et al. (ICLR 2024): fit on all records without labels and score the same records, five seeds,
at most 50,000 records. The other methods get standardised records. With --one-class the training records are half of
the normal ones, and the rest is scored.

Settings were chosen on the ten tables of CHOSEN_ON, samples of 80 to 3,000 of their records, and tables of KEEL. The
other nine were looked at twice with one seed: after a first score, and after the one that is measured here; the third
time, with more seeds, only the threshold was new. Results are kept one by one in the output, and are not computed
again; --seeds 0 only writes the report.

Writes bench/outliers.json and bench/outliers.md. Needs PyOD (`pip install pyod`), and the data in $NARROWS_DATA or
../shared/data.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from peers import PEERS, Floats
from recipes import machine
from tables import CHOSEN_ON, HELD_OUT, Table, open_table

import narrows

DATA = Path(os.environ.get("NARROWS_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RESULTS = Path(__file__).resolve().parents[1] / "outliers.json"
OURS = "narrows"
MUST, WANT = 1.0, 2.0  # points above the best of the others
_FACTOR = 2.0  # of the flagged share
_DRAWS = 10_000


def split(table: Table, seed: int, *, one_class: bool) -> tuple[Floats, Floats, Any]:
    """Return training records, scored records and which of these are outliers."""
    if not one_class:
        return table.x, table.x, table.y
    normal = np.flatnonzero(table.y == 0)
    trained = np.random.default_rng(seed).permutation(normal)[: len(normal) // 2]
    rest = np.setdiff1d(np.arange(len(table.y)), trained)
    return table.x[trained], table.x[rest], table.y[rest]


def measured(method: str, train: Floats, test: Floats, y: Any, seed: int) -> dict[str, float]:
    """Return the metrics of a method, in percent, and CPU seconds."""
    began = time.process_time()
    found = {}
    if method == OURS:
        detector = narrows.AutoencoderOutlier(random_state=seed).fit(train)
        scores = -detector.score_samples(test)
        found["flagged"] = float((scores > detector.threshold_).mean())
    else:
        scaler = StandardScaler().fit(train)
        x = scaler.transform(train)
        scores = np.nan_to_num(PEERS[method](x, x if train is test else scaler.transform(test), seed))
    found |= {"auc": 100 * roc_auc_score(y, scores), "ap": 100 * average_precision_score(y, scores)}
    return found | {"cpu_seconds": round(time.process_time() - began, 2)}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure all methods on all tables that are not in the output yet."""
    results = json.loads(args.output.read_text()) if args.output.exists() else {"cells": {}}
    results |= {
        "command": "python bench/outliers/run.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "versions": {name: version(name) for name in ("narrows", "numpy", "torch", "scikit-learn")},
        "most": args.most,
    }
    cells = results["cells"]
    names = CHOSEN_ON if args.chosen else (*CHOSEN_ON, *HELD_OUT)
    for seed in range(args.seeds):
        for name in names:
            table = open_table(DATA / "adbench", name, seed=seed, most=args.most)
            train, test, y = split(table, seed, one_class=args.one_class)
            for method in args.methods:
                key = f"{'one-class ' if args.one_class else ''}{name} {method} {seed}"
                if key in cells or not 0 < y.sum() < len(y):
                    continue
                cells[key] = {"table": name, "method": method, "seed": seed, "one_class": args.one_class}
                cells[key] |= {"share": float(y.mean()), **measured(method, train, test, y, seed)}
                args.output.write_text(json.dumps(results, indent=1) + "\n")
                print(key, {k: round(v, 2) for k, v in cells[key].items() if isinstance(v, float)}, flush=True)
    return results


def means(cells: list[dict[str, Any]], metric: str) -> dict[str, dict[str, float]]:
    """Return the mean over seeds of a metric, by table and method."""
    found: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        found.setdefault(cell["table"], {}).setdefault(cell["method"], []).append(cell[metric])
    return {table: {method: float(np.mean(values)) for method, values in of.items()} for table, of in found.items()}


def seeds(cells: list[dict[str, Any]], method: str) -> str:
    """Return how many seeds the tables were measured with: one number, or the fewest and the most."""
    counts = Counter(cell["table"] for cell in cells if cell["method"] == method).values()
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def lead(by_table: dict[str, dict[str, float]], tables: list[str], best: str) -> tuple[float, float, float]:
    """Return by how many points ours is above a method, with the 5th and 95th percentile over drawn tables."""
    away = np.array([by_table[table][OURS] - by_table[table][best] for table in tables])
    drawn = away[np.random.default_rng(0).integers(len(away), size=(_DRAWS, len(away)))].mean(axis=1)
    return float(away.mean()), *map(float, np.quantile(drawn, [0.05, 0.95]))


def summary(results: dict[str, Any], *, one_class: bool) -> list[str]:
    """Return the tables of the report."""
    cells = [cell for cell in results["cells"].values() if cell["one_class"] == one_class]
    methods = [method for method in (OURS, *PEERS) if any(cell["method"] == method for cell in cells)]
    lines = ["", f"Seeds: {', '.join(f'{method} {seeds(cells, method)}' for method in methods)}."]
    for metric, title in (("auc", "ROC-AUC"), ("ap", "average precision")):
        complete = {t: of for t, of in means(cells, metric).items() if all(m in of for m in methods)}
        groups = {"all": list(complete), "chosen on": [t for t in CHOSEN_ON if t in complete]}
        groups["held out"] = [t for t in HELD_OUT if t in complete]
        lines += ["", f"| {title} | {' | '.join(methods)} |", f"| --- |{' --- |' * len(methods)}"]
        for table, of in complete.items():
            lines.append(f"| {table} | {' | '.join(f'{of[m]:.1f}' for m in methods)} |")
        for group, tables in groups.items():
            if not tables:
                continue
            mean = {m: float(np.mean([complete[t][m] for t in tables])) for m in methods}
            lines.append(f"| mean, {group} ({len(tables)}) | {' | '.join(f'{mean[m]:.1f}' for m in methods)} |")
        wins = [sum(of[m] == max(of.values()) for of in complete.values()) for m in methods]
        lines.append(f"| wins | {' | '.join(map(str, wins))} |")
        lines += leads(complete, groups, methods)
    return lines


def leads(complete: dict[str, dict[str, float]], groups: dict[str, list[str]], methods: list[str]) -> list[str]:
    """Return sentences on the distance to the best of the other methods on all tables."""
    if OURS not in methods or len(methods) < 2 or not complete:
        return []
    best = max(methods[1:], key=lambda m: float(np.mean([of[m] for of in complete.values()])))
    lines = [""]
    for group, tables in groups.items():
        if tables:
            mean, low, high = lead(complete, tables, best)
            verdict = "want" if mean >= WANT else "must" if mean >= MUST else "missed"
            lines.append(
                f"{OURS} - {best}, {group}: {mean:+.1f} points (90 % of draws {low:+.1f} to {high:+.1f}): {verdict}."
            )
    return lines


def flagged(results: dict[str, Any]) -> list[str]:
    """Return the shares that are flagged without a given contamination."""
    found: dict[str, list[tuple[float, float]]] = {}
    for cell in results["cells"].values():
        if cell["method"] == OURS and not cell["one_class"]:
            found.setdefault(cell["table"], []).append((cell["share"], cell["flagged"]))
    lines, n = ["", "| table | share of outliers | flagged | within a factor of 2 |", "| --- | --- | --- | --- |"], 0
    for table, pairs in found.items():
        share, said = np.mean(pairs, axis=0)
        is_near = share / _FACTOR <= said <= share * _FACTOR
        n += int(is_near)
        lines.append(f"| {table} | {share:.4f} | {said:.4f} | {'yes' if is_near else 'no'} |")
    return [*lines, "", f"{n} of {len(found)} tables are within a factor of 2."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--most", type=int, default=50_000, help="records of a table")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=[OURS, *PEERS], choices=[OURS, *PEERS])
    parser.add_argument("--chosen", action="store_true", help="only the ten tables that settings are chosen on")
    parser.add_argument("--one-class", action="store_true", help="train on half of the normal records")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    results = run(args)
    lines = [f"`{results['command']}`, {results['date']}"]
    for one_class, title in ((False, "Trained on all records"), (True, "Trained on normal records")):
        if any(cell["one_class"] == one_class for cell in results["cells"].values()):
            lines += ["", f"## {title}", *summary(results, one_class=one_class)]
    lines += flagged(results)
    text = "\n".join(lines) + "\n"
    args.output.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
