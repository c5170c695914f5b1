"""Shards of an archive by a plan: merged, they have the bytes of one; parts that do not belong together are refused."""

import json
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

import narrows
from narrows.archive import batches, inspect, verify
from narrows.archive.byte_file import ByteFile
from narrows.archive.header import read_header
from narrows.archive.layout import pack_header
from narrows.archive.sharding import planning, read_plan
from narrows.archive.sharding.plan_file import write_saved
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    DataError,
    DataNotFoundError,
    InvalidParameterError,
    OutputExistsError,
    WrongModelError,
)

pytestmark = pytest.mark.usefixtures("codec_only")

N = 170
CASES = {
    "code": {},
    "bound": {"max_error": 9, "embed_model": True},
    "lossless": {"lossless": True, "labels": "auto", "keep_codes": True},
    "psnr": {"psnr": 14.0, "embed_model": True},
}


@pytest.fixture(autouse=True)
def short_batches(monkeypatch):
    """Let shards begin at every chunk, and chunks consist of several batches."""
    monkeypatch.setattr(batches, "_FEWEST_ITEMS", 1)
    monkeypatch.setattr(batches, "_ENCODED_RECORDS", 16)


@pytest.fixture
def source():
    return narrows.data.open("digits:test").limit(N)


@pytest.fixture
def planned(source, codec_model, tmp_path):
    """Return a function that makes a plan and its parts, and returns their paths."""

    def make(n_shards=3, name="a", **how):
        plan = tmp_path / f"{name}.json"
        narrows.plan(source, plan, model=codec_model, **{"chunk_records": 30, **how})
        parts = [tmp_path / f"{name}-{k}.narrows" for k in range(1, n_shards + 1)]
        for k, part in enumerate(parts, start=1):
            narrows.compress_shard(source, part, plan=plan, shard=(k, n_shards), model=codec_model)
        return plan, parts

    return make


@pytest.mark.parametrize("case", CASES)
def test_merged_shards_are_one_archive_to_the_byte(case, planned, source, codec_model, tmp_path):
    plan, parts = planned(**CASES[case])
    merged = narrows.merge(parts[::-1], tmp_path / "all.narrows")
    narrows.compress_shard(source, tmp_path / "one.narrows", plan=plan, model=codec_model)
    narrows.compress(source, tmp_path / "plain.narrows", model=codec_model, chunk_records=30, **CASES[case])
    contents = [(tmp_path / f"{name}.narrows").read_bytes() for name in ("all", "one", "plain")]
    assert contents[0] == contents[1] == contents[2]
    assert (merged.n_records, merged.n_bytes, merged.n_parts) == (N, len(contents[0]), 3)
    assert verify(tmp_path / "all.narrows", model=codec_model).is_intact
    assert sum(inspect(part).n_records for part in parts) == N


def test_any_number_of_shards_gives_the_same_bytes(planned, tmp_path):
    contents = set()
    for n_shards in (1, 2, 5):
        narrows.merge(planned(n_shards, name=f"of-{n_shards}")[1], tmp_path / "all.narrows", force=True)
        contents.add((tmp_path / "all.narrows").read_bytes())
    assert len(contents) == 1


def test_images_in_tiles_are_sharded_between_images(codec_model, large_digits, tmp_path):
    images = large_digits[1][:23]
    plan = narrows.plan(images, tmp_path / "p.json", model=codec_model, chunk_records=8)
    assert (plan.items_apart, plan.records_per_item, plan.most_shards) == (2, 4, 12)
    parts = [tmp_path / f"{k}.narrows" for k in (1, 2)]
    for k, part in enumerate(parts, start=1):
        narrows.compress_shard(images, part, plan=plan, shard=f"{k}/2", model=codec_model)
    narrows.merge(parts, tmp_path / "all.narrows")
    narrows.compress(images, tmp_path / "plain.narrows", model=codec_model, chunk_records=8)
    assert (tmp_path / "all.narrows").read_bytes() == (tmp_path / "plain.narrows").read_bytes()


