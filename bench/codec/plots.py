"""Draw the README's picture: test digits as they are, and restored from fewer and fewer bytes.

    python bench/codec/plots.py

Writes docs/pictures/compressed.png from the models in bench/models/codec (`train.py`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from archives import MODELS
from run import ROOT

import narrows
import narrows.data
from narrows import pictures

SHOWN = ("mnist-29.5", "mnist-26.5", "mnist-23.5")


def main() -> None:
    test = narrows.data.open("mnist:test")
    first = [int(np.flatnonzero(test.labels == digit)[0]) for digit in range(10)]
    rows = {"original, 784 bytes": test.values[first]}
    with tempfile.TemporaryDirectory() as folder:
        for name in SHOWN:
            archive, model = Path(folder) / f"{name}.narrows", MODELS / f"{name}.safetensors"
            summary = narrows.compress(test, archive, model=model, psnr=float(name.rpartition("-")[2]))
            with narrows.open_archive(archive, model=model) as opened:
                rows[f"{summary.bytes_per_record:.1f} bytes"] = np.stack([opened[place] for place in first])
    pictures.save(pictures.rows(rows), ROOT / "docs" / "pictures" / "compressed.png", force=True)


if __name__ == "__main__":
    main()
