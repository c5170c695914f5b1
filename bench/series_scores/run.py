"""Compare the scores of time steps with other methods: VUS-PR on NAB, and ROC-AUC on ECG5000.

    OMP_NUM_THREADS=1 python bench/series_scores/run.py [--cache FOLDER]

NAB: the 36 series with labelled windows. Ten were named before any result was seen, every third or fourth in
alphabetical order, and settings were chosen on these; the other 26 were looked at once. VUS-PR by the package tsb-ad,
whose own function finds the window. ECG5000: trained on the normal training beats, measured on the whole test set;
settings were chosen by cross-validation over the training beats.

Writes bench/series-scores.json and bench/series-scores.md. Needs tsb-ad 1.5 (`pip install --no-deps tsb-ad statsmodels
patsy hurst arch`) and the data in $NARROWS_DATA or ../shared/data. Scores of the other methods are kept in the cache,
and are not computed again.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import gzip
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from peers import PEERS
from recipes import machine
from vus import vus_pr

from narrows.uses import score_records, score_series

DATA = Path(os.environ.get("NARROWS_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RESULTS = Path(__file__).resolve().parents[1] / "series-scores.json"
OURS = "narrows"
MUST, WANT = 1.05, 1.15

Floats = NDArray[np.float64]


def nab() -> dict[str, tuple[Floats, NDArray[np.int64]]]:
    """Return values and labels of the series with labelled windows, by name."""
    windows = json.loads((DATA / "nab" / "labels" / "combined_windows.json").read_text())
    found = {}
    for name in sorted(windows):
        path = DATA / "nab" / "data" / name
        if not windows[name] or not path.exists():
            continue
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        odd = [any(a[:19] <= row["timestamp"] <= b[:19] for a, b in windows[name]) for row in rows]
        found[name] = np.array([float(row["value"]) for row in rows]), np.array(odd, np.int64)
    return found


def chosen_on(names: list[str]) -> list[str]:
    """Return the ten series that settings were chosen on."""
    return [names[round(i * len(names) / 10)] for i in range(10)]


def narrows_scores(x: Floats, n_train: int) -> Floats:
    """Return our scores; nothing is known of where the series is normal."""
    return score_series(x).score


def smoothed(score: Floats, window: int = 256) -> Floats:
    """Return a score averaged as ours are: over all windows that contain a step."""
    window = min(window, len(score) // 8)
    ones = np.ones(window)
    means = np.convolve(score, ones, mode="valid") / window
    return np.asarray(np.convolve(means, ones) / np.convolve(np.ones_like(means), ones))


def measured(
    compute: Callable[[Floats, int], Floats], x: Floats, label: NDArray[np.int64], *, kept: Path | None
) -> dict[str, float]:
    """Return VUS-PR, that of the averaged score, and the seconds of CPU of the scores; from a file if it is there."""
    from TSB_AD.evaluation.basic_metrics import generate_curve
    from TSB_AD.utils.slidingWindows import find_length_rank

    if kept is not None and kept.with_suffix(".json").exists():
        found: dict[str, float] = json.loads(kept.with_suffix(".json").read_text())
        return found
    if kept is not None and kept.exists():
        file = np.load(kept)
        score, seconds = file["score"], float(file["seconds"])
    else:
        start = time.process_time()
        score = np.nan_to_num(np.asarray(compute(x, min(len(x) // 4, int(np.flatnonzero(label)[0]))), np.float64))
        seconds = time.process_time() - start
    window = int(find_length_rank(x.reshape(-1, 1), rank=1))
    vus = vus_pr(score, label, window)
    if window <= 6:  # where the package is quick
        theirs = generate_curve(label, score, window, "opt", 250)[-1]
        assert abs(vus - theirs) < 1e-9, (vus, theirs)
    found = {"vus_pr": vus, "smoothed_vus_pr": vus_pr(smoothed(score), label, window), "seconds": seconds}
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, score=score, seconds=seconds)
        kept.with_suffix(".json").write_text(json.dumps(found))
    return found


def measure_nab(cache: Path | None) -> dict[str, Any]:
    """Return VUS-PR and seconds of each method and series."""
    series = nab()
    methods = {**PEERS, OURS: narrows_scores}
    found: dict[str, dict[str, dict[str, float]]] = {method: {} for method in methods}
    score_series(np.sin(np.arange(400.0)))  # imports are not part of the first series' time
    for name, (x, label) in series.items():
        for method, compute in methods.items():
            kept = None if cache is None or method == OURS else cache / method / f"{Path(name).stem}.npz"
            found[method][name] = measured(compute, x, label, kept=kept)
        print(name, *(f"{method} {found[method][name]['vus_pr']:.3f}" for method in methods), sep="  ", flush=True)
    ten = chosen_on(list(series))
    groups = {"ten": ten, "others": [name for name in series if name not in ten], "all": list(series)}
    means = {
        method: {
            **{group: float(np.mean([rows[name]["vus_pr"] for name in names])) for group, names in groups.items()},
            "smoothed_all": float(np.mean([row["smoothed_vus_pr"] for row in rows.values()])),
            "seconds": float(np.mean([row["seconds"] for row in rows.values()])),
            "most_seconds": max(row["seconds"] for row in rows.values()),
        }
        for method, rows in found.items()
    }
    best = max(mean["all"] for method, mean in means.items() if method != OURS)
    ratio = means[OURS]["all"] / best
    return {
        "ten": ten,
        "means": means,
        "ratio_to_best_peer": ratio,
        "must": ratio >= MUST,
        "want": ratio >= WANT,
        "series": found,
    }


def measure_ecg() -> dict[str, Any]:
    """Return the ROC-AUC of each method on the test set of ECG5000."""
    train = np.loadtxt(DATA / "ecg5000" / "ECG5000_TRAIN.txt")
    with gzip.open(DATA / "ecg5000" / "ECG5000_TEST.txt.gz") as file:
        test = np.loadtxt(file)
    normal, beats, is_odd = train[train[:, 0] == 1, 1:], test[:, 1:], test[:, 0] != 1
    pca = PCA(2).fit(normal)
    restored = pca.inverse_transform(pca.transform(beats))
    distances = NearestNeighbors(n_neighbors=5).fit(normal).kneighbors(beats)[0]
    scores = {
        "PCA with 2 components": np.square(beats - restored).sum(axis=1),
        "distance to 5 nearest beats": distances.mean(axis=1),
        OURS: score_records(beats, normal),
    }
    auc = {method: float(roc_auc_score(is_odd, score)) for method, score in scores.items()}
    flagged = scores[OURS] > 5
    return {
        "n_train": len(normal),
        "n_test": len(beats),
        "roc_auc": auc,
        "flagged_of_odd": float(flagged[is_odd].mean()),
        "flagged_of_normal": float(flagged[~is_odd].mean()),
        "must": auc[OURS] >= 0.995,
        "want": auc[OURS] >= 0.998,
    }


def table(result: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    rows = [
        f"| {method} | {mean['ten']:.3f} | {mean['others']:.3f} | {mean['all']:.3f} | {mean['smoothed_all']:.3f} "
        f"| {mean['seconds']:.1f} |"
        for method, mean in sorted(result["nab"]["means"].items(), key=lambda item: item[1]["all"])
    ]
    aucs = [f"| {method} | {auc:.4f} |" for method, auc in result["ecg5000"]["roc_auc"].items()]
    return "\n".join(
        [
            "| NAB, mean VUS-PR | ten series for choosing | the other 26 | all 36 | all 36, averaged | seconds |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            "Averaged: over all windows of 256 steps that contain a step, as ours are. Seconds of CPU a series.",
            "",
            "| ECG5000 | ROC-AUC |",
            "| --- | --- |",
            *aucs,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, help="folder for the scores of the other methods")
    cache = parser.parse_args().cache
    torch.set_num_threads(1)
    result = {
        "nab": measure_nab(cache),
        "ecg5000": measure_ecg(),
        "machine": {**machine(), **{name: version(name) for name in ("tsb-ad", "scikit-learn")}},
        "command": "OMP_NUM_THREADS=1 python bench/series_scores/run.py",
        "date": datetime.date.today().isoformat(),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    RESULTS.with_suffix(".md").write_text(table(result))
    print(table(result))


if __name__ == "__main__":
    main()
