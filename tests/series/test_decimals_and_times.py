"""Decimals as integers, and times as ticks: both give back what was written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narrows
from narrows.data.series import Times, WholeSeries
from narrows.data.series.decimals import decimals_of
from narrows.data.series.number_texts import number_texts, style_of
from narrows.data.series.sources import source_of
from narrows.errors import DataError


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), st.integers(0, 6))
def test_decimals_are_restored_to_the_bit(numbers, digits):
    values = np.array([float(f"{number}e-{digits}") for number in numbers])
    found = decimals_of(values)
    assert found is not None
    np.testing.assert_array_equal(found.values(), values)
    assert found.digits[0] <= digits


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**4), 10**4), min_size=6), st.data())
def test_values_that_are_off_by_a_unit_in_the_last_place_are_restored_to_the_bit(numbers, data):
    values = np.array(numbers) / 100
    at = data.draw(st.integers(0, len(values) - 1))
    values[at] = np.nextafter(values[at], np.inf)
    found = decimals_of(values)
    if found is not None:
        assert found.values().tobytes() == values.tobytes()


def test_each_channel_has_its_digits_and_gaps():
    values = np.array([[1.5, 100.0], [np.nan, 200.0], [2.5, 300.0]])
    found = decimals_of(values)
    assert found.digits == (1, 0)
    assert found.numbers.tolist() == [[15, 100], [20, 200], [25, 300]]
    np.testing.assert_array_equal(found.values(), values)


@pytest.mark.parametrize("value", [np.inf, 1e300, 1e-300, 1 / 7e9])
def test_values_that_are_no_decimals_are_not_taken_for_them(value):
    assert decimals_of(np.array([value, value, 1.0])) is None


def test_negative_zeros_are_kept():
    values = np.array([0.25, -0.0, 0.0, -0.5])
    assert decimals_of(values).values().tobytes() == values.tobytes()


def test_a_column_without_values_has_no_digits():
    assert np.isnan(decimals_of(np.full(3, np.nan)).values()).all()


TIMES = [
    ["2024-01", "2024-02"],
    ["2024-01-01", "2024-01-02"],
    ["2024-01-01 00:05", "2024-01-01 23:59"],
    ["1969-12-31T23:59:59", "2024-02-29T00:00:00"],
    ["2024-01-01 00:00:00.5", "2024-01-01 00:00:01.5"],
    ["2024-01-01 00:00:00.1234Z", "2024-01-01 00:00:00.5678Z"],
    ["2024-01-01T00:00:00+01:00", "2024-01-01T00:00:01+01:00"],
    ["5", "7"],
    ["0.50", "0.75"],
    ["-1", "12345678901"],
]


@pytest.mark.parametrize("texts", TIMES, ids=[one[0] for one in TIMES])
def test_times_are_written_as_they_were_read(texts):
    times = Times.parse(texts, "t", "x.csv")
    assert times.texts() == texts
    again = Times.from_json(times.to_json(), times.ticks)
    assert again.texts() == texts
    assert again.name == "t"


@pytest.mark.parametrize(
    ("span", "steps"),
    [
        (("2024-01-02", "2024-01-04"), [1, 2]),
        (("", "2024-01-02"), [0]),
        (("2024-01-03", ""), [2, 3]),
        (("2024-01-01 00:01", "2024-01-02 12:00"), [1]),
    ],
)
def test_a_range_of_times_is_half_open(span, steps):
    times = Times.parse([f"2024-01-0{day}" for day in range(1, 5)], "t", "x.csv")
    inside = times.range_of(*span)
    assert np.flatnonzero(inside).tolist() == steps


def test_numbers_have_ranges_too():
    times = Times.parse(["0.5", "1.0", "1.5"], "t", "x.csv")
    assert times.range_of("0.6", "1.5").tolist() == [False, True, False]
    with pytest.raises(DataError, match=r"'noon' is no time of this series, whose times are such as 0\.5"):
        times.range_of("noon", "")


@pytest.mark.parametrize(
    ("texts", "style"),
    [(["20.0", "0.12"], "repr"), (["20", "0.5"], "short"), (["20.10", "0.50"], ".2f"), (["20", "30"], ".0f")],
)
def test_the_style_of_a_column_is_found(texts, style):
    values = np.array(texts, float)
    assert style_of(texts, values) == style
    assert number_texts(values, style) == texts


def test_numbers_of_other_types_are_written_shortly():
    assert number_texts(np.array([1, -2], np.int16), "repr") == ["1", "-2"]
    assert number_texts(np.array([0.1], np.float32), "short") == ["0.1"]


@pytest.mark.parametrize(
    ("ticks", "stored"),
    [([60, 120, 300, 300], [60, 60]), ([7, 14, 42, 0, 21], [7, 7]), ([-(1 << 62), 0, 1 << 61, 3], None)],
)
def test_irregular_times_are_stored_as_differences_unless_these_are_too_large(ticks, stored, tmp_path):
    values, times = np.arange(len(ticks)), Times(np.array(ticks, np.int64), "s")
    whole = WholeSeries(values, (3, len(ticks) - 3), ("a", "b"), None, times, None, {"kind": "csv"})
    narrows.compress(source_of(whole, "series", "csv", window=1, stride=1), tmp_path / "s.narrows")
    with narrows.open_archive(tmp_path / "s.narrows") as archive:
        assert archive.metadata.more.get("time_steps") == stored
        np.testing.assert_array_equal(archive.series.times.ticks, ticks)
