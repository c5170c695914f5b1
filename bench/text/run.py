"""Compress lines of text without loss: by the plain commands of narrows, and by other compressors.

    python bench/text/run.py             measure, and write bench/text.json and bench/text.md
    python bench/text/run.py Linux JSON  only some sets, which replace those in bench/text.json
    python bench/text/run.py --models    only archives with models; what others take is that in bench/text.json

The first four fifths of the lines train, and the last is measured::

    narrows train train.txt --recipe bytes -o m.safetensors                         a sample of up to 1 MiB
    narrows compress test.txt -m m.safetensors -o test.narrows                      groups of 64
    narrows compress test.txt -m m.safetensors -o test.narrows --chunk-records 1    each line alone
    narrows compress all.txt -o all.narrows                                         without a model

Lines end with a line feed for compressors of many lines; those of single lines get none. Every archive is restored and
compared with the file. With --all-lines, models with all training lines as their sample are measured, too
(--set sample_bytes=16777215), where these are more than 1 MiB.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import zstandard
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from datasets import LOGS, datasets
from peers import by_line, of_groups, xz

import narrows
from narrows.archive import inspect, open_archive
from narrows.cli import main as command_line

HERE = Path(__file__).resolve().parents[1]
GROUP, MOST_SAMPLE = 64, 16777215
READS, MANY = 40, 1 << 19


def call(text: str) -> tuple[dict[str, Any], float]:
    """Call a command; return what it prints as JSON, and the CPU seconds that it takes."""
    start = time.process_time()
    found = CliRunner().invoke(command_line, [*text.split(), "--json", "-q", "--force"], catch_exceptions=False)
    if found.exit_code:
        raise SystemExit(found.output)
    return json.loads(found.stdout), time.process_time() - start


def read_one_ms(path: Path, model: Any, lines: Sequence[bytes], only: int | None = None) -> float:
    """Return the median CPU milliseconds of reading one line of an archive, a random one by default."""
    rng, took = random.Random(0), []
    with open_archive(path, model=model) as archive:
        _ = archive[0]
        for _ in range(READS):
            k = rng.randrange(len(lines)) if only is None else only
            start = time.process_time()
            found = archive[k]
            took.append(time.process_time() - start)
            assert found.encode("utf-8", "surrogateescape") == lines[k]
    return round(1000 * median(took), 2)


def _archive(model: Any, lines: Sequence[bytes], options: str) -> dict[str, Any]:
    """Return the sizes of an archive with a model, and how fast it is written and read."""
    test, path = Path("test.txt"), Path("test.narrows")
    n_bytes = test.stat().st_size
    model.codec_.texts.encode([b""], 1 if options else GROUP)  # learns the state, which takes as long as the sample
    start = time.process_time()
    narrows.compress(test, path, model=model, chunk_records=1 if options else None, force=True)
    written = time.process_time() - start
    start = time.process_time()
    narrows.restore(path, model=model, out="again.txt", force=True)
    read = time.process_time() - start
    if Path("again.txt").read_bytes() != test.read_bytes():
        raise SystemExit("restored lines differ from the lines")
    if n_bytes < MANY:  # it learns the state again
        call(f"compress {test} -m m.safetensors -o command.narrows {options}")
        if Path("command.narrows").read_bytes() != path.read_bytes():
            raise SystemExit("the command writes another archive")
    found = inspect(path)
    return {
        "bytes": found.n_bytes,
        "records_bytes": found.records_bytes,
        "encode_kb_per_s": round(n_bytes / 1000 / written),
        "decode_kb_per_s": round(n_bytes / 1000 / read),
        "read_one_ms": read_one_ms(path, model, lines),
        "read_sixth_ms": read_one_ms(path, model, lines, only=5),
    }


def with_model(lines: Sequence[bytes], settings: str) -> dict[str, Any]:
    """Return what a model that the command trains takes, and archives of it."""
    facts, train_s = call(f"train train.txt --recipe bytes -o m.safetensors {settings}")
    model = narrows.load("m.safetensors")
    start = time.process_time()
    model.codec_.texts.encode([b""], GROUP)
    opened = time.process_time() - start
    start = time.process_time()
    model.codec_.texts.encode([b""], 1)
    alone = time.process_time() - start
    return {
        "bytes": facts["sample"]["model_bytes"],
        "sample_bytes": facts["sample"]["n_bytes"],
        "train_s": round(train_s, 2),
        "open_s": round(opened, 2),
        "open_alone_s": round(opened + alone, 2),
        "alone": _archive(model, lines, "--chunk-records 1"),
        "groups": _archive(model, lines, ""),
    }


def whole(text: bytes) -> dict[str, int]:
    """Return what a whole file takes without a model."""
    Path("all.txt").write_bytes(text)
    call("compress all.txt -o all.narrows")
    call("restore all.narrows -o again.txt")
    if Path("again.txt").read_bytes() != text:
        raise SystemExit("restored lines differ from the lines")
    return {"plain": len(text), "narrows": Path("all.narrows").stat().st_size, "xz": xz(text)}


def joined(lines: Sequence[bytes]) -> bytes:
    """Return lines with their ends."""
    return b"".join(line + b"\n" for line in lines)


def measure(lines: Sequence[bytes], before: dict[str, Any] | None, *, all_lines: bool) -> dict[str, Any]:
    """Return what a set of lines takes; with results from before, what others take is theirs."""
    n = len(lines) * 4 // 5
    train, test = lines[:n], lines[n:]
    with TemporaryDirectory() as folder, chdir(folder):
        Path("train.txt").write_bytes(joined(train))
        Path("test.txt").write_bytes(joined(test))
        found: dict[str, Any] = {"lines": len(test), "plain": len(joined(test)), "model": with_model(test, "")}
        if all_lines and len(joined(train)) > 1 << 20:
            found["all_lines"] = with_model(test, f"--set sample_bytes={MOST_SAMPLE}")
        if before is not None:
            return {**before, **found}
        found |= {"zstd": by_line(train, test), "peers_of_groups": of_groups(test, GROUP)}
        return found | {"peers_of_all": of_groups(test, len(test)), "whole": whole(joined(lines))}


def best_zstd(one: dict[str, Any]) -> int:
    """Return the bytes of zstd with its best dictionary."""
    return min(zstd["bytes"] for zstd in one["zstd"].values())


def rows(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield name, set, and model of each row of the table."""
    for name, one in found.items():
        if "model" in one:
            yield name, one, one["model"]
        if "all_lines" in one:
            yield f"{name}, all lines", one, one["all_lines"]


