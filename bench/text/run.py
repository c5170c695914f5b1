"""Compress lines of text without loss: by the model of bytes, and by other compressors.

    python bench/text/run.py             measure, and write bench/text.json and bench/text.md
    python bench/text/run.py Linux JSON  only some sets, which replace those in bench/text.json

The first four fifths of the lines train, and the last is measured. Lines end with a line feed for compressors of many
lines; those of single lines get none. Every coded line is decoded again and compared.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import zstandard

sys.path.insert(0, str(Path(__file__).parent))

from datasets import LOGS, datasets
from peers import by_line, of_groups, xz

import narrows
from narrows.codec.text.frozen import FrozenBytes

HERE = Path(__file__).resolve().parents[1]
GROUP = 64


def _archive_bytes(text: bytes) -> int:
    """Return the size of what `narrows compress lines.txt -o lines.narrows` writes."""
    with TemporaryDirectory() as folder:
        lines, archive = Path(folder) / "lines.txt", Path(folder) / "lines.narrows"
        lines.write_bytes(text)
        narrows.compress(lines, archive)
        assert narrows.restore(archive, out=Path(folder) / "again.txt").read_bytes() == text
        return archive.stat().st_size


def _coded(model: FrozenBytes, lines: Sequence[bytes], group: int) -> dict[str, float]:
    """Return the bytes of coded lines, and the CPU seconds of encoding and decoding them, after a first use."""
    model.encode(lines[:1], group)
    start = time.process_time()
    coded = model.encode(lines, group)
    middle = time.process_time()
    n_bytes = sum(map(len, lines))
    if model.decode(coded, len(lines), n_bytes, group) != list(lines):
        raise SystemExit("decoded lines differ from the lines")
    end = time.process_time()
    rates = n_bytes / 1000 / (middle - start), n_bytes / 1000 / (end - middle)
    return {"bytes": sum(map(len, coded)), "encode_kb_per_s": round(rates[0]), "decode_kb_per_s": round(rates[1])}


def measure(lines: Sequence[bytes]) -> dict[str, Any]:
    """Return what a set of lines takes."""
    n = len(lines) * 4 // 5
    train, test = lines[:n], lines[n:]
    start = time.process_time()
    model = FrozenBytes.of(train)
    learnt = time.process_time() - start
    start = time.process_time()
    model.encode(test[:1])
    opened = time.process_time() - start
    whole = b"".join(line + b"\n" for line in lines)
    return {
        "lines": len(test),
        "plain": sum(len(line) + 1 for line in test),
        "model": {"bytes": len(model.coded), "train_s": round(learnt, 2), "open_s": round(learnt + opened, 2)},
        "alone": _coded(model, test, 1),
        "groups": _coded(model, test, GROUP),
        "zstd": by_line(train, test),
        "peers_of_groups": of_groups(test, GROUP),
        "peers_of_all": of_groups(test, len(test)),
        "whole": {"plain": len(whole), "narrows": _archive_bytes(whole), "xz": xz(whole)},
    }


def _table(found: dict[str, Any]) -> list[str]:
    """Return the results as lines of Markdown."""
    columns = (
        "lines of",
        "plain",
        "model",
        "alone",
        "zstd, best",
        "ratio",
        "groups of 64",
        "xz of groups",
        "xz of all",
    )
    head = [
        "| " + " | ".join([*columns, "whole file", "xz"]) + " |",
        "| --- |" + " ---: |" * (len(columns) + 1),
    ]
    rows = []
    for name, one in found.items():
        best = min(zstd["bytes"] for zstd in one["zstd"].values())
        sizes = (
            one["plain"], one["model"]["bytes"], one["alone"]["bytes"], best, f"{one['alone']['bytes'] / best:.3f}",
            one["groups"]["bytes"], one["peers_of_groups"]["xz"], one["peers_of_all"]["xz"], one["whole"]["narrows"],
            one["whole"]["xz"],
        )  # fmt: skip
        rows.append(f"| {name} | " + " | ".join(f"{s:,}" if isinstance(s, int) else s for s in sizes) + " |")
    return [*head, *rows]


def _means(found: dict[str, Any]) -> list[str]:
    logs = [found[log] for log in LOGS if log in found]
    best = [min(zstd["bytes"] for zstd in one["zstd"].values()) for one in logs]
    ratio = mean(one["alone"]["bytes"] / other for one, other in zip(logs, best, strict=True))
    groups, of_all = mean(one["groups"]["bytes"] for one in logs), mean(one["peers_of_all"]["xz"] for one in logs)
    return [
        f"Mean of the logs: lines alone take {ratio:.3f} of the best zstd; groups of {GROUP} take {groups:,.0f} bytes, "
        f"and xz of all held-out lines together {of_all:,.0f}."
    ]


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*")
    wanted = set(parser.parse_args().sets)
    path = HERE / "text.json"
    found = json.loads(path.read_text())["sets"] if wanted and path.exists() else {}
    for name, lines in datasets():
        if wanted and name not in wanted:
            continue
        if lines is None:
            print(f"{name}: skipped, since its package is not installed", flush=True)
            continue
        found[name] = measure(lines)
        print(name, json.dumps(found[name]), flush=True)
        write(found)
    print("\n".join([*_table(found), *_means(found)]))


def write(found: dict[str, Any]) -> None:
    """Write the results so far, so that an interrupted run can go on with the sets that are left."""
    machine = {"processor": platform.machine(), "python": platform.python_version(), "zstandard": zstandard.__version__}
    result = {"machine": machine, "date": datetime.now(UTC).date().isoformat(), "sets": found}
    (HERE / "text.json").write_text(json.dumps(result, indent=2) + "\n")
    command = f"`python bench/text/run.py`, {result['date']}."
    (HERE / "text.md").write_text("\n".join([*_table(found), "", *_means(found), "", command, ""]))


if __name__ == "__main__":
    main()
