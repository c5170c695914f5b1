"""Archives of one array without a model: written block by block, read in parts, and safe against damage."""

import importlib.util
import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

import narrows
from narrows.archive import FieldArchive, embed, inspect, open_archive, recover, verify
from narrows.archive.layout import pack_crc
from narrows.archive.layouts import Field
from narrows.errors import ArchiveError, CorruptArchiveError, InvalidParameterError, WrongModelError


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("narrows.archive.layouts.field._USUAL_BLOCK_VALUES", 60)


@pytest.fixture(scope="module")
def cube():
    return np.cumsum(np.random.default_rng(0).normal(size=(11, 6, 7)), 1)


@pytest.fixture(scope="module")
def compressed_cube(cube, tmp_path_factory):
    path = tmp_path_factory.mktemp("fields") / "cube.narrows"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.archive.layouts.field._USUAL_BLOCK_VALUES", 60)
        narrows.compress(cube, path, max_error=0.01)
    return path.read_bytes()


@pytest.fixture
def archive(compressed_cube, tmp_path):
    """Return a file of small blocks, which the test may damage."""
    path = tmp_path / "cube.narrows"
    path.write_bytes(compressed_cube)
    return path


@pytest.mark.parametrize("shape", [(50,), (7, 9), (1, 1), (3, 1, 5), (2, 3, 4, 5), (2, 2, 2, 2, 3)])
def test_an_array_comes_back_in_its_shape_and_dtype(shape, tmp_path):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    summary = narrows.compress(array, tmp_path / "x.narrows", max_error=0.25)
    restored = narrows.restore(tmp_path / "x.narrows")
    assert (restored.shape, restored.dtype) == (array.shape, array.dtype)
    assert np.abs(restored - array).max() <= 0.25
    assert (summary.model_bytes, summary.records, summary.error_bound) == (0, shape[0], 0.25)


def test_lossless_arrays_come_back_bit_for_bit(tmp_path):
    array = np.frombuffer(np.random.default_rng(0).bytes(800), np.float64).reshape(10, 10)
    narrows.compress(array, tmp_path / "x.narrows", lossless=True)
    assert narrows.restore(tmp_path / "x.narrows").tobytes() == array.tobytes()


def test_a_share_is_of_the_range_of_the_array(cube, tmp_path):
    summary = narrows.compress(cube, tmp_path / "x.narrows", max_error="1%")
    assert summary.error_bound == pytest.approx(0.01 * np.ptp(cube))
    assert summary.max_error <= summary.error_bound


def test_blocks_are_read_only_where_they_are_needed(cube, archive, monkeypatch):
    whole = narrows.restore(archive)
    with open_archive(archive) as opened:
        assert isinstance(opened, FieldArchive)
        assert (opened.shape, len(opened), opened.items.n_blocks > 6) == (cube.shape, 11, True)
        assert opened[3].tobytes() == whole[3].tobytes()
        assert opened[-1].tobytes() == whole[-1].tobytes()
        assert opened[8:2:-2].tobytes() == whole[8:2:-2].tobytes()
        assert opened.read([7, 0, 7]).tobytes() == whole[[7, 0, 7]].tobytes()
        numbers = []
        load = narrows.archive.field_reader.load_block
        monkeypatch.setattr(
            "narrows.archive.field_reader.load_block", lambda *known: numbers.append(known[-1]) or load(*known)
        )
        part = opened.part(slice(2, 4), slice(1, 2), slice(0, 3))
        assert part.tobytes() == whole[2:4, 1:2, 0:3].tobytes()
        assert len(numbers) < opened.items.n_blocks / 2
        assert opened.part(slice(5, 5)).shape == (0, 6, 7)
        with pytest.raises(IndexError, match="steps of 1"):
            opened.part(slice(0, 9, 2))
    assert narrows.restore(archive, records=(2, 5)).tobytes() == whole[2:5].tobytes()


@pytest.mark.parametrize("max_error", [0.01, 0])
def test_threads_change_neither_bytes_nor_values(cube, tmp_path, small_blocks, max_error):
    found = set()
    for threads in (1, 3, None):
        path = tmp_path / "x.narrows"
        narrows.compress(cube, path, max_error=max_error or None, lossless=not max_error, threads=threads, force=True)
        with open_archive(path, threads=threads) as opened:
            part = opened.part(slice(2, 9), slice(1, 5))
        assert verify(path, threads=threads).is_intact
        found.add((path.read_bytes(), narrows.restore(path, threads=threads).tobytes(), part.tobytes()))
    assert len(found) == 1


def test_a_number_of_threads_below_one_is_refused(cube, tmp_path):
    with pytest.raises(InvalidParameterError, match="'threads'"):
        narrows.compress(cube, tmp_path / "x.narrows", max_error=1, threads=0)


def test_reading_needs_no_model(archive):
    assert not inspect(archive).needs_model


