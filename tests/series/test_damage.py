"""Damaged archives of series: what is left is right, or refused."""

import importlib.util
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import narrows
from narrows.archive import recover, verify
from narrows.archive.byte_file import ByteFile
from narrows.archive.header import read_header, read_index
from narrows.archive.layout import BlockType
from narrows.data.series import Times, WholeSeries
from narrows.data.series.decimals import decimals_of
from narrows.data.series.rows import SeriesRows
from narrows.data.series.sources import source_of
from narrows.errors import ArchiveError, CorruptFileError, DataWarning

N = 200


def source():
    rng = np.random.default_rng(0)
    values = np.round(np.cumsum(rng.normal(size=N)), 2) + 0.0
    values[7] = np.nan
    times = Times(np.cumsum(rng.integers(1, 9, N)).astype(np.int64), "s")
    whole = WholeSeries(values, (120, 80), ("a", "b"), ("v",), times, decimals_of(values))
    return source_of(whole, "series", "array", window=16, stride=16)


@pytest.fixture(scope="module")
def model():
    values = np.nan_to_num(source().values)
    return narrows.Autoencoder(3, record="series", training=narrows.Training(epochs=1), random_state=0).fit(values)


@pytest.fixture
def path(tmp_path, monkeypatch, request, model):
    monkeypatch.setattr("narrows.archive.layouts.field._USUAL_BLOCK_VALUES", 30)
    how = {"model": model, "chunk_records": 2} if request.param == "windows" else {}
    narrows.compress(source(), tmp_path / "s", lossless=True, **how)
    return tmp_path / "s", how.get("model")


def blocks_of(path, kind):
    with ByteFile(path) as file:
        index = read_index(file, read_header(file))
        return [int(entry["offset"]) for entry in index.entries if entry["type"] == kind]


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


both = pytest.mark.parametrize("path", ["field", "windows"], indirect=True)


@both
def test_an_intact_archive_has_no_problem_and_is_recovered_as_it_is(path, tmp_path):
    path, model = path
    assert verify(path, model=model).problems == ()
    recover(path, tmp_path / "r", model=model)
    np.testing.assert_array_equal(narrows.restore(tmp_path / "r", model=model), narrows.restore(path, model=model))


@both
def test_steps_of_intact_chunks_are_recovered_with_their_times(path, tmp_path):
    path, model = path
    whole = source().windows.series
    flip(path, blocks_of(path, BlockType.RECORDS)[1] + 40)
    assert verify(path, model=model).problems
    recover(path, tmp_path / "r", model=model)
    with narrows.open_archive(tmp_path / "r", model=model) as archive:
        ticks = archive.series.times.ticks
        places = np.searchsorted(whole.times.ticks, ticks)
        assert 0 < len(places) < N
        np.testing.assert_array_equal(archive.read(), whole.values[places])
        assert archive.series.names == ("a", "b")
        assert sum(archive.series.lengths) == len(places)


@both
def test_damaged_times_do_not_prevent_the_values_from_being_recovered(path, tmp_path):
    path, model = path
    flip(path, blocks_of(path, BlockType.COLUMN)[0] + 45)
    assert "a column of its series is damaged" in str(verify(path, model=model).problems)
    recover(path, tmp_path / "r", model=model)
    with narrows.open_archive(tmp_path / "r", model=model) as archive:
        assert archive.times is None
        np.testing.assert_array_equal(archive.read(), source().windows.series.values)


@pytest.mark.parametrize("path", ["field"], indirect=True)
def test_a_missing_end_is_found_again(path):
    path, model = path
    data = path.read_bytes()
    path.write_bytes(data[:-5] + b"xxxxx")
    with pytest.warns(DataWarning, match="damaged or truncated"):
        np.testing.assert_array_equal(narrows.restore(path, model=model), source().windows.series.values)


@both
def test_any_flipped_byte_is_refused_or_changes_nothing(path):
    path, model = path
    data, whole = path.read_bytes(), source().windows.series
    offsets = np.random.default_rng(0).integers(0, len(data), 30).tolist()
    for offset in offsets:
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 255]) + data[offset + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with narrows.open_archive(path, model=model) as archive:
                    found, ticks = archive.read(), archive.series.times.ticks
            except ArchiveError:
                continue
        np.testing.assert_array_equal(found, whole.values)
        np.testing.assert_array_equal(ticks, whole.times.ticks)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", [15, pytest.param(300, marks=pytest.mark.slow)])  # the first 15 of the 300
def test_some_damaged_and_forged_files(n):
    place = Path(__file__).parents[1] / "archive" / "fuzz_series.py"
    spec = importlib.util.spec_from_file_location("fuzz_series", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    counts = module.run(n)
    assert {outcome for _, outcome in counts} >= {"right", "CorruptArchiveError"}


@pytest.mark.parametrize(
    "origin",
    [
        {"styles": ["%s"]},
        {"styles": [7]},
        {"styles": []} | {"missing": ["", ""]},
        {"delimiter": "x"},
        {"columns": "v"},
        {"columns": ["v", "w"]},
        {"group": []},
    ],
)
def test_a_description_of_a_csv_file_that_lies_is_refused(origin, tmp_path):
    rows = SeriesRows(origin, ("v",))
    with pytest.raises(CorruptFileError, match=r"Write a \.npy file"):
        narrows.data.write(tmp_path / "x.csv", np.zeros(3), series=rows)
    assert not (tmp_path / "x.csv").exists()
