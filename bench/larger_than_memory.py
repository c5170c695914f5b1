"""Train, compress and restore data that do not fit into memory, beside data that do.

    python bench/larger_than_memory.py                          2 GB within 600 MB
    python bench/larger_than_memory.py --gigabytes 20 --megabytes 1500
    python bench/larger_than_memory.py --records 1e4 1e5 1e6    the cost of a record

Records are images of Fashion-MNIST, repeated with noise of one grey level, in a .npy file of the size that was asked
for. Each step is a process of its own. That with the large file is in a control group of `--megabytes`, with its
imports and the pages of its files, where such a group can be made, and is not limited otherwise. `peak_mb` is the
peak of its memory that is no page of a file (`RssAnon`). `rate` is records in a second, and `rate_of_cpu` in a second
of CPU time, which does not count waiting for the disk. Pages of the file are dropped from the cache before each step.
Rates beside are those of the first records of the file, as many as fit. Results: bench/larger-than-memory.json, and a
picture docs/pictures/cost-per-record.png.
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
VALUES, IN_MEMORY = 784, 100_000  # values of a record; records of the smaller file


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
                "peak_with_pages_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            }
        )
    )


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


def run(what: str, folder: Path, n: int, megabytes: int | None) -> dict[str, Any]:
    """Run a step in a process of its own, and return what it took and how it was limited."""
    drop(folder / f"{n}.npy")
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


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw the CPU time of a record by the number of records."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(6, 3.2), layout="constrained").subplots()
    for what in ("train", "compress", "restore"):
        axes.plot([row["n"] for row in rows], [1e6 / row[what]["rate_of_cpu"] for row in rows], "o-", label=what)
    axes.set(xscale="log", xlabel="records", ylabel="CPU time, µs a record", ylim=(0, None))
    axes.legend()
    figure = axes.get_figure()
    assert figure is not None
    figure.savefig(PICTURE, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--megabytes", type=int, default=600)
    parser.add_argument("--records", nargs="*", type=float, default=[1e4, 1e5, 1e6])
    parser.add_argument("--folder", type=Path, help="where the data are made; by default a temporary folder")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step(arguments.step[0], Path(arguments.step[1]), int(arguments.step[2]))
        return
    large = int(arguments.gigabytes * 1e9 / VALUES)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder, by_size = Path(name), {}
        for n in sorted({*map(int, arguments.records), IN_MEMORY, large}):
            make(folder / f"{n}.npy", n)
            limit = arguments.megabytes if n == large else None
            by_size[n] = {what: run(what, folder, n, limit) for what in ("train", "compress", "restore")}
            for path in folder.glob("*.n*"):
                path.unlink()
    big, small = by_size[large], by_size[IN_MEMORY]
    results: dict[str, Any] = {"gigabytes": arguments.gigabytes, "megabytes": arguments.megabytes, "large": big}
    results["share_of_rate_in_memory"] = {
        what: {key: round(big[what][key] / small[what][key], 2) for key in ("rate", "rate_of_cpu")} for what in big
    }
    results["by_records"] = [{"n": n, **rows} for n, rows in by_size.items()]
    results |= {"machine": machine(), "date": datetime.date.today().isoformat()}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    draw(results["by_records"])


if __name__ == "__main__":
    main()
