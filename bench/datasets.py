"""The data sets that benchmarks of defaults use, each as training and test records.

They lie in ``$NARROWS_DATA`` or in ``../shared/data`` beside the project; digits come with scikit-learn, and two sets
are drawn from a fixed seed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

import narrows.data

ROOT = Path(os.environ.get("NARROWS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

Array = NDArray[np.generic]
Pair = tuple[Array, Array]


@dataclass(frozen=True)
class Dataset:
    """Training and test records, and the length of the code where it is not the default."""

    name: str
    load: Callable[[], Pair]
    n_latent: int | None = None


@cache
def _idx(folder: str, n_train: int, n_test: int) -> Pair:
    files = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
    train, test = (narrows.data.open(ROOT / folder / file).values for file in files)
    return np.array(train[:n_train]), np.array(test[:n_test])


def mnist(n_train: int = 12_000, n_test: int = 5_000, folder: str = "mnist") -> Pair:
    """Return grey images of 28×28 bytes."""
    return _idx(folder, n_train, n_test)


@cache
def _sheets(kind: str, n_sheets: int) -> Array:
    sheets = [np.asarray(Image.open(ROOT / "cifar10" / f"{kind}_{n:02}.png")) for n in range(n_sheets)]
    return np.concatenate([sheet.reshape(25, 32, 20, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3) for sheet in sheets])


def cifar(n_train: int = 10_000, n_test: int = 3_000) -> Pair:
    """Return colour photographs of 32×32×3 bytes."""
    return _sheets("train", 20)[:n_train], _sheets("test", 20)[:n_test]


@cache
def kodak(size: int = 48) -> Pair:
    """Return pieces of 48×48×3 bytes: of the first 18 photographs to train on, of the last 6 to test on."""

    def pieces(numbers: range) -> Iterator[Array]:
        for number in numbers:
            photo = np.asarray(Image.open(ROOT / "kodak" / f"kodim{number:02}.png"))
            height, width = (side // size * size for side in photo.shape[:2])
            tiles = photo[:height, :width].reshape(height // size, size, width // size, size, 3)
            yield tiles.swapaxes(1, 2).reshape(-1, size, size, 3)

    train, test = (np.concatenate(list(pieces(numbers))) for numbers in (range(1, 19), range(19, 25)))
    return train, test


def ecg5000() -> Pair:
    """Return heartbeats of 140 samples: the archive's 500 to train on and 4,500 to test on."""
    train, test = (np.loadtxt(ROOT / "ecg5000" / f"ECG5000_{name}") for name in ("TRAIN.txt", "TEST.txt.gz"))
    return train[:, 1:], test[:, 1:]


def nab_windows(width: int = 64) -> Pair:
    """Return windows of real series, each series by its own mean and deviation; the later fifth is to test on."""
    windows: list[Pair] = []
    for file in sorted((ROOT / "nab" / "data").glob("real*/*.csv")):
        series = np.genfromtxt(file, delimiter=",", skip_header=1, usecols=1)
        series = (series - series.mean()) / max(series.std(), 1e-9)
        views = np.lib.stride_tricks.sliding_window_view(series, width)
        cut = len(views) * 4 // 5
        windows.append((views[: cut - width : 16], views[cut::16]))
    return np.concatenate([train for train, _ in windows]), np.concatenate([test for _, test in windows])


