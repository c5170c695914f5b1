"""Data, models and archives at URLs: read and written as files are, by fsspec."""

import os

import fsspec
import numpy as np
import pytest

import narrows.data
from narrows import Autoencoder, Training, compress, load, open_archive, restore
from narrows.errors import (
    ArchiveError,
    DataError,
    DataNotFoundError,
    InvalidParameterError,
    MissingPackageError,
    OutputExistsError,
)
from narrows.io.files import as_path
from narrows.io.remote import fetched, is_remote

MEMORY = fsspec.filesystem("memory")


class Unreachable:
    """A file whose place has errors of its own."""

    closed = False

    def seek(self, offset):
        raise RuntimeError("the bucket is gone")

    def close(self):
        pass


@pytest.fixture
def place():
    """Return the URL of an empty folder in memory."""
    MEMORY.makedirs("/narrows", exist_ok=True)
    yield "memory://narrows"
    MEMORY.rm("/narrows", recursive=True)


@pytest.fixture(scope="module")
def model(digits):
    return Autoencoder(2, network="dense", training=Training(epochs=1), random_state=0).fit(digits[0][:50])


def everything(place, model, images):
    """Write and read data, a model and an archive at a place."""
    narrows.data.write(f"{place}/x.npy", images)
    assert np.array_equal(narrows.data.open(f"{place}/x.npy").values, images)
    model.save(f"{place}/m.safetensors")
    again = load(f"{place}/m.safetensors")
    np.testing.assert_array_equal(again.transform(images), model.transform(images))
    compress(f"{place}/x.npy", f"{place}/a.narrows", model=again, max_error=0, chunk_records=20)
    with open_archive(f"{place}/a.narrows", model=f"{place}/m.safetensors") as archive:
        assert np.array_equal(archive[31], images[31])
    assert str(restore(f"{place}/a.narrows", model=again, out=f"{place}/y.npy")) == f"{place}/y.npy"
    assert np.array_equal(narrows.data.open(f"{place}/y.npy").values, images)


def test_data_models_and_archives_are_written_and_read_in_memory(place, model, digits):
    everything(place, model, digits[0][:50])
    names = {os.path.basename(path) for path in MEMORY.ls("/narrows", detail=False)}
    assert names == {"x.npy", "m.safetensors", "a.narrows", "y.npy"}


def test_data_models_and_archives_are_written_and_read_at_a_server_of_s3(model, digits, monkeypatch):
    server = pytest.importorskip("moto.server", reason="moto and s3fs are not installed: make test-cloud")
    s3fs = pytest.importorskip("s3fs")
    started = server.ThreadedMotoServer(port=0)
    started.start()
    try:
        host, port = started.get_host_and_port()
        monkeypatch.setitem(
            fsspec.config.conf, "s3", {"endpoint_url": f"http://{host}:{port}", "key": "a", "secret": "b"}
        )
        s3fs.S3FileSystem.clear_instance_cache()
        fsspec.filesystem("s3").mkdir("shelf")
        everything("s3://shelf/of", model, digits[0][:50])
    finally:
        started.stop()


def test_a_changed_object_is_fetched_again(place):
    for value in (1.0, 2.0):
        narrows.data.write(f"{place}/x.npy", np.full((3, 2), value), force=True)
        assert narrows.data.open(f"{place}/x.npy").values[0, 0] == value


def test_an_array_that_was_fetched_stays_as_it_was_when_its_object_changes(place):
    narrows.data.write(f"{place}/x.npy", np.zeros((300, 2)))
    before = narrows.data.open(f"{place}/x.npy").values
    narrows.data.write(f"{place}/x.npy", np.ones((3, 2)), force=True)
    assert narrows.data.open(f"{place}/x.npy").values.sum() == 6
    assert before.shape == (300, 2)
    assert not before.any()


def test_a_folder_is_fetched_as_a_whole(place, tmp_path, digits):
    narrows.data.write(tmp_path / "images", digits[0][:3])
    MEMORY.put(f"{tmp_path}/images", "/narrows/", recursive=True)
    assert len(narrows.data.open(f"{place}/images")) == 3
    MEMORY.rm(MEMORY.find("/narrows/images")[0])
    assert len(narrows.data.open(f"{place}/images")) == 2


def test_an_archive_that_cannot_be_read_any_more_is_named(place, model, digits, monkeypatch):
    compress(digits[0][:50], f"{place}/a.narrows", model=model)
    with open_archive(f"{place}/a.narrows", model=model) as archive:
        monkeypatch.setattr(archive._source, "_file", Unreachable())
        with pytest.raises(ArchiveError, match=r"a\.narrows cannot be read: the bucket is gone"):
            archive[0]


def test_nothing_is_overwritten_without_force_and_a_failed_output_is_not_written(place, model):
    narrows.data.write(f"{place}/x.npy", np.zeros((3, 2)))
    with pytest.raises(OutputExistsError, match=r"memory://narrows/x\.npy' already exists"):
        narrows.data.write(f"{place}/x.npy", np.ones((3, 2)))
    with pytest.raises(DataError):
        compress(np.full((3, 2), np.nan), f"{place}/a.narrows", model=model)
    assert not MEMORY.exists("/narrows/a.narrows")


@pytest.mark.parametrize("read", [narrows.data.open, load, open_archive])
def test_what_is_not_there_is_named(read, place):
    with pytest.raises(DataNotFoundError, match="memory://narrows/none"):
        read(f"{place}/none.npy")


def test_a_missing_package_and_an_unknown_kind_are_named():
    with pytest.raises(DataError, match="'nosuch://a/b' is no path that can be read"):
        narrows.data.open("nosuch://a/b")
    try:
        import gcsfs  # noqa: F401
    except ImportError:
        with pytest.raises(MissingPackageError, match=r"gs://a/b.npy.*pip install 'narrows\[cloud\]'"):
            narrows.data.open("gs://a/b.npy")


def test_what_needs_a_file_here_is_refused(place, model, digits):
    compress(digits[0][:50], f"{place}/a.narrows", model=model)
    with pytest.raises(InvalidParameterError, match="appended to an archive in its place"):
        compress(digits[0][:50], f"{place}/a.narrows", model=model, append=True)
    with pytest.raises(InvalidParameterError, match="Images are written to a folder"):
        narrows.data.write(f"{place}/images/", digits[0][:50])


def test_paths_of_this_machine_are_left_alone(tmp_path):
    assert not is_remote("C:/x.npy")
    assert not is_remote(tmp_path / "x.npy")
    assert fetched(tmp_path / "x.npy") == tmp_path / "x.npy"
    assert as_path("x.npy").as_posix() == "x.npy"
