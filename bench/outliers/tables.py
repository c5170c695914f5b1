"""The tables of the benchmark of outliers: nineteen of ADBench (Han et al., NeurIPS 2022).

Sorted by name, every other table is for choosing settings. The rest is only measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CHOSEN_ON", "HELD_OUT", "Table", "open_table"]

CHOSEN_ON = (
    "5_campaign",
    "12_fault",
    "18_Ionosphere",
    "23_mammography",
    "27_PageBlocks",
    "30_satellite",
    "34_smtp",
    "39_vertebral",
    "43_WDBC",
    "47_yeast",
)
HELD_OUT = (
    "7_Cardiotocography",
    "15_Hepatitis",
    "20_letter",
    "25_musk",
    "29_Pima",
    "32_shuttle",
    "37_Stamps",
    "41_Waveform",
    "45_wine",
)

_MOST = 50_000


@dataclass(frozen=True)
class Table:
    """Records (n, columns), which of them are outliers (n,), and the name."""

    name: str
    x: npt.NDArray[np.float64]
    y: npt.NDArray[Any]


def open_table(folder: Path, name: str, *, seed: int, most: int = _MOST) -> Table:
    """Return a table; of larger ones, a random sample of ``most`` records."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        x, y = file["X"].astype(np.float64), file["y"].astype(int)
    if len(x) > most:
        some = np.sort(np.random.default_rng(seed).choice(len(x), most, replace=False))
        x, y = x[some], y[some]
    return Table(name, x, y)