def test_a_part_is_an_archive_of_its_records(planned, source, codec_model):
    _, parts = planned(lossless=True)
    records = [narrows.restore(part, model=codec_model) for part in parts]
    np.testing.assert_array_equal(np.concatenate(records), source.values)


def test_the_plan_names_its_model_file(source, codec_model, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    codec_model.save(tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    saved = narrows.plan(source, "there/p.json", model="model.safetensors")
    assert saved.model_path == "../model.safetensors"
    assert read_plan("there/p.json") == saved
    monkeypatch.chdir(tmp_path / "there")
    assert narrows.compress_shard(source, "a.narrows", plan="p.json").records == N


def test_a_killed_worker_is_started_again(planned, source, codec_model, tmp_path, new_processes):
    plan, parts = planned(2)
    narrows.merge(parts, tmp_path / "all.narrows")
    again = tmp_path / "again.narrows"
    codec_model.save(tmp_path / "model.safetensors")
    code = f"""
import os, signal, narrows
from narrows.archive import batches
batches._FEWEST_ITEMS, batches._ENCODED_RECORDS = 1, 16
def progress(*_):
    os.kill(os.getpid(), signal.SIGKILL)
source = narrows.data.open("digits:test").limit({N})
how = dict(plan={str(plan)!r}, shard="2/2", model={str(tmp_path / "model.safetensors")!r})
narrows.compress_shard(source, {str(again)!r}, progress=progress, **how)
"""
    assert new_processes.run(code, tmp_path).returncode == -signal.SIGKILL
    assert not again.exists()
    narrows.compress_shard(source, again, plan=plan, shard="2/2", model=codec_model)
    assert again.read_bytes() == parts[1].read_bytes()
    assert not list(tmp_path.glob(".narrows-*"))


def test_parts_that_are_no_archive_together_are_refused(planned, tmp_path):
    _, parts = planned()
    _, others = planned(name="other", max_error=3)
    _, halves = planned(2, name="half")
    out = tmp_path / "all.narrows"
    shutil.copy(parts[0], tmp_path / "copy.narrows")
    wrong = {
        r"1 of 3 shards are missing: 2/3\.": [parts[0], parts[2]],
        r"copy.narrows are the shard 1/3": [*parts, tmp_path / "copy.narrows"],
        "with another plan than": [*parts[:2], others[2]],
        "another number of shards than": [parts[0], halves[1]],
    }
    for message, some in wrong.items():
        with pytest.raises(ArchiveError, match=message):
            narrows.merge(some, out)
    narrows.merge(parts, out)
    with pytest.raises(OutputExistsError):
        narrows.merge(parts, out)
    with pytest.raises(ArchiveError, match=r"all.narrows is no part of an archive"):
        narrows.merge([out], out, force=True)
    with pytest.raises(InvalidParameterError, match="Give the parts"):
        narrows.merge([], out, force=True)
    with pytest.raises(DataNotFoundError):
        narrows.merge([*parts[:2], tmp_path / "none.narrows"], out, force=True)
    parts[1].write_bytes(parts[1].read_bytes()[:300] + b"?" + parts[1].read_bytes()[301:])
    before = out.read_bytes()
    with pytest.raises(CorruptArchiveError, match=r"a-2.narrows"):
        narrows.merge(parts, out, force=True)
    assert out.read_bytes() == before


def test_a_part_that_was_appended_to_is_refused(planned, source, codec_model, tmp_path):
    _, parts = planned(2)
    narrows.compress(source.values[:5], parts[1], model=codec_model, append=True)
    with pytest.raises(ArchiveError, match=r"a-2.narrows has 85 records, and its shard 2/2 has 80"):
        narrows.merge(parts, tmp_path / "all.narrows")


@pytest.mark.parametrize(("entry", "value"), [("of", 0), ("number", 4), ("number", 0), ("first", [])])
def test_a_part_with_a_forged_place_is_refused(entry, value, planned, tmp_path):
    _, (part, *others) = planned(name="forged")
    with ByteFile(part) as file:
        metadata = read_header(file).metadata
    more = {**metadata.more, "shard": {**metadata.more["shard"], entry: value}}
    forged = replace(metadata, more=more)
    part.write_bytes(pack_header(forged.to_json()) + part.read_bytes().removeprefix(pack_header(metadata.to_json())))
    with pytest.raises(ArchiveError, match=r"forged-1.narrows (is no part of an archive|is damaged)"):
        narrows.merge([part, *others], tmp_path / "all.narrows")


def test_a_shard_needs_the_data_model_and_version_of_its_plan(planned, source, codec_model, tmp_path):
    plan, _ = planned()
    how = {"plan": plan, "model": codec_model}
    out = tmp_path / "out.narrows"
    changed = np.array(source.values)
    changed[0, 0] += 1
    for data, message in ((source.values[:-1], "the number of records is 170"), (changed, "the checksum of some")):
        with pytest.raises(DataError, match=message):
            narrows.compress_shard(data, out, **how)
    for shard, message in (("0/3", "numbered from 1"), ("4/3", "from 1"), ("1/7", "6 shards"), ("x", "such as 2/8")):
        with pytest.raises(InvalidParameterError, match=message):
            narrows.compress_shard(source, out, shard=shard, **how)
    with pytest.raises(InvalidParameterError, match="does not name a model file"):
        narrows.compress_shard(source, out, plan=plan)
    values, saved = json.loads(plan.read_text()), read_plan(plan)
    for name, value, error, message in (
        ("narrows", "0.0.1", InvalidParameterError, r"made by narrows 0\.0\.1"),
        ("weights", "0" * 64, WrongModelError, "of weights 000000000000"),
    ):
        write_saved(replace(saved, **{name: value}), plan, force=True)
        with pytest.raises(error, match=message):
            narrows.compress_shard(source, out, **how)
    for name, value, message in (
        ("kind", "other", "is no plan"),
        ("new", 1, "is no plan"),
        ("quality", [], "was changed after `narrows plan` wrote it"),
        ("chunk_records", "x", "was changed"),
        ("checksum", None, "was changed"),
    ):
        plan.write_text(json.dumps({**values, name: value}))
        with pytest.raises(DataError, match=message):
            narrows.compress_shard(source, out, **how)
    with pytest.raises(DataNotFoundError, match="There is no plan"):
        narrows.compress_shard(source, out, plan=tmp_path / "none.json")
    assert not out.exists()


def test_workers_with_other_labels_are_refused(codec_model, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("labels.npy", np.arange(N))
    narrows.plan(source, "p.json", model=codec_model, labels="labels.npy")
    np.save("labels.npy", np.arange(N) // 2)
    with pytest.raises(DataError, match=r"made with other labels than those of labels\.npy"):
        narrows.compress_shard(source, "a.narrows", plan="p.json", shard="1/1", model=codec_model)
    narrows.plan(source, "q.json", model=codec_model, labels="labels.npy")
    assert read_plan("p.json").digest != read_plan("q.json").digest
    narrows.plan(source, "auto.json", model=codec_model, labels="auto")
    others = replace(source, labels=source.labels[::-1])
    with pytest.raises(DataError, match="labels than those of the data"):
        narrows.compress_shard(others, "a.narrows", plan="auto.json", model=codec_model)


def test_what_is_stored_as_a_whole_is_not_sharded(codec_model, source, tmp_path):
    with pytest.raises(InvalidParameterError, match=r"must be 'auto' or the path of a file"):
        narrows.plan(source, tmp_path / "p.json", model=codec_model, labels=[1, 2])
    lines = narrows.ByteModel().fit([f"line {k}" for k in range(40)])
    lines.save(tmp_path / "bytes.safetensors")
    with pytest.raises(InvalidParameterError, match="the model is one of texts"):
        narrows.plan(["a", "b"], tmp_path / "p.json", model=tmp_path / "bytes.safetensors")
    for data, what in (
        (["a", "b"], "texts"),
        (narrows.data.open(np.zeros((40, 2)), record="series", window=8), "series"),
    ):
        with pytest.raises(InvalidParameterError, match=f"holds {what}, which an archive stores as a whole"):
            planning._check_source(narrows.data.open(data) if isinstance(data, list) else data)
