"""restore: to an array, and to each kind of file that data come in."""

import hashlib
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import narrows.data
from narrows.archive import Writer, open_archive, restore
from narrows.data.idx import read_idx
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    DataError,
    DataNotFoundError,
    DataWarning,
    InvalidParameterError,
    OutputError,
    OutputExistsError,
)


class Plain:
    """Any records up to 127, as they are."""

    texts = None

    def __init__(self, shape, dtype, fuzz):
        self.shape, self.dtype, self.n_symbols = shape, np.dtype(dtype), int(np.prod(shape))
        self.blob = f"{shape}{dtype}".encode()
        self.digest = hashlib.sha256(self.blob).hexdigest()
        values = np.arange(128, dtype=np.int32)
        model = fuzz.Independent.fit(np.repeat(values[:, None], self.n_symbols, axis=1))
        self.qualities = (SimpleNamespace(entropy=model),)

    def decode(self, symbols, quality):
        return symbols.reshape(-1, *self.shape).astype(self.dtype)


@pytest.fixture
def archived(tmp_path, fuzz):
    """Return a function that writes records to an archive and returns its path, its codec and the records."""

    def archived(shape, dtype, n=50, names=None, chunk_records=20):
        codec = Plain(shape, dtype, fuzz)
        values = np.random.default_rng(5).integers(0, 128, (n, *shape)).astype(dtype)
        with Writer(tmp_path / "in.narrows", codec, 0, chunk_records=chunk_records) as writer:
            writer.add(values.reshape(n, -1).astype(np.int32), values, names)
        return tmp_path / "in.narrows", codec, values

    return archived


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int64", "float16", "float32", "float64"])
def test_to_an_array(archived, dtype):
    path, codec, values = archived((3, 4), dtype)
    found = restore(path, model=codec)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype


@pytest.mark.parametrize("chosen", [slice(5, 25), slice(None, None, 9), range(19, 21), range(40, 3, -11), (7, 50)])
def test_some_records(archived, tmp_path, chosen):
    path, codec, values = archived((3, 4), "uint8")
    expected = values[list(range(*chosen)) if isinstance(chosen, tuple) else chosen]
    np.testing.assert_array_equal(restore(path, model=codec, records=chosen), expected)
    restore(path, model=codec, records=chosen, out=tmp_path / "some.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "some.npy"), expected)


@pytest.mark.parametrize("chosen", [(0, 51), (-1, 5), (7, 3), (51, 51), range(60), range(51, 51), range(-1, 3)])
def test_records_that_there_are_not(archived, chosen):
    path, codec, _ = archived((3, 4), "uint8")
    with pytest.raises(InvalidParameterError, match="'records' of restore"):
        restore(path, model=codec, records=chosen)
    with open_archive(path, model=codec) as archive:
        for asked in (archive.read, archive.names, lambda items: list(archive.pieces(items))):
            with pytest.raises(IndexError, match="has 50 items"):
                asked(chosen)


@pytest.mark.parametrize(
    "chosen",
    [
        (1, 2, 3),
        [3, 7.0],
        np.array([[3, 7]]),
        np.array([3.0]),
        "57",
        5,
        slice("a", 2),
        slice(1, 2, 0),
        (1.0, 2),
    ],
)
def test_what_says_of_no_records_which(archived, chosen):
    path, codec, _ = archived((3, 4), "uint8")
    with pytest.raises(InvalidParameterError, match="'records' of restore"):
        restore(path, model=codec, records=chosen)
    with open_archive(path, model=codec) as archive, pytest.raises(TypeError):
        archive.read(chosen)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize(
    "chosen",
    [
        (5, 5),
        (0, 0),
        (50, 50),
        range(50, 50),
        range(9, 2),
        range(3, 7, -1),
        slice(5, 5),
        slice(70, 90),
        slice(-99, -60),
    ],
)
def test_no_records_are_an_empty_array(archived, tmp_path, dtype, chosen):
    path, codec, _ = archived((3, 4), dtype)
    restore(path, model=codec, records=chosen, out=tmp_path / "none.npy")
    with open_archive(path, model=codec) as archive:
        assert archive.names(chosen) == []
        for found in (archive.read(chosen), restore(path, model=codec, records=chosen), np.load(tmp_path / "none.npy")):
            assert (found.shape, found.dtype) == ((0, 3, 4), np.dtype(dtype))


def test_an_archive_and_restore_mean_the_same(archived):
    path, codec, values = archived((3, 4), "uint8")
    with open_archive(path, model=codec) as archive:
        for chosen in (slice(-5, None), slice(40, 99), slice(None, None, -7), slice(3, None, -5), slice(3, -99, -1)):
            for found in (archive[chosen], archive.read(chosen), restore(path, model=codec, records=chosen)):
                np.testing.assert_array_equal(found, values[chosen])
        for chosen in ((5, 25), (np.int64(49), 50), range(5, 25)):
            assert archive.names(chosen) == [""] * len(range(*chosen) if isinstance(chosen, tuple) else chosen)
            np.testing.assert_array_equal(archive.read(chosen), restore(path, model=codec, records=chosen))


def test_to_npy(archived, tmp_path):
    path, codec, values = archived((3, 4), "float32")
    assert restore(path, model=codec, out=tmp_path / "out.npy") == tmp_path / "out.npy"
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), values)
    np.save(tmp_path / "numpy.npy", values)
    assert (tmp_path / "numpy.npy").read_bytes() == (tmp_path / "out.npy").read_bytes()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "a.idx", "a.idx.gz"])
