"""The records of the comparison: training ones for whatever is trained, test ones for every number.

MNIST and Fashion-MNIST come through `narrows.data`. CIFAR-10 is read from ``$NARROWS_DATA/cifar10`` (or narrows' cache)
as sheets ``train_00.png``, ``test_00.png`` … of 500 pictures of 32×32, 20 in a row.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import narrows.data
from narrows.data.named import cache_folder

__all__ = ["SETS", "Records", "join", "open_records", "split"]

SETS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}


@dataclass(frozen=True)
class Records:
    """A data set: training and test records (n, h, w) or (n, h, w, 3), uint8."""

    name: str
    train: NDArray[np.uint8]
    test: NDArray[np.uint8]


def open_records(name: str) -> Records:
    """Return a data set by its name in `SETS`; FileNotFoundError if CIFAR-10 is not at hand."""
    if name == "cifar10":
        return Records(name, _cifar10("train"), _cifar10("test"))
    parts = [np.ascontiguousarray(narrows.data.open(f"{name}:{part}").values) for part in ("train", "test")]
    return Records(name, *parts)


def join(records: NDArray[np.uint8], n_columns: int) -> NDArray[np.uint8]:
    """Return the records (n, h, w, ...) as one sheet (rows·h, n_columns·w, ...), row by row."""
    n, h, w, *rest = records.shape
    grid = records.reshape(n // n_columns, n_columns, h, w, *rest).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(n // n_columns * h, n_columns * w, *rest))


def split(sheet: NDArray[np.uint8], h: int, w: int) -> NDArray[np.uint8]:
    """Return the records (n, h, w, ...) of a sheet: what `join` was given."""
    n_rows, n_columns, rest = sheet.shape[0] // h, sheet.shape[1] // w, sheet.shape[2:]
    grid = sheet.reshape(n_rows, h, n_columns, w, *rest).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(n_rows * n_columns, h, w, *rest))


def _cifar10(part: str) -> NDArray[np.uint8]:
    mine = os.environ.get("NARROWS_DATA")
    folders = ([Path(mine) / "cifar10"] if mine else []) + [cache_folder() / "cifar10"]
    sheets = next((found for folder in folders if (found := sorted(folder.glob(f"{part}_*.png")))), None)
    if sheets is None:
        raise FileNotFoundError(f"There is no {part}_00.png in {' or '.join(map(str, folders))}.")
    return np.concatenate([split(np.asarray(Image.open(path).convert("RGB")), 32, 32) for path in sheets])
