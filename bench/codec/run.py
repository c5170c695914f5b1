"""Measure narrows archives and the alternatives of today on the same test records.

    python bench/codec/run.py                                everything, about twenty minutes on one core
    python bench/codec/run.py --only narrows --sets mnist    some of it; the other rows stay as they are
    python bench/codec/run.py --only images --methods AVIF   those whose name has one of these words
    python bench/codec/run.py --draw                         page and picture from the stored rows

Writes bench/codec.json, bench/codec.md and docs/pictures/rate-distortion.png. Needs the extra `bench`, the data
sets (see records.py), and narrows' models in bench/models/codec (see archives.py).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import archives
import faiss
import imagecodecs
import images
import lossless
import quantisers
import transform
import zstandard
from measuring import Attempt, measure
from picture import draw
from principal import principal_axes
from records import SETS, Records, open_records
from table import markdown
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "codec.json"
PAGE = RESULTS.with_suffix(".md")
PICTURE = ROOT / "docs" / "pictures" / "rate-distortion.png"
FAMILIES = ("narrows", "lossless", "images", "quantisers", "transform")
LIBRARIES = ("libjpeg_turbo", "libwebp", "libjxl", "libavif", "liblzma")


def attempts(records: Records, families: list[str]) -> Iterator[Attempt]:
    """Return everything there is to measure on a set."""
    if "narrows" in families:
        yield from archives.attempts(records)
    if "lossless" in families:
        yield from lossless.attempts(records)
    if "images" in families:
        yield from images.attempts(records)
    if {"quantisers", "transform"} & set(families):
        axes = principal_axes(records.train)
        if "quantisers" in families:
            yield from quantisers.attempts(records, axes)
        if "transform" in families:
            yield from transform.attempts(records, axes)


def this_run() -> dict[str, Any]:
    """Describe what was run, when, and on what."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    packages = ("narrows", "numpy", "torch", "zstandard", "imagecodecs", "faiss-cpu", "constriction")
    inside = dict(part.rsplit("-", 1) for part in imagecodecs.version().split(", ") if "-" in part)
    return {
        "command": "python " + shlex.join(["bench/codec/run.py", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": cpu or platform.processor(),
            "cores": os.cpu_count(),
            "threads": 1,
            "load at start": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
            "python": platform.python_version(),
        },
        "versions": {
            **{package: version(package) for package in packages},
            "zstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
            **{library: inside[library] for library in LIBRARIES if library in inside},
        },
    }


def stored() -> dict[str, Any]:
    """Return the results so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"runs": [], "rows": []}


def merged(old: dict[str, Any], run: dict[str, Any], measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results with the rows of a run in the place of earlier ones of the same set and method."""
    replaced = {(row["dataset"], row["method"]) for row in measured}
    kept = [row for row in old["rows"] if (row["dataset"], row["method"]) not in replaced]
    runs = [*old["runs"], run]
    rows = kept + [{**row, "run": len(old["runs"])} for row in measured]
    used = sorted({row["run"] for row in rows})
    order = {name: place for place, name in enumerate(SETS)}
    rows.sort(key=lambda row: (order[row["dataset"]], FAMILIES.index(row["family"])))
    return {"runs": [runs[i] for i in used], "rows": [{**row, "run": used.index(row["run"])} for row in rows]}


def show(results: dict[str, Any]) -> None:
    """Write page and picture."""
    PAGE.write_text(markdown(results))
    draw(results["rows"], PICTURE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--methods", nargs="+", default=[""], help="words, one of which is in the method's name")
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if arguments.draw:
        show(stored())
        return
    faiss.omp_set_num_threads(1)
    run: dict[str, Any] = this_run()
    measured: list[dict[str, Any]] = []
    with threadpool_limits(1):
        for name in arguments.sets:
            try:
                records = open_records(name)
            except FileNotFoundError as error:
                print(f"{SETS[name]} is left out. {error}")
                continue
            for family in arguments.only:
                for attempt in attempts(records, [family]):
                    if not any(word in attempt.method for word in arguments.methods):
                        continue
                    row = {"dataset": name, "family": family, **measure(attempt, records.test)}
                    measured.append(row)
                    print(
                        f"{name:14} {row['method']:24} {row['setting']:26} {row['bytes_per_record']:9.2f} bytes "
                        f"{'exact' if row['psnr_db'] is None else format(row['psnr_db'], '.2f') + ' dB':>9}",
                        flush=True,
                    )
                    results = merged(stored(), run, measured)  # read again: another run may have written rows
                    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    show(stored())


if __name__ == "__main__":
    main()