def test_to_idx(archived, tmp_path, dtype, name):
    path, codec, values = archived((3, 4), dtype)
    restore(path, model=codec, out=tmp_path / name)
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    found = read_idx(tmp_path / name)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype
    assert narrows.data.open(tmp_path / name).kind == "idx"


def test_idx_holds_no_such_type(archived, tmp_path):
    path, codec, _ = archived((3, 4), "uint16")
    with pytest.raises(DataError, match=r"uint16\. Write them to a \.npy"):
        restore(path, model=codec, out=tmp_path / "a.idx")
    assert not (tmp_path / "a.idx").exists()


@pytest.mark.parametrize(("shape", "dtype"), [((5, 4), "uint8"), ((5, 4), "uint16"), ((5, 4, 3), "uint8")])
def test_to_a_folder_of_images(archived, tmp_path, shape, dtype):
    names = [f"{'cats' if i % 2 else 'dogs'}/{i}.jpg" for i in range(50)]
    path, codec, values = archived(shape, dtype, names=names)
    restore(path, model=codec, out=tmp_path / "photos")
    for name, pixels in zip(names, values, strict=True):
        file = (tmp_path / "photos" / name).with_suffix(".png")
        np.testing.assert_array_equal(np.asarray(Image.open(file)), pixels)
    assert narrows.data.open(tmp_path / "photos").label_names == ("cats", "dogs")
    restore(path, model=codec, records=(3, 5), out=f"{tmp_path}/two/")
    assert narrows.data.open(tmp_path / "two").files == ("cats/3.png", "dogs/4.png")


def test_names_that_collide_are_told_and_others_stay(archived, tmp_path):
    names = [f"im{i}.png" for i in range(49)] + ["im3.bmp"]
    path, codec, values = archived((5, 4), "uint8", names=names)
    with pytest.warns(DataWarning, match=r"2 of 50 images .*: im3\.png is written as im3\.png\.png\."):
        restore(path, model=codec, out=tmp_path / "photos")
    expected = {name: name for name in names} | {"im3.png": "im3.png.png", "im3.bmp": "im3.bmp.png"}
    assert {file.name for file in (tmp_path / "photos").iterdir()} == set(expected.values())
    for name, pixels in zip(names, values, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "photos" / expected[name])), pixels)


