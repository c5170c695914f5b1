"""Frequency tables: whole numbers near to counts, and what a model file may not say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.codec.tables import ESCAPE, FrequencyTables, regular_window
from narrows.errors import ModelFileError


@given(
    counts=st.lists(st.floats(0, 1e9), min_size=2, max_size=200),
    low=st.integers(-1000, 1000),
    precision=st.integers(8, 15),
)
def test_frequencies_are_at_least_one_and_sum_to_a_power_of_two(counts, low, precision):
    tables = FrequencyTables.from_counts([(low, counts)], precision=precision)
    assert tables.frequencies.min() >= 1
    assert tables.frequencies.sum(dtype=int) == 1 << precision
    assert (tables.lows[0], tables.sizes[0]) == (low, len(counts) - 1)


def test_frequencies_are_shares_rounded_by_largest_remainder():
    assert FrequencyTables.from_counts([(0, [3, 2, 1])], precision=8).frequencies.tolist() == [128, 85, 43]
    assert FrequencyTables.from_counts([(0, [1000, 1, 0])], precision=8).frequencies.tolist() == [254, 1, 1]


def test_counted_tables_cost_little_more_than_the_entropy(rng):
    counts = rng.integers(1, 1000, 60)
    tables = FrequencyTables.from_counts([(0, counts)], precision=12)
    shares = counts / counts.sum()
    assert -(shares * np.log2(shares)).sum() <= (shares * tables.bits).sum() <= -(shares * np.log2(shares)).sum() + 1e-3


@pytest.fixture
def tables():
    """A table of three values, a constant one, and one of two values."""
    return FrequencyTables(
        8,
        np.array([-1, 7, 0], np.int32),
        np.array([3, 1, 2], np.int32),
        np.array([50, 200, 5, 1, 256, 0, 100, 150, 6], np.uint16),
    )


def test_an_entry_is_found_for_every_value_and_the_escape_for_all_others(tables):
    entries, escaped = tables.entries(np.array([0, 0, 0, 0, 1, 1, 2, 2]), np.array([-1, 1, 2, -32767, 7, 8, 1, 32767]))
    assert entries.tolist() == [0, 2, 3, 3, 4, 5, 7, 8]
    assert escaped.tolist() == [False, False, True, True, False, True, False, True]


def test_starts_are_the_sums_of_what_comes_before(tables):
    assert tables.starts.tolist() == [0, 50, 250, 255, 0, 0, 0, 100, 250]


def test_a_constant_costs_nothing_and_nothing_else_can_be_coded(tables):
    assert tables.bits[4] == 0
    assert tables.bits[5] == np.inf


@pytest.mark.parametrize("cached_slots", [1 << 22, 0])
def test_a_lookup_inverts_the_table_slot_by_slot(tables, monkeypatch, cached_slots):
    monkeypatch.setattr("narrows.codec.tables._CACHED_SLOTS", cached_slots)
    everything = tables.lookup()
    for table, values in enumerate([[-1, 0, 1, ESCAPE], [7], [0, 1, ESCAPE]]):
        one = tables.lookup(table)
        assert np.array_equal(one, everything[256 * table : 256 * (table + 1)])
        assert np.unique(one >> 32).tolist() == sorted(values)
        for slot in range(256):
            frequency, bias, value = one[slot] & 0xFFFF, (one[slot] >> 16) & 0xFFFF, one[slot] >> 32
            entry = tables.firsts[table] + values.index(value)
            assert tables.frequencies[entry] == frequency
            assert slot - bias == tables.starts[entry]


def test_tables_come_back_from_their_tensors(tables):
    settings, tensors = tables.to_tensors()
    again = FrequencyTables.from_tensors(settings, tensors)
    assert again.precision == 8
    assert all(np.array_equal(getattr(again, name), tensor) for name, tensor in tensors.items())


def test_no_tables_are_tables_too():
    assert len(FrequencyTables.from_counts([], precision=12)) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": 7}, "'precision' must be an integer from 8 to 15"),
        ({"precision": 16}, "'precision'"),
        ({"precision": 8.0}, "'precision'"),
        ({"precision": True}, "'precision'"),
        ({"precision": 9}, "must sum to 512"),
        ({"lows": np.zeros(3, np.int64)}, "'lows' must be int32"),
        ({"lows": np.array([0, 7, 70_000], np.int32)}, "must be within"),
        ({"lows": np.array([0, 7, -(2**31)], np.int32)}, "must be within"),
        ({"lows": np.array([2**31 - 1, 7, 0], np.int32)}, "must be within"),
        ({"sizes": np.array([3, 1], np.int32)}, "'sizes'"),
        ({"sizes": np.array([3, 0, 3], np.int32)}, "1 to 256 values"),
        ({"sizes": np.array([3, -1, 4], np.int32)}, "1 to 256 values"),
        ({"sizes": np.array([3, 1, 2**31 - 1], np.int32)}, "1 to 256 values"),
        ({"frequencies": np.array([256, 0], np.uint16)}, "'frequencies'"),
        ({"frequencies": np.array([[1]], np.uint16)}, "'frequencies'"),
        ({"frequencies": np.array([50, 200, 5, 2, 256, 0, 100, 150, 6], np.uint16)}, "sum"),
        ({"frequencies": np.array([50, 201, 5, 0, 256, 0, 100, 150, 6], np.uint16)}, "at least 1. Got 0"),
        ({"frequencies": np.array([0, 250, 5, 1, 256, 0, 100, 150, 6], np.uint16)}, "at least 1. Got 0"),
        ({"frequencies": np.array([50, 200, 5, 1, 0, 256, 100, 150, 6], np.uint16)}, "at least 1. Got 0"),
    ],
)
def test_tables_that_lie_are_refused(tables, change, message):
    fields = {
        "precision": tables.precision,
        "lows": tables.lows,
        "sizes": tables.sizes,
        "frequencies": tables.frequencies,
    }
    with pytest.raises(ModelFileError, match=message):
        FrequencyTables(**(fields | change))


def test_a_tensor_that_is_missing_is_named(tables):
    settings, tensors = tables.to_tensors()
    del tensors["sizes"]
    with pytest.raises(ModelFileError, match="has no tensor 'sizes'"):
        FrequencyTables.from_tensors(settings, tensors)


def test_rare_values_at_the_ends_get_no_entry_and_a_window_is_no_wider_than_a_quarter_of_a_table():
    assert regular_window(np.array([1, 0, 10_000, 0, 10_000, 1]), 8) == (2, 5)
    assert regular_window(np.array([1, 0, 100, 0, 100, 1]), 8) == (0, 6)
    assert regular_window(np.ones(600), 8) == (0, 64), "all are rare"
    ends = [5, *[0] * 64, *[1] * 600, *[0] * 64, 5]  # the window with the largest sum has rare values only
    assert regular_window(np.array(ends), 8) == (0, 1)
    first, last = regular_window(np.append(np.ones(500), np.full(64, 3)), 8)
    assert (first, last) == (500, 564)