def airtemp_pieces(size: int = 12) -> Pair:
    """Return pieces of a temperature field, float32: of the first 180 months to train on, of the last 60 to test on."""
    field = np.load(ROOT / "fields" / "airtemp_a1b_na_240x37x49_f32.npy")[:, :36, :48]
    pieces = field.reshape(240, 36 // size, size, 48 // size, size).swapaxes(2, 3)
    return pieces[:180].reshape(-1, size, size), pieces[180:].reshape(-1, size, size)


def adbench(name: str) -> Pair:
    """Return a table: four fifths of its rows, drawn at random, to train on; 20,000 rows at most."""
    table = np.load(next((ROOT / "adbench").glob(f"*_{name}.npz")))["X"]
    order = np.random.default_rng(0).permutation(len(table))[:20_000]
    cut = len(order) * 4 // 5
    return table[order[:cut]], table[order[cut:]]


def _rows(table: Array) -> Pair:
    return table[: len(table) * 4 // 5], table[len(table) * 4 // 5 :]


def mixed_units() -> Pair:
    """Return rows of 24 columns that depend on four numbers, in units from 0.001 to 1,000,000."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(12_500, 4))
    table = np.tanh(hidden @ rng.normal(size=(4, 24))) + 0.1 * rng.normal(size=(12_500, 24))
    return _rows(table * 10.0 ** rng.uniform(-3, 6, 24) + 10.0 ** rng.uniform(-3, 6, 24))


def poisson_counts() -> Pair:
    """Return rows of 50 counts whose logarithmic rates depend on five numbers, as floats."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(5_000, 5))
    rates = np.exp(rng.uniform(0, 4, 50) + 0.5 * hidden @ rng.normal(size=(5, 50)))
    return _rows(rng.poisson(rates.clip(max=5_000)).astype(np.float64))


def digits() -> Pair:
    """Return scikit-learn's digits, 64 numbers from 0 to 1."""
    return _rows(load_digits().data / 16)


def _of(load: Callable[[], Pair], change: Callable[[Array], Array]) -> Callable[[], Pair]:
    def changed() -> Pair:
        train, test = load()
        return change(train), change(test)

    return changed


def _unit(x: Array) -> Array:
    return (x / np.float32(255)).astype(np.float32)


def _flat(x: Array) -> Array:
    return x.reshape(len(x), -1)


TABLES = (
    "letter", "mammography", "musk", "PageBlocks", "Pima", "satellite", "shuttle", "Waveform", "campaign",
    "Cardiotocography",
)  # fmt: skip

DATASETS = (
    Dataset("MNIST/255, flat", _of(mnist, lambda x: _flat(_unit(x)))),
    Dataset("MNIST 0 to 255 as float32, flat", _of(mnist, lambda x: _flat(x.astype(np.float32)))),
    Dataset("MNIST from -1 to 1, flat", _of(mnist, lambda x: 2 * _flat(_unit(x)) - 1)),
    Dataset("MNIST bytes", mnist),
    Dataset("MNIST/255", _of(mnist, _unit)),
    Dataset("MNIST 0 to 255 as float32", _of(mnist, lambda x: x.astype(np.float32))),
    Dataset("MNIST/255, channels first", _of(mnist, lambda x: _unit(x)[:, None])),
    Dataset("Fashion-MNIST/255, flat", _of(lambda: mnist(folder="fashion"), lambda x: _flat(_unit(x)))),
    Dataset("Fashion-MNIST bytes", lambda: mnist(folder="fashion")),
    Dataset("digits/16", digits),
    Dataset("CIFAR-10 bytes", cifar),
    Dataset("CIFAR-10/255", _of(cifar, _unit)),
    Dataset("CIFAR-10 bytes, 3,000, 64 numbers", lambda: cifar(3_000), 64),
    Dataset("CIFAR-10/255, 3,000, 64 numbers", _of(lambda: cifar(3_000), _unit), 64),
    Dataset("Kodak 48×48 bytes", kodak),
    Dataset("Kodak 48×48/255", _of(kodak, _unit)),
    Dataset("ECG5000", ecg5000),
    Dataset("NAB windows", nab_windows),
    Dataset("air temperature 12×12", airtemp_pieces),
    Dataset("mixed units", mixed_units),
    Dataset("Poisson counts", poisson_counts),
    *(Dataset(f"ADBench {name}", lambda name=name: adbench(name)) for name in TABLES),  # type: ignore[misc]
)