def test_images_without_names_are_numbered(archived, tmp_path):
    path, codec, values = archived((5, 4), "uint8", names=["", "b.png"] + [""] * 48)
    restore(path, model=codec, out=tmp_path / "photos", records=(0, 3))
    assert sorted(file.name for file in (tmp_path / "photos").iterdir()) == ["000000.png", "000002.png", "b.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "photos" / "000002.png")), values[2])


def test_what_is_no_image(archived, tmp_path):
    path, codec, _ = archived((5, 4), "float32")
    with pytest.raises(DataError, match=r"Write them to a \.npy"):
        restore(path, model=codec, out=tmp_path / "photos")
    assert not (tmp_path / "photos").exists()


@pytest.mark.parametrize("name", ["out.npy", "out.idx.gz", "out/"])
def test_nothing_half_written_is_left(archived, tmp_path, fuzz, name):
    path, codec, _ = archived((5, 4), "uint8")
    data = bytearray(path.read_bytes())
    _, stop = fuzz.blocks_of(bytes(data))[2]
    data[stop - 9] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptArchiveError, match=r"in\.narrows"):
        restore(path, model=codec, out=f"{tmp_path}/{name}")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["out.npy", "out.idx.gz", "out/"])
def test_nothing_is_overwritten_unasked(archived, tmp_path, name):
    path, codec, values = archived((5, 4), "uint8")
    restore(path, model=codec, out=f"{tmp_path}/{name}", records=(0, 5))
    with pytest.raises(OutputExistsError):
        restore(path, model=codec, out=f"{tmp_path}/{name}")
    restore(path, model=codec, out=f"{tmp_path}/{name}", force=True)
    np.testing.assert_array_equal(narrows.data.open(f"{tmp_path}/{name}").values, values)


def test_outputs_that_cannot_be(archived, tmp_path):
    path, codec, _ = archived((5, 4), "uint8")
    with pytest.raises(InvalidParameterError, match=r"folder.*\.npy.*idx"):
        restore(path, model=codec, out=tmp_path / "out.png")
    with pytest.raises(DataNotFoundError):
        restore(path, model=codec, out=tmp_path / "none" / "out.npy")


def test_a_full_disk_is_named(archived, tmp_path, monkeypatch):
    path, codec, _ = archived((5, 4), "uint8")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("narrows.data.numpy_files.write_npy", full)
    with pytest.raises(OutputError, match=r"out\.npy.*No space left"):
        restore(path, model=codec, out=tmp_path / "out.npy")
    assert list(tmp_path.iterdir()) == [path]


def test_progress_is_reported_up_to_the_last_record(archived, tmp_path):
    path, codec, _ = archived((5, 4), "uint8")
    calls = []
    restore(path, model=codec, out=tmp_path / "out.npy", progress=lambda *call: calls.append(call))
    assert calls[-1] == ("restoring", 50, 50, "records")
    assert [done for _, done, *_ in calls] == sorted(done for _, done, *_ in calls)


def test_more_than_memory_is_refused(archived, tmp_path, monkeypatch):
    path, codec, values = archived((5, 4), "uint8")
    monkeypatch.setattr(sys.modules["narrows.archive.restore"], "usable_memory", lambda: 100)
    with pytest.raises(ArchiveError, match=r"1,000 bytes, more than the usable memory.*--only.*-o"):
        restore(path, model=codec)
    np.testing.assert_array_equal(restore(path, model=codec, records=(0, 5)), values[:5])
    restore(path, model=codec, out=tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), values)


def test_chunks_are_all_that_is_held(archived, tmp_path, monkeypatch):
    path, codec, values = archived((4,), "float64", n=50_000, chunk_records=1000)
    restore(path, model=codec, records=(0, 1))
    tracemalloc.start()
    restore(path, model=codec, out=tmp_path / "out.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes / 2
