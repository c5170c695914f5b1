"""Archives and models find each other by the hash of the model's codec."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import narrows
from narrows.archive import embed, inspect, verify
from narrows.archive.growing import growing
from narrows.archive.model_search import archives_of, digest_of, find_model
from narrows.errors import ArchiveError, CorruptArchiveError, WrongModelError
from narrows.model.inspection import inspect as inspect_model

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"


@pytest.fixture
def archive(tmp_path):
    return Path(shutil.copy(GOLDEN / "map-codec-finest.narrows", tmp_path))


@pytest.fixture
def model():
    return GOLDEN / "map-codec.safetensors"


def test_a_model_in_the_folder_of_an_archive_is_found(archive, model):
    with pytest.raises(ArchiveError, match=r"does not contain its model.*NARROWS_MODELS"):
        narrows.open_archive(archive)
    shutil.copy(model, archive.parent / "renamed.safetensors")
    np.testing.assert_array_equal(narrows.restore(archive), narrows.restore(archive, model=model))
    assert verify(archive).is_restored
    renamed = archive.parent / "renamed.safetensors"
    assert archives_of(renamed, digest_of(renamed)) == [archive]


def test_a_model_is_found_among_any_number_of_files(archive, model):
    for number in range(1100):
        (archive.parent / f"a-{number}.safetensors").touch()
    shutil.copy(model, archive.parent / "z.safetensors")
    assert find_model(archive, narrows.archive.inspect(archive).metadata["model"]).name == "z.safetensors"


def test_models_are_found_in_the_folders_of_the_environment(archive, model, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("NARROWS_MODELS", os.pathsep.join(["", str(tmp_path / "none"), str(model.parent)]))
    assert find_model(archive, inspect(archive).metadata["model"]) == model
    with narrows.open_archive(archive) as opened:
        assert len(opened) == inspect(archive).n_records


def test_other_models_and_files_in_the_folder_are_passed_over(archive, model):
    for name in ("dense-codec", "ladder", "table"):
        shutil.copy(model.parent / f"{name}.safetensors", archive.parent)
    (archive.parent / "a.safetensors").write_bytes(b"not a model")
    (archive.parent / "b.safetensors").mkdir()
    with pytest.raises(ArchiveError, match="does not contain its model"):
        narrows.open_archive(archive)
    shutil.copy(model, archive.parent / "z.safetensors")
    assert verify(archive).is_restored


@pytest.mark.parametrize("name", ["map-codec", "dense-codec", "table", "ladder"])
def test_model_and_archive_have_the_same_id(name):
    model = inspect_model(GOLDEN / f"{name}.safetensors")
    written = [path for path in GOLDEN.glob(f"{name}*.narrows") if not inspect(path).has_model]
    assert written
    assert {inspect(path).model_id for path in written} == {model.to_json()["model_id"]}


def test_an_archive_with_an_embedded_part_of_a_model_keeps_the_id_of_the_whole(archive, model):
    whole = narrows.restore(archive, model=model)
    before = inspect(archive)
    embed(archive, model)
    after = inspect(archive)
    assert after.has_model
    assert after.model_id == before.model_id == inspect_model(model).codec_digest[:12]
    assert after.model_bytes < len(narrows.codec.read_frozen(model).blob)
    np.testing.assert_array_equal(narrows.restore(archive), whole)
    assert verify(archive).is_intact
    with pytest.raises(ArchiveError, match="contains its model already"):
        embed(archive, model)


@pytest.mark.parametrize("name", ["bounded-float32-0-linear", "bounded-float32-0.05-linear-on-code", "ladder-tiles-0"])
def test_bounds_and_tiles_are_kept_when_the_model_is_stored(tmp_path, name):
    old = GOLDEN / f"{name}.narrows"
    assert not inspect(old).has_model
    new = embed(old, out=tmp_path / "new.narrows")  # the model is found in the folder
    np.testing.assert_array_equal(narrows.restore(new), narrows.restore(old))
    assert inspect(new).largest_error == inspect(old).largest_error


def test_another_model_is_refused_and_the_archive_is_unchanged(archive):
    before = archive.read_bytes()
    with pytest.raises(WrongModelError):
        embed(archive, GOLDEN / "dense-codec.safetensors")
    assert archive.read_bytes() == before


def test_a_damaged_archive_is_not_copied(archive, model):
    data = bytearray(archive.read_bytes())
    data[inspect(archive).header_bytes + 60] ^= 1
    archive.write_bytes(data)
    with pytest.raises(CorruptArchiveError, match="the chunk of records 0 to"):
        embed(archive, model)
    assert archive.read_bytes() == data


@pytest.mark.parametrize("out", [None, "the same"])
def test_records_that_were_appended_just_before_are_kept(out, archive, model, monkeypatch):
    def appended_before(*arguments):
        narrows.compress(some, archive, model=model, append=True)
        return growing(*arguments)

    some = narrows.restore(archive, model=model, records=(0, 5))
    n_records = inspect(archive).n_records
    monkeypatch.setattr("narrows.archive.embedding.growing", appended_before)
    embed(archive, model, out and archive, force=out is not None)
    assert inspect(archive).n_records == n_records + 5
    assert verify(archive).is_intact


def test_an_archive_that_is_appended_to_is_not_replaced(archive, model):
    before = archive.read_bytes()
    with growing(archive, "a.narrows"), pytest.raises(ArchiveError, match="Another process is appending"):
        embed(archive, model)
    assert archive.read_bytes() == before
    embed(archive, model)
    assert verify(archive).is_intact
