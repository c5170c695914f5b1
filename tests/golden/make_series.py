"""Make the golden archives of series of this format version: to be decoded for ever.

They are made once, by hand, as those of `make.py`. Without a flag nothing happens; it makes only what is not there::

    python tests/golden/make_series.py --add
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

import narrows
from narrows.data.series import Times, WholeSeries
from narrows.data.series.decimals import decimals_of
from narrows.data.series.readings import after_readings
from narrows.data.series.sources import source_of
from narrows.networks import Dense

FOLDER = Path(__file__).parent / "series"
HASHES = FOLDER / "hashes.json"


def series(name: str) -> WholeSeries:
    """Return small series: regular or not, with gaps, groups and channels as the name says."""
    rng = np.random.default_rng(11)
    channels = 2 if "channels" in name else 1
    lengths = (90, 41) if "groups" in name else (131,)
    values = np.round(np.cumsum(rng.normal(size=(131, channels)), axis=0), 2) + 0.0
    if "related" in name:
        values[:, 1] = np.round(2 * values[:, 0] + rng.normal(0, 0.05, 131), 2) + 0.0
    if "floats" in name:
        values = values * np.pi
    if "levels" in name:
        values = np.array([-1.5, 0.25, 7.0, 30.0])[rng.integers(0, 4, (131, channels))]
    if "digits" in name:
        values = np.array([[float(f"{x:.4g}") for x in row] for row in (values * 3.21).tolist()])
    if "readings" in name:
        values = after_readings(values + 0.25 * (np.arange(131)[:, None] % 7 == 0), 2)
    values[3, 0] = np.nextafter(values[3, 0], 100)
    if "exceptions" in name:
        values[[40, 41, 77], 0] = np.e, -1e-7, 1 / 3
    if "gaps" in name:
        values[9:12, channels - 1] = np.nan
    ticks = np.cumsum(rng.integers(1, 9, 131)) if "irregular" in name else np.arange(131) * 5
    names = ("v", "w")[:channels]
    order = ["id"] * ("groups" in name) + ["t", *names]
    origin = {"kind": "csv", "columns": order, "styles": ["repr"] * channels}
    origin |= {"group": "id"} if "groups" in name else {}
    values = values if channels == 2 else values[:, 0]
    groups = ("a", "b") if "groups" in name else None
    times = Times(ticks.astype(np.int64), "m", "t")
    return WholeSeries(values, lengths, groups, names, times, decimals_of(values), origin)


ARCHIVES = {
    "field-regular": {"lossless": True},
    "field-gaps-irregular": {"lossless": True},
    "field-channels-groups-irregular": {"max_error": 0.05},
    "field-floats": {"lossless": True},
    "field-readings-gaps": {"lossless": True},
    "field-levels-irregular": {"lossless": True},
    "field-digits": {"lossless": True},
    "field-exceptions": {"lossless": True},
    "field-related-channels": {"lossless": True},
    "windows-code": {},
    "windows-groups-irregular": {"lossless": True},
    "windows-channels-gaps": {"max_error": 0.05},
}


def hashes_of(path: Path) -> dict[str, str]:
    """Return hashes of the values, the times, and the CSV file that are restored."""
    with narrows.open_archive(path) as archive:
        values, ticks = archive.read(), archive.series.times.ticks
    with tempfile.TemporaryDirectory() as folder:
        text = narrows.restore(path, out=Path(folder) / "r.csv").read_bytes()
    every = {"values": values.astype("<f8").tobytes(), "ticks": ticks.astype("<i8").tobytes(), "csv": text}
    return {name: hashlib.sha256(data).hexdigest() for name, data in every.items()}


def add() -> None:
    """Write those archives that are not there yet, and their hashes."""
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    described = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    for name, how in ARCHIVES.items():
        path = FOLDER / f"{name}.narrows"
        if path.exists():
            continue
        source = source_of(series(name), name, "csv", window=16, stride=16)
        if name.startswith("windows"):
            values = np.nan_to_num(source.values)
            model = narrows.Autoencoder(
                2, record="series", network=Dense(widths=(4,)), random_state=0,
                training=narrows.Training(epochs=3),
            ).fit(values)  # fmt: skip
            narrows.compress(source, path, model=model, embed_model=True, **how)
        else:
            narrows.compress(source, path, **how)
        described[path.name] = hashes_of(path)
    HASHES.write_text(json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--add", action="store_true", help="make the archives that are not there")
    if parser.parse_args().add:
        add()
