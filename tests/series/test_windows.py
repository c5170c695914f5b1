"""Windows of series, from arrays and files, and the way back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narrows.data
from narrows.data.series import Windows
from narrows.data.series.period import usual_window
from narrows.data.series.whole import WholeSeries
from narrows.errors import DataError


def whole(values, lengths=None):
    values = np.asarray(values)
    return WholeSeries(values, tuple(lengths or (len(values),)))


def test_windows_are_views_of_one_series():
    x = np.arange(20.0)
    source = narrows.data.open(x, window=6, stride=2)
    assert source.values.shape == (8, 6)
    assert np.shares_memory(source.values, x)
    assert source.values[1].tolist() == [2, 3, 4, 5, 6, 7]
    assert (source.record, source.windows.window, source.windows.stride) == ("series", 6, 2)


def test_the_last_window_ends_at_the_last_step():
    assert Windows(whole(range(11)), 4, 4).starts.tolist() == [0, 4, 7]


def test_no_window_spans_two_series():
    windows = Windows(whole(range(11), (5, 6)), 4, 4)
    assert windows.starts.tolist() == [0, 1, 5, 7]
    assert windows.cut().tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [5, 6, 7, 8], [7, 8, 9, 10]]


def test_channels_are_the_last_axis():
    x = np.arange(24).reshape(12, 2)
    source = narrows.data.open(x, window=4)
    assert source.shape == (4, 2)
    assert source.values[0].tolist() == x[:4].tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(8, 40), min_size=1, max_size=3),
    st.integers(1, 8),
    st.data(),
    st.integers(1, 3),
)
def test_joined_windows_are_the_series(lengths, window, data, n_channels):
    stride = data.draw(st.integers(1, window))
    shape = (sum(lengths),) if n_channels == 1 else (sum(lengths), n_channels)
    x = np.random.default_rng(0).integers(-99, 99, shape)
    windows = Windows(whole(x, lengths), window, stride)
    np.testing.assert_array_equal(windows.join(windows.cut()), x)


def test_the_window_is_the_period_of_the_series():
    steps = np.arange(4000)
    noise = np.random.default_rng(0).normal(0, 0.3, 4000)
    day = np.sin(2 * np.pi * steps / 144)
    assert abs(usual_window(whole(day + noise + steps / 500)) - 144) <= 2
    assert abs(usual_window(whole(np.stack([day, np.zeros(4000)], 1))) - 144) <= 1
    with_gaps = day.copy()
    with_gaps[1000:1300] = np.nan
    assert abs(usual_window(whole(with_gaps)) - 144) <= 1


@pytest.mark.parametrize("values", [np.zeros(4000), np.full(4000, np.nan), np.random.default_rng(0).normal(size=4000)])
def test_a_series_without_a_period_has_windows_of_128_steps(values):
    assert usual_window(whole(values)) == 128


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_a_short_series_has_four_windows(n):
    assert usual_window(whole(np.arange(n))) == max(1, n // 4)


def test_windows_longer_than_the_series_are_refused():
    with pytest.raises(DataError, match=r"window has 30 steps, but array \(20,\) float64 has only 20.*--window 20"):
        narrows.data.open(np.zeros(20), window=30)
    with pytest.raises(DataError, match="Series b is the shortest"):
        Windows.of(WholeSeries(np.zeros(9), (5, 4), ("a", "b")), "s.csv", 5)


def test_only_arrays_of_one_or_two_axes_are_series():
    with pytest.raises(DataError, match=r"shape \(steps,\) or \(steps, channels\) to be cut into windows"):
        narrows.data.open(np.zeros((5, 4, 3)), window=2)
    with pytest.raises(DataError, match="at least one step"):
        narrows.data.open(np.zeros((0, 2)), window=2)


def test_npy_files_are_series_if_they_have_one_axis_or_a_window_is_given(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(400, dtype=np.int16))
    np.save(tmp_path / "two.npy", np.zeros((400, 3), ">f4"))
    one = narrows.data.open(tmp_path / "one.npy")
    assert (one.record, one.kind, one.dtype, one.windows.is_chosen) == ("series", "npy", np.int16, (True, True))
    assert narrows.data.open(tmp_path / "two.npy").shape == (3,)
    two = narrows.data.open(tmp_path / "two.npy", window="auto")
    assert (two.shape, two.dtype) == ((100, 3), np.float32)


def test_frames_are_series_if_a_window_is_given():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": np.arange(20.0), "b": 1.0})
    assert narrows.data.open(frame, window=5, stride=5).values.shape == (4, 5, 2)


def test_a_part_of_the_windows_is_no_whole_series():
    source = narrows.data.open(np.arange(40), window=4)
    assert source.limit(3).windows is None
    assert source.take([0, 1]).windows is None
    assert source.limit(1000).windows is source.windows


def test_the_first_steps_of_several_series():
    series = WholeSeries(np.arange(9), (5, 4), ("a", "b"))
    assert series.first(7).lengths == (5, 2)
    assert series.first(5).names == ("a",)
