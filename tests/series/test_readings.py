"""Values that a quick reader of decimals left a few units in the last place off are found to be readings."""

import csv
import io

import numpy as np
import pytest

import narrows
from narrows.archive import inspect
from narrows.data.series import WholeSeries
from narrows.data.series.decimals import decimals_of
from narrows.data.series.readings import MOST_READINGS, after_readings
from narrows.data.series.sources import source_of


def slowly(value):
    """Return a reading, digit by digit."""
    text, _, power = repr(abs(value)).partition("e")
    whole, _, decimals = text.partition(".")
    decimals = "" if decimals == "0" else decimals
    exponent, found, scale = int(power or 0) - len(decimals), 0.0, 10.0
    for digit in whole + decimals:
        found = found * 10.0 + int(digit)
    left = abs(exponent)
    while left:
        if left & 1:
            found = found / scale if exponent < 0 else found * scale
        left, scale = left >> 1, scale * scale if left > 1 else scale
    return -found if value < 0 else found


def test_readings_are_computed_digit_by_digit():
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [np.round(rng.normal(size=200) * 10.0 ** rng.integers(-8, 18, 200), 6), [0.0, 1e-300, 3e22]]
    )
    once = [slowly(value) for value in values.tolist()]
    assert after_readings(values, 1).tolist() == once
    assert after_readings(values, 2).tolist() == [slowly(value) for value in once]


def test_what_is_not_finite_stays_as_it_is():
    assert np.isnan(after_readings(np.array([np.nan, 1.5]), 3)[0])
    assert after_readings(np.array([-np.inf, -0.0]), 1).tobytes() == np.array([-np.inf, -0.0]).tobytes()


@pytest.mark.parametrize("n", range(1, MOST_READINGS))
def test_readings_are_found_and_undone(n):
    values = after_readings(np.round(np.random.default_rng(1).normal(size=(400, 2)) * 50, 4) + 0.0, n)
    values[7, 1] = np.nan
    found = decimals_of(values)
    assert found.readings
    assert found.ulps is None
    np.testing.assert_array_equal(found.values(), values)


def test_values_that_are_also_off_for_another_reason_keep_their_ulps():
    values = after_readings(np.round(np.random.default_rng(2).normal(size=400) * 50, 4) + 0.0, 1)
    values[5], values[6] = np.nextafter(values[5], 99), -0.0
    found = decimals_of(values)
    assert found.readings == 1
    assert np.flatnonzero(found.ulps).tolist() == [5, 6]
    assert found.values().tobytes() == values.tobytes()


def test_sums_of_decimals_are_no_readings():
    found = decimals_of(np.cumsum(np.full(300, 0.1)))
    assert found is None or found.readings == 0


def test_a_file_of_readings_comes_back_in_fewer_bytes(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    values = after_readings(np.round(np.cumsum(np.random.default_rng(3).normal(size=800)) + 60, 3), 2)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["load"], *([repr(value)] for value in values.tolist())])
    path, archive = tmp_path / "s.csv", tmp_path / "s.narrows"
    path.write_text(text.getvalue(), newline="")
    narrows.compress(path, archive)
    assert inspect(archive).metadata["readings"] == 2
    narrows.restore(archive, out=tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_bytes() == path.read_bytes()
    monkeypatch.setattr("narrows.data.series.decimals.MOST_READINGS", 0)
    narrows.compress(path, tmp_path / "without.narrows")
    assert archive.stat().st_size < 0.97 * (tmp_path / "without.narrows").stat().st_size


def test_a_few_values_that_are_no_decimals_are_exceptions(tmp_path):
    values = np.round(np.random.default_rng(4).normal(size=500) * 20, 3) + 0.0
    values[[7, 90]] = np.pi, -1.0398947132512345e-05
    found = decimals_of(values)
    assert np.flatnonzero(found.exceptions).tolist() == [7, 90]
    assert found.values().tobytes() == values.tobytes()
    source = source_of(WholeSeries(values, (500,), decimals=found), "s", "csv", window=16, stride=16)
    narrows.compress(source, tmp_path / "s.narrows", lossless=True)
    assert inspect(tmp_path / "s.narrows").metadata["exceptions"]
    assert narrows.restore(tmp_path / "s.narrows").tobytes() == values.tobytes()
    narrows.compress(source, tmp_path / "b.narrows", max_error=0.01)
    assert np.abs(narrows.restore(tmp_path / "b.narrows") - values).max() <= 0.01


def test_many_values_that_are_no_decimals_make_no_decimals():
    values = np.round(np.random.default_rng(5).normal(size=500) * 20, 3)
    values[::10] *= np.pi * 1e-6
    assert decimals_of(values) is None