def test_a_memory_mapped_file_is_not_read_as_a_whole(tmp_path, small_blocks):
    array = np.arange(400.0)
    np.save(tmp_path / "x.npy", array)
    narrows.compress(tmp_path / "x.npy", tmp_path / "x.narrows", max_error=0.1)
    path = narrows.restore(tmp_path / "x.narrows", out=tmp_path / "y.npy")
    assert np.abs(np.load(path) - array).max() <= 0.1
    assert inspect(tmp_path / "x.narrows").metadata["container"] == {"kind": "npy"}


def test_records_do_not_depend_on_each_other(tmp_path):
    row = np.sin(np.arange(200) / 9)
    alike = np.stack([row] * 20)
    sizes = {}
    for as_records in (False, True):
        summary = narrows.compress(alike, tmp_path / "x.narrows", max_error=0.001, as_records=as_records, force=True)
        sizes[as_records] = summary.n_bytes
        assert np.abs(narrows.restore(tmp_path / "x.narrows") - alike).max() <= 0.001
    assert sizes[False] < 0.8 * sizes[True]
    assert inspect(tmp_path / "x.narrows").field.are_records


def test_blocks_are_about_equal_and_cover_the_field():
    for shape in [(1 << 21,), (1025, 1025), (100, 200, 300), (3, 5000, 7)]:
        field = Field.of(shape, 4)
        seen = np.zeros(shape, np.uint8)
        for number in range(field.n_blocks):
            seen[field.place(number)] += 1
            assert np.prod(field.block_shape(number)) <= 1 << 20
        assert (seen == 1).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "needs an error bound"),
        ({"max_error": 1, "psnr": 30}, "'psnr'.*needs a model"),
        ({"lossless": True, "append": True}, "'append'.*needs a model"),
        ({"lossless": True, "embed_model": True}, "'embed_model'.*needs a model"),
        ({"lossless": True, "effort": 3}, "'effort'.*needs a model"),
        ({"lossless": True, "chunk_records": 4}, "'chunk_records'.*needs a model"),
        ({"lossless": True, "fill_value": 3}, "needs a 'max_error'"),
    ],
)
def test_what_needs_a_model_is_refused_by_name(options, match, cube, tmp_path):
    with pytest.raises(InvalidParameterError, match=match):
        narrows.compress(cube, tmp_path / "x.narrows", **options)
    assert not (tmp_path / "x.narrows").exists()


def test_a_model_given_to_a_field_is_refused(archive):
    with pytest.raises(WrongModelError, match="without a model"):
        open_archive(archive, model="nothing.safetensors")
    with pytest.raises(ArchiveError, match="needs no model"):
        embed(archive)


def test_a_damaged_block_costs_its_slices(cube, archive, tmp_path):
    whole, field = narrows.restore(archive), inspect(archive).field
    data = bytearray(archive.read_bytes())
    data[data.index(b"\xb7NRB", 200) + 60] ^= 1
    archive.write_bytes(data)
    report = verify(archive)
    assert not report.is_intact
    with open_archive(archive) as opened, pytest.raises(CorruptArchiveError):
        opened.read()
    recovered = recover(archive, tmp_path / "saved.narrows")
    side = field.block[0]
    assert len(recovered.warnings) == 1
    assert narrows.restore(tmp_path / "saved.narrows").tobytes() == np.delete(whole, slice(0, side), 0).tobytes()


def with_field(path, **changes):
    """Change the description of the field in the header, with a checksum that is right."""
    data = path.read_bytes()
    n = struct.unpack_from("<I", data, 16)[0]
    metadata = json.loads(data[20 : 20 + n])
    metadata["field"] |= changes
    text = json.dumps(metadata).encode()
    head = data[:16] + struct.pack("<I", len(text)) + text
    path.write_bytes(head + pack_crc(head) + data[24 + n :])


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [1 << 40, 6, 7]},
        {"shape": [1 << 20, 1 << 20, 7], "block": [1 << 20, 1 << 20, 7]},
        {"shape": [11, 6]},
        {"shape": [11, 6, -7]},
        {"block": [0, 1, 1]},
        {"block": [12, 6, 7]},
        {"records": 1},
        {"shape": "11"},
        {"shape": [1] * 32},
    ],
)
@pytest.mark.filterwarnings("ignore:The end of")
def test_a_field_that_lies_is_refused_before_memory_is_taken(changes, archive):
    with_field(archive, **changes)
    with pytest.raises(CorruptArchiveError):
        narrows.restore(archive)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", [20, pytest.param(300, marks=pytest.mark.slow)])  # the first 20 of the 300
def test_damaged_files_of_fields(n):
    name = "fuzz_fields"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    counts = module.run(n)
    assert counts.total() > 0.9 * n
    assert {outcome for _, outcome in counts} >= {"right", "CorruptArchiveError"}
