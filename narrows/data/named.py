"""Named data sets: digits, mnist and fashion-mnist.

Each has the parts ``NAME:train``, ``NAME:test`` and ``NAME:all``. A name alone means the training part, so
that nobody trains on test images by accident.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from narrows.data.download import download
from narrows.data.idx import read_idx
from narrows.data.source import Source
from narrows.errors import CorruptFileError, DownloadError, UnknownNameError
from narrows.io.files import as_path
from narrows.io.progress import Progress

__all__ = ["NAMED_SETS", "cache_folder", "is_named", "named_sets", "open_named"]

SPLITS = ("train", "test", "all")
Labelled = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def named_sets() -> tuple[str, ...]:
    """Return the names of all named data sets.

    Examples
    --------
    >>> named_sets()
    ('digits', 'fashion-mnist', 'mnist')
    """
    return tuple(sorted(NAMED_SETS))


def is_named(text: str) -> bool:
    """Return whether `text` names a data set, with or without a split."""
    return text.partition(":")[0] in NAMED_SETS


def open_named(text: str, progress: Progress | None = None) -> Source:
    """Return a named data set; download it at first use if its files are missing.

    Parameters
    ----------
    text : str
        ``"mnist"``, ``"mnist:train"``, ``"mnist:test"`` or ``"mnist:all"`` (training records first).
    progress : callable, optional
        Called with the bytes of each file while it is downloaded.

    Raises
    ------
    UnknownNameError
        If there is no such set or split.
    DownloadError
        If the files are missing and cannot be downloaded; the message says where to put them.

    Examples
    --------
    >>> open_named("digits:test")
    Source(name='digits:test', kind='named', n_records=360, shape=(8, 8), dtype=uint8, labelled)
    """
    name, colon, split = text.partition(":")
    if name not in NAMED_SETS:
        raise UnknownNameError("data set", name, NAMED_SETS)
    split = split if colon else "train"
    if split not in SPLITS:
        raise UnknownNameError(f"split of '{name}'", split, SPLITS)
    chosen = NAMED_SETS[name]
    parts = [chosen.load(part, progress) for part in (("train", "test") if split == "all" else (split,))]
    values, labels = parts[0] if len(parts) == 1 else (np.concatenate(column) for column in zip(*parts, strict=True))
    return Source(values, labels, chosen.label_names, name=f"{name}:{split}", kind="named")


def cache_folder() -> Path:
    """Return the folder of downloaded sets."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("narrows"))


class NamedSet(Protocol):
    """A set with a training and a test part."""

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """The names of the classes, if they have names."""

    def load(self, split: str, progress: Progress | None) -> Labelled:
        """Return values and labels of the "train" or the "test" part."""


@dataclass(frozen=True)
class Digits:
    """The 1,797 handwritten digits of 8×8 pixels that come with scikit-learn (Alpaydin & Kaynak 1998).

    Their grey levels 0 … 16 are scaled to uint8, ``round(255 x / 16)``. The first 1,437 are for training, the last 360
    for testing. The order is kept, so that most test digits were written by other people.
    """

    label_names: tuple[str, ...] | None = None
    n_train: int = 1437

    def load(self, split: str, progress: Progress | None) -> Labelled:
        """Return values (n, 8, 8) uint8 and labels (n,) int64."""
        values, labels = _read_digits()
        part = slice(None, self.n_train) if split == "train" else slice(self.n_train, None)
        return values[part].copy(), labels[part].copy()


@functools.cache
def _read_digits() -> Labelled:
    """Return all digits and their labels; reading the text takes 0.1 s, so it is done once per process.

    To import `sklearn.datasets` takes longer than everything else that is done with digits, so its file is read.
    """
    package = find_spec("sklearn")
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz" if package and package.origin else None
    if file is not None and file.exists():
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
        grey, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    else:
        from sklearn.datasets import load_digits

        digits = load_digits()
        grey, labels = digits.images, digits.target
    return np.rint(grey * 255.0 / 16).astype(np.uint8), labels.astype(np.int64)


@dataclass(frozen=True)
class IdxSet:
    """A set in the format of MNIST: four gzipped IDX files.

    Each is looked for in ``$NARROWS_DATA/<folder>/``, then in the user's cache, with and without ``.gz``, and otherwise
    downloaded into the cache. ``$NARROWS_MIRROR``, a base address with one folder per set, replaces the mirrors.

    Parameters
    ----------
    folder : str
        Folder of its files under ``$NARROWS_DATA``, the cache and ``$NARROWS_MIRROR``.
    mirrors : tuple of str
        Addresses of folders that hold the files, tried in order.
    sha256 : mapping of str to str
        Digest of each file's unzipped content.
    label_names : tuple of str, optional
    """

    folder: str
    mirrors: tuple[str, ...]
    sha256: Mapping[str, str]
    label_names: tuple[str, ...] | None = None

    def load(self, split: str, progress: Progress | None) -> Labelled:
        """Return values (n, 28, 28) uint8 and labels (n,) uint8."""
        prefix = "train" if split == "train" else "t10k"
        values = read_idx(self._file(f"{prefix}-images-idx3-ubyte.gz", progress))
        path = self._file(f"{prefix}-labels-idx1-ubyte.gz", progress)
        labels = read_idx(path)
        if labels.shape != (len(values),):
            raise CorruptFileError(
                f"{path} is damaged: it must contain {len(values):,} labels, one for each record. "
                f"Got the shape {labels.shape}. Delete the file to download it again."
            )
        return values, labels

    def _file(self, file: str, progress: Progress | None) -> Path:
        cached = cache_folder() / self.folder / file
        mine = os.environ.get("NARROWS_DATA")
        for path in ([as_path(mine) / self.folder / file] if mine else []) + [cached]:
            for candidate in (path, path.with_suffix("")):
                if candidate.is_file():
                    return candidate
        mirror = os.environ.get("NARROWS_MIRROR")
        mirrors = (f"{mirror.rstrip('/')}/{self.folder}/",) if mirror else self.mirrors
        try:
            download([base + file for base in mirrors], cached, self.sha256[file], _n_bytes(file), progress)
        except OSError as error:
            raise DownloadError(
                f"{error} If you have the files {', '.join(self.sha256)}, put them into the folder "
                f"$NARROWS_DATA/{self.folder}/ or {cached.parent}{os.sep}"
            ) from error
        return cached


def _n_bytes(file: str) -> int:
    """Return the unzipped size of a file in MNIST's format."""
    n_records = 60_000 if file.startswith("train") else 10_000
    return 16 + n_records * 784 if "images" in file else 8 + n_records


NAMED_SETS: dict[str, NamedSet] = {
    "digits": Digits(),
    "mnist": IdxSet(
        folder="mnist",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        sha256={
            "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion-mnist": IdxSet(
        folder="fashion",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        sha256={
            "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        label_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
}
