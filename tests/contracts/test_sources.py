"""What holds of every source, whatever it was opened from."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import narrows.data
from narrows.data import Source

KINDS = {"array", "npy", "npz", "idx", "images", "named"}


def check_source(source):
    """Check everything that the rest of narrows relies on."""
    values = source.values
    assert isinstance(values, np.ndarray)
    assert values.ndim >= 2
    assert values.size > 0
    assert values.dtype.kind in "biuf"
    assert values.dtype.isnative
    assert (len(source), source.shape, source.dtype) == (source.n_records, values.shape[1:], values.dtype)
    assert source.n_records == len(values)
    assert source.name
    assert source.kind in KINDS
    assert source.name in repr(source)
    assert "\n" not in repr(source)
    if source.labels is not None:
        assert source.labels.shape == (len(source),)
        assert source.labels.dtype.isnative
    if source.label_names is not None:
        assert source.labels.dtype.kind in "iu"
        assert source.labels.min() >= 0
        assert source.labels.max() < len(source.label_names)
    if source.files is not None:
        assert len(source.files) == len(source)
        assert not any(Path(file).is_absolute() for file in source.files)
    check_parts(source)
    narrows.data.check_finite(source)
    assert narrows.data.open(source) is source


def check_parts(source):
    last, first = len(source) - 1, source.limit(1)
    both = source.take([last, 0])
    assert (len(first), len(both), len(source.limit(len(source) + 1))) == (1, 2, len(source))
    np.testing.assert_array_equal(both.values, [source.values[last], first.values[0]])
    if source.labels is not None:
        assert both.labels.tolist() == [source.labels[last], first.labels[0]]
    if source.files is not None:
        assert both.files == (source.files[last], *first.files)
    assert first.name == both.name == source.name


X = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)
IDX = struct.pack(">HBB3I", 0, 8, 3, *X.shape) + X.tobytes()


def npy(folder):
    np.save(folder / "x.npy", X)
    return folder / "x.npy"


def npz(folder):
    np.savez(folder / "x.npz", x=X, y=["a", "b", "a", "b"])
    return folder / "x.npz"


def idx(folder):
    (folder / "x-images-idx3-ubyte").write_bytes(IDX)
    (folder / "x-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 4) + bytes(4))
    return folder / "x-images-idx3-ubyte"


def idx_gz(folder):
    (folder / "x.gz").write_bytes(gzip.compress(IDX))
    return folder / "x.gz"


def images(folder):
    for i, image in enumerate(X):
        (folder / f"class{i % 2}").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"class{i % 2}" / f"{i}.png")
    return folder


def image_glob(folder):
    return f"{images(folder)}/**/*.png"


def named(name, folder=None):
    def at_hand(_):
        if folder is None:
            return name
        places = [os.environ.get("NARROWS_DATA"), Path(__file__).resolve().parents[3] / "shared" / "data"]
        for place in (Path(place) for place in places if place):
            if (place / folder / "t10k-images-idx3-ubyte.gz").is_file():
                return str(place), name
        return pytest.skip(f"{name} is not at hand; set NARROWS_DATA to the folder that holds {folder}/")

    return at_hand


SOURCES = {
    "array": lambda _: X,
    "read-only array": lambda _: np.frombuffer(X.tobytes(), np.uint8).reshape(X.shape),
    "nested list": lambda _: X.tolist(),
    "npy": npy,
    "npz": npz,
    "idx": idx,
    "idx.gz": idx_gz,
    "image folder": images,
    "image glob": image_glob,
    "digits": named("digits"),
    "digits:test": named("digits:test"),
    "mnist:test": named("mnist:test", "mnist"),
    "fashion-mnist:test": named("fashion-mnist:test", "fashion"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_source(source, tmp_path, monkeypatch):
    data = SOURCES[source](tmp_path)
    if isinstance(data, tuple):
        folder, data = data
        monkeypatch.setenv("NARROWS_DATA", folder)
    opened = narrows.data.open(data)
    assert isinstance(opened, Source)
    check_source(opened)
    if opened.kind != "named":
        np.testing.assert_array_equal(opened.values[np.lexsort(opened.values.reshape(4, -1).T)], X)
