"""The independent decoder of series, written from docs/format.md alone, restores what narrows restores."""

from pathlib import Path

import bisection_decoder
import numpy as np
import pytest
import series_decoder as decoder

import narrows
from narrows.data.series import Times, WholeSeries
from narrows.data.series.decimals import decimals_of
from narrows.data.series.sources import source_of

HERE = Path(__file__).parent


def series(*, lengths=(150, 77), channels=2, gaps=True, irregular=True):
    rng = np.random.default_rng(0)
    n = sum(lengths)
    values = np.round(np.cumsum(rng.normal(size=(n, channels)), axis=0), 2) + 0.0
    values[3, 0] = np.nextafter(values[3, 0], 100)
    values[5, 0] = -0.0
    if gaps:
        values[9:12, channels - 1] = np.nan
    values = values[:, 0] if channels == 1 else values
    ticks = np.cumsum(rng.integers(1, 9, n)) if irregular else np.arange(n) * 5
    times = Times(ticks.astype(np.int64), "m")
    names = tuple("ab"[: len(lengths)])
    whole = WholeSeries(values, lengths, names, None, times, decimals_of(values))
    return whole, source_of(whole, "series", "array", window=16, stride=16)


def assert_same(path, whole, model=None):
    blob = None if model is None else model.codec_.blob
    expected = narrows.restore(path, model=model)
    found = decoder.read(path, blob)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(decoder.times(path, blob), whole.times.ticks)


@pytest.mark.pairs
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("irregular", [True, False])
@pytest.mark.parametrize("how", [{"lossless": True}, {"max_error": 0.03}, {"max_error": 2.0}])
def test_series_without_a_model(channels, irregular, how, tmp_path):
    whole, source = series(channels=channels, irregular=irregular)
    narrows.compress(source, tmp_path / "s", **how)
    assert_same(tmp_path / "s", whole)


def test_columns_of_several_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.archive.columns._BLOCK_VALUES", 100)
    whole, source = series()
    narrows.compress(source, tmp_path / "s", lossless=True)
    assert_same(tmp_path / "s", whole)


def test_one_series_with_regular_times(tmp_path):
    whole, source = series(lengths=(227,), irregular=False)
    narrows.compress(source, tmp_path / "s", lossless=True)
    assert_same(tmp_path / "s", whole)


@pytest.mark.parametrize("how", [{}, {"lossless": True}, {"max_error": 0.03}])
def test_series_as_windows_of_a_model(how, tmp_path):
    whole, source = series(gaps=False)
    model = narrows.Autoencoder(3, training=narrows.Training(epochs=1), random_state=0).fit(source)
    narrows.compress(source, tmp_path / "s", model=model, **how)
    assert_same(tmp_path / "s", whole, model)


@pytest.mark.parametrize("name", ["readings-gaps", "levels-irregular", "digits", "exceptions", "related-channels"])
def test_bisected_and_packed_golden_archives(name):
    path = HERE.parent / "golden" / "series" / f"field-{name}.narrows"
    assert path.read_bytes()[8] == 2
    np.testing.assert_array_equal(decoder.read(path), narrows.restore(path))


def test_the_example_of_the_page():
    page = (HERE.parents[1] / "docs" / "format.md").read_text().split("\n### Bisection\n")[1].split("\n##")[0]
    data = bytes.fromhex(page.rstrip().splitlines()[-1])
    assert bisection_decoder.units(data, 6).tolist() == [1, 5, 10, 20, 36, 58]
