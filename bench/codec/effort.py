"""What `compress --effort` saves at equal quality, and how long it takes.

    python bench/codec/effort.py                              models in bench/models/codec (`train.py`)
    python bench/codec/effort.py --models FOLDER --records 500

A model file is named after its data set, as `mnist-23.safetensors`. Each of its qualities writes an archive of test
records with each effort, in the same call and on one core; bytes are those of the records, without header and index.
The bytes at equal PSNR are interpolated between the qualities (log bytes over PSNR) and averaged over the range of PSNR
that both curves have. Writes bench/codec-effort.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from records import SETS, Records, open_records
from train import MODELS

import narrows
from narrows.archive import inspect
from narrows.estimators.autoencoder import Autoencoder

RESULTS = Path(__file__).parents[1] / "codec-effort.json"
EFFORTS = (0, 3, 9)
Curve = list[dict[str, float]]


def curve(model: Autoencoder, records: Records, n_records: int, effort: int, archive: Path) -> Curve:
    """Return bytes a record, PSNR and CPU seconds for 1,000 records at each quality."""
    test = records.test[:n_records]
    narrows.compress(test[:32], archive, model=model, effort=effort, threads=1, force=True)  # does not count
    points = []
    for quality in range(len(model.codec_.qualities)):
        began = time.process_time()
        made = narrows.compress(test, archive, model=model, quality=quality, effort=effort, threads=1, force=True)
        seconds = (time.process_time() - began) * 1000 / len(test)
        assert made.psnr_db is not None
        points.append(
            {
                "bytes a record": round(inspect(archive).records_bytes / len(test), 3),
                "PSNR": round(made.psnr_db, 3),
                "CPU seconds for 1,000": round(seconds, 2),
            }
        )
    return points


def fewer_bytes(one: Curve, other: Curve) -> float | None:
    """Return the share of bytes that another curve saves at equal PSNR; None if no PSNR is on both."""
    (psnr, size), (psnr_of_other, size_of_other) = _ascending(one), _ascending(other)
    low, high = max(psnr[0], psnr_of_other[0]), min(psnr[-1], psnr_of_other[-1])
    if low >= high:
        return None
    at = np.linspace(low, high, 100)
    ratio = np.interp(at, psnr_of_other, size_of_other) - np.interp(at, psnr, size)
    return round(1 - float(np.exp(ratio.mean())), 4)


def more_db(one: Curve, other: Curve) -> float | None:
    """Return by how many dB another curve is better at equal bytes; None if no size is on both."""
    (psnr, size), (psnr_of_other, size_of_other) = _ascending(one), _ascending(other)
    low, high = max(size[0], size_of_other[0]), min(size[-1], size_of_other[-1])
    if low >= high:
        return None
    at = np.linspace(low, high, 100)
    return round(float((np.interp(at, size_of_other, psnr_of_other) - np.interp(at, size, psnr)).mean()), 3)


def _ascending(points: Curve) -> tuple[np.ndarray, np.ndarray]:
    psnr = np.array([point["PSNR"] for point in points])
    order = np.argsort(psnr)
    return psnr[order], np.log([point["bytes a record"] for point in points])[order]


def measured(path: Path, records: Records, n_records: int) -> dict[str, Any]:
    """Return the curves of a model, and what each effort saves."""
    model = narrows.load(path)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "test.narrows"
        curves = {effort: curve(model, records, n_records, effort, archive) for effort in EFFORTS}
    row = {
        "set": SETS[records.name],
        "model": path.stem,
        "numbers a code": model.codec_.n_symbols,
        "test records": n_records,
        "efforts": {
            str(effort): {
                "fewer bytes at equal PSNR": fewer_bytes(curves[0], points),
                "dB more at equal bytes": more_db(curves[0], points),
                "points": points,
            }
            for effort, points in curves.items()
        },
    }
    for effort, points in curves.items():
        seconds = max(point["CPU seconds for 1,000"] for point in points)
        found = row["efforts"][str(effort)]
        print(
            f"{path.stem}, effort {effort}: {found['fewer bytes at equal PSNR']} fewer bytes at equal PSNR, "
            f"{found['dB more at equal bytes']} dB more at equal bytes, {seconds:.1f} s for 1,000",
            flush=True,
        )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of models, each named after its data set")
    parser.add_argument("--records", type=int, default=1000, help="number of test records")
    given = parser.parse_args()
    load = round(os.getloadavg()[0], 1)
    torch.set_num_threads(1)
    rows = []
    for name in SETS:
        found = sorted(path for path in given.models.glob(f"{name}-*.safetensors") if "lossless" not in path.stem)
        records = open_records(name) if found else None
        rows += [measured(path, records, given.records) for path in found if records is not None]
    results = {
        "command": f"python bench/codec/effort.py --records {given.records}",
        "date": datetime.date.today().isoformat(),
        "machine": {"cores": os.cpu_count(), "threads": 1, "load at start": load, "python": platform.python_version()},
        "versions": {package: version(package) for package in ("narrows", "numpy", "torch")},
        "models": rows,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