def _table(found: dict[str, Any]) -> list[str]:
    """Return the results as lines of Markdown."""
    columns = (
        *("lines of", "plain", "model", "alone", "of it lines", "zstd, best", "ratio", "groups of 64", "of it lines"),
        *("xz of groups", "xz of all", "whole file", "xz"),
    )
    head = ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    lines = []
    for name, one, model in rows(found):
        alone, groups, best = model["alone"], model["groups"], best_zstd(one)
        sizes = (
            one["plain"], model["bytes"], alone["bytes"], alone["records_bytes"], best,
            f"{alone['records_bytes'] / best:.3f}", groups["bytes"], groups["records_bytes"],
            one["peers_of_groups"]["xz"], one["peers_of_all"]["xz"], one["whole"]["narrows"], one["whole"]["xz"],
        )  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(f"{s:,}" if isinstance(s, int) else s for s in sizes) + " |")
    return [*head, *lines]


def _speeds(found: dict[str, Any]) -> list[str]:
    columns = "lines of", "train s", "open s", "open, alone s", "write kB/s", "read kB/s"
    columns = *columns, "random line ms", "`archive[5]` ms", "random line alone ms"
    head = ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    lines = []
    for name, _, model in rows(found):
        groups, alone = model["groups"], model["alone"]
        cells = (
            model["train_s"], model["open_s"], model["open_alone_s"], groups["encode_kb_per_s"],
            groups["decode_kb_per_s"], groups["read_one_ms"],
            groups["read_sixth_ms"], alone["read_one_ms"],
        )  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    return [*head, *lines]


def _means(found: dict[str, Any]) -> list[str]:
    logs = [found[log] for log in LOGS if log in found]
    ratio = mean(one["model"]["alone"]["records_bytes"] / best_zstd(one) for one in logs)
    with_fixed = mean(one["model"]["alone"]["bytes"] / best_zstd(one) for one in logs)
    groups = mean(one["model"]["groups"]["bytes"] for one in logs)
    of_all = mean(one["peers_of_all"]["xz"] for one in logs)
    return [
        f"Mean of the logs: lines alone take {ratio:.3f} of the best zstd, {with_fixed:.3f} with header and index; "
        f"archives of groups of {GROUP} take {groups:,.0f} bytes, and xz of all held-out lines together {of_all:,.0f}."
    ]


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--models", action="store_true")
    parser.add_argument("--all-lines", action="store_true")
    asked = parser.parse_args()
    wanted, path = set(asked.sets), HERE / "text.json"
    before = json.loads(path.read_text())["sets"] if path.exists() else {}
    found = before if wanted or asked.models else {}
    for name, lines in datasets():
        if wanted and name not in wanted:
            continue
        if lines is None:
            print(f"{name}: skipped, since its package is not installed", flush=True)
            continue
        known = before.get(name) if asked.models else None
        found[name] = measure(lines, known, all_lines=asked.all_lines)
        print(name, json.dumps(found[name]), flush=True)
        write(found)
    print("\n".join([*_table(found), *_speeds(found), *_means(found)]))


def write(found: dict[str, Any]) -> None:
    """Write the results so far, so that an interrupted run can go on with the sets that are left."""
    machine = {"processor": platform.machine(), "python": platform.python_version(), "zstandard": zstandard.__version__}
    result = {"machine": machine, "date": datetime.now(UTC).date().isoformat(), "sets": found}
    (HERE / "text.json").write_text(json.dumps(result, indent=2) + "\n")
    command = f"`python bench/text/run.py`, {result['date']}. Speeds are in CPU time, after the model was opened."
    parts = [*_table(found), "", *_means(found), "", *_speeds(found), "", command, ""]
    (HERE / "text.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
