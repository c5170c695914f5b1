"""Train, compress and restore data that do not fit into memory, beside data that do.

    python bench/larger_than_memory.py                          2 GB within 600 MB
    python bench/larger_than_memory.py --gigabytes 20 --megabytes 1500
    python bench/larger_than_memory.py --records 1e4 1e5 1e6    the cost of a record

Records are images of Fashion-MNIST, repeated with noise of one grey level, in a .npy file of the size that was asked
for. Each step is a process of its own. With the large file there are two of each step, one after the other: in a
control group of `--megabytes`, with its imports and the pages of its files, where such a group can be made, from a cold
cache; and with all memory, from a warm one. `peak_mb` is the peak of memory that is no page of a file (`RssAnon`),
`read_gb` what was read from the disk. `rate` is records in a second, and `rate_of_cpu` in a second of CPU time, which
does not count waiting for the disk. Results: bench/larger-than-memory.json, which keeps the costs of other numbers of
records from earlier runs, and a picture docs/pictures/cost-per-record.png.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from recipes import machine

import narrows.data

RESULTS = Path(__file__).with_name("larger-than-memory.json")
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "cost-per-record.png"
VALUES = 784  # of a record
STEPS = ("train", "compress", "restore")


def make(path: Path, n: int) -> None:
    """Write n records: images repeated, each with other noise."""
    images = narrows.data.open("fashion-mnist:train").values
    made = np.lib.format.open_memmap(path, "w+", np.uint8, (n, 28, 28))
    rng = np.random.default_rng(0)
    for start in range(0, n, 60_000):
        some = images[: min(60_000, n - start)].astype(np.int16)
        some += rng.integers(-1, 2, some.shape, np.int16)
        made[start : start + len(some)] = some.clip(0, 255)
    made.flush()


def drop(path: Path) -> None:
    """Drop the pages of a file from the cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def step(what: str, folder: Path, n: int) -> None:
    """Do one step in this process and print what it took."""
    import torch

    torch.set_num_threads(1)
    peaks, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            status = Path("/proc/self/status").read_text()
            peaks[0] = max(peaks[0], int(status.split("RssAnon:")[1].split()[0]))

    model, archive = folder / "m.safetensors", folder / "a.narrows"
    source = narrows.data.open(str(folder / f"{n}.npy"))
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    began, cpu = time.perf_counter(), time.process_time()
    if what == "train":
        training = narrows.Training(epochs=1, batch_size=256, threads=1, validation=0)
        network = narrows.networks.Dense(widths=(64,))
        made = narrows.Autoencoder(16, network=network, training=training, random_state=0)
        made.fit(source)
    elif what == "compress":
        narrows.compress(source, archive, model=model, threads=1, force=True)
    else:
        narrows.restore(archive, model=model, out=folder / "r.npy", threads=1, force=True)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    done.set()
    thread.join()
    if what == "train":
        made.save(model, force=True)
    print(
        json.dumps(
            {
                "seconds": round(seconds, 2),
                "cpu_seconds": round(cpu, 2),
                "peak_mb": round(peaks[0] / 1024, 1),
                "read_gb": round(read_bytes() / 1e9, 3),
                "peak_with_pages_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            }
        )
    )


def read_bytes() -> int:
    """Return how many bytes this process has read from the disk."""
    return int(Path("/proc/self/io").read_text().split("\nread_bytes:")[1].split()[0])


def limited(megabytes: int) -> Path | None:
    """Return a new control group with this limit; None where none can be made."""
    root = Path("/sys/fs/cgroup")
    is_second = (root / "cgroup.controllers").exists()
    group = (root if is_second else root / "memory") / f"narrows-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.max" if is_second else "memory.limit_in_bytes")).write_text(str(megabytes << 20))
    except OSError:
        return None
    return group


def warm(path: Path) -> None:
    """Read a file, so that the cache has it if there is room."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def run(what: str, folder: Path, n: int, megabytes: int | None) -> dict[str, Any]:
    """Run a step in a process of its own, and return what it took and how it was limited."""
    for path in folder.iterdir():
        (warm if megabytes is None else drop)(path)
    group = None if megabytes is None else limited(megabytes)
    command = [sys.executable, __file__, "--step", what, str(folder), str(n)]
    enter = f'echo $$ > "{group}/cgroup.procs" && exec "$@"'
    prefix = [] if group is None else ["sh", "-c", enter, "sh"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*prefix, *command], check=True, stdout=subprocess.PIPE, text=True, env=environment)
    if group is not None:
        group.rmdir()
    result = json.loads(done.stdout.splitlines()[-1])
    rates = {"rate": round(n / result["seconds"]), "rate_of_cpu": round(n / result["cpu_seconds"])}
    row: dict[str, Any] = {"records": n, "limited": group is not None, **result, **rates}
    print(what, row, flush=True)
    return row


def measure(folder: Path, n: int, limits: list[int | None]) -> list[dict[str, Any]]:
    """Run all steps with a file of n records, each under these limits in turn; return what they took, by limit."""
    make(folder / f"{n}.npy", n)
    found: list[dict[str, Any]] = [{} for _ in limits]
    for what in STEPS:
        for rows, megabytes in zip(found, limits, strict=True):
            rows[what] = run(what, folder, n, megabytes)
            (folder / "r.npy").unlink(missing_ok=True)
    for path in folder.iterdir():
        path.unlink()
    return found


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw the CPU time of a record by the number of records."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(6, 3.2), layout="constrained").subplots()
    for what in STEPS:
        axes.plot([row["n"] for row in rows], [1e6 / row[what]["rate_of_cpu"] for row in rows], "o-", label=what)
    axes.set(xscale="log", xlabel="records", ylabel="CPU time, µs a record", ylim=(0, None))
    axes.legend()
    figure = axes.get_figure()
    assert figure is not None
    figure.savefig(PICTURE, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2, help="size of the large file; 0: none")
    parser.add_argument("--megabytes", type=int, default=600)
    parser.add_argument("--records", nargs="*", type=float, default=[1e4, 1e5, 1e6])
    parser.add_argument("--folder", type=Path, help="where the data are made; by default a temporary folder")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step(arguments.step[0], Path(arguments.step[1]), int(arguments.step[2]))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for n in map(int, arguments.records):
            keep({}, n, measure(Path(name), n, [None])[0])
        large = int(arguments.gigabytes * 1e9 / VALUES)
        if large:
            limited, free = measure(Path(name), large, [arguments.megabytes, None])
            shares = {
                what: {key: round(limited[what][key] / free[what][key], 2) for key in ("rate", "rate_of_cpu")}
                for what in STEPS
            }
            sizes = {"gigabytes": arguments.gigabytes, "megabytes": arguments.megabytes}
            keep({**sizes, "large": limited, "in_memory": free, "share_of_rate_in_memory": shares}, large, free)


def keep(found: dict[str, Any], n: int, rows: dict[str, Any]) -> None:
    """Write results, with the rows of n records beside those of other numbers, and draw them."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    today = datetime.date.today().isoformat()
    others = [row for row in results.get("by_records", ()) if row["n"] != n]
    by_records = sorted([*others, {"n": n, "date": today, **rows}], key=lambda row: row["n"])
    results |= {**found, "by_records": by_records, "machine": machine(), "date": today}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    draw(by_records)


if __name__ == "__main__":
    main()
