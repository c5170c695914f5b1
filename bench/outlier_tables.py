"""The table and numbers of docs/outliers.md, from bench/outliers.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

HERE = Path(__file__).parent
OURS = "narrows"
PEERS = ("IForest", "KNN", "PCA", "ECOD", "HBOS", "CBLOF", "MCD", "AutoEncoder", "VAE", "DDAE")
METRICS = {"auc": "ROC-AUC", "ap": "average precision"}
_FACTOR = 2.0

Cells = list[dict[str, Any]]


def outlier_numbers() -> dict[str, str]:
    """Return what belongs between the markers of pages, by their names."""
    cells = list(json.loads((HERE / "outliers.json").read_text())["cells"].values())
    unlabelled = [cell for cell in cells if not cell["one_class"]]
    normal = [cell for cell in cells if cell["one_class"]]
    ours = [cell for cell in unlabelled if cell["method"] == OURS]
    filled = {"outliers": compared(unlabelled)}
    for method in (OURS, "IForest", "KNN", "MCD"):
        for metric in METRICS:
            filled[f"one-class:{method}:{metric}"] = f"{mean(normal, method, metric):.1f}"
    shares = {name: [fmean(one[key] for one in of) for key in ("share", "flagged")] for name, of in by_table(ours)}
    near = sum(share / _FACTOR <= said <= share * _FACTOR for share, said in shares.values())
    seconds = [fmean(one["cpu_seconds"] for one in of) for _, of in by_table(ours)]
    filled |= {"outliers:near": f"{near}", "outliers:longest": f"{max(seconds):.0f}"}
    return filled | {"outliers:lead": f"{mean(unlabelled, OURS, 'auc') - mean(unlabelled, 'IForest', 'auc'):.1f}"}


def by_table(cells: Cells) -> list[tuple[str, Cells]]:
    """Return the cells of each table."""
    return [(name, [cell for cell in cells if cell["table"] == name]) for name in {cell["table"]: 0 for cell in cells}]


def mean(cells: Cells, method: str, metric: str) -> float:
    """Return the mean over tables of the mean over seeds."""
    chosen = [cell for cell in cells if cell["method"] == method]
    return fmean(fmean(cell[metric] for cell in of) for _, of in by_table(chosen))


def compared(cells: Cells) -> str:
    """Return the means of the methods on all tables, the ten and the nine; the best are bold."""
    sys.path.insert(1, str(HERE / "outliers"))
    from tables import CHOSEN_ON, HELD_OUT

    methods = (*PEERS, OURS)
    lines = [f"| | {' | '.join(methods)} |", f"| --- |{' --- |' * len(methods)}"]
    for metric, title in METRICS.items():
        for group, names in (("all nineteen", (*CHOSEN_ON, *HELD_OUT)), ("the ten", CHOSEN_ON), ("the nine", HELD_OUT)):
            of = [cell for cell in cells if cell["table"] in names]
            found = [mean(of, method, metric) for method in methods]
            words = [f"**{one:.1f}**" if one == max(found) else f"{one:.1f}" for one in found]
            lines.append(f"| {title + ', ' if group == 'all nineteen' else ''}{group} | {' | '.join(words)} |")
    return "\n".join(lines)
