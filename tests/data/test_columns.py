"""What columns look like decides whether one scale suits them all."""

import numpy as np
import pytest

from narrows.data.columns import Columns


@pytest.fixture
def pixels(rng):
    """Return grey values that are mostly 0 at the rim, as handwriting is."""
    lit = np.linspace(0.02, 0.9, 40)
    values = np.where(rng.random((2000, 40)) < lit, rng.random((2000, 40)), 0)
    values[0], values[1] = 0, 1
    return values


def test_statistics_are_those_of_numpy(rng):
    x = rng.normal(size=(5000, 3, 2)) * 1e6 + 1e9
    columns, flat = Columns.of(x), x.reshape(5000, 6)
    np.testing.assert_array_equal(columns.low, flat.min(0))
    np.testing.assert_array_equal(columns.high, flat.max(0))
    np.testing.assert_allclose(columns.mean, flat.mean(0), rtol=1e-14)
    np.testing.assert_allclose(columns.deviation, flat.std(0), rtol=1e-10)
    assert not columns.whole.any()


@pytest.mark.parametrize("scale", [1e-20, 1.0, 255.0, 1e20])
def test_pixels_are_bounded_in_any_unit(pixels, scale):
    columns = Columns.of(pixels * scale)
    assert columns.are_bounded
    assert columns.are_of_one_kind


def test_values_that_vary_about_equally_are_of_one_kind(rng):
    columns = Columns.of(rng.normal(size=(500, 30)) * rng.uniform(1, 4, 30))
    assert not columns.are_bounded
    assert columns.are_of_one_kind


def test_counts_that_reach_zero_are_of_one_kind_though_their_rates_differ(rng):
    """Their deviations alone would say otherwise."""
    columns = Columns.of(rng.poisson(np.geomspace(0.005, 40, 30), (2000, 30)))
    least, largest = np.quantile(columns.deviation, (0.1, 0.9))
    assert columns.are_counts
    assert columns.are_of_one_kind
    assert not Columns.of(rng.poisson(4.0, (2000, 30)) + 0.5).are_counts, "not whole numbers"
    assert largest > 10 * least


def test_columns_in_units_of_their_own_are_not(rng):
    table = rng.normal(size=(500, 6)) * [1, 10, 100, 1, 0.01, 1e4] + [0, 5, 0, 0, 0, 1e6]
    assert not Columns.of(table).are_of_one_kind
    flags_beside_amounts = np.column_stack([rng.random((500, 3)) < 0.5, rng.integers(0, 10**6, (500, 3))])
    assert not Columns.of(flags_beside_amounts).are_of_one_kind


@pytest.mark.parametrize("n_alike", [3, 11, 40])
@pytest.mark.parametrize("times", [1e-4, 1e4])
def test_a_single_column_in_other_units_is_seen_among_many(n_alike, times, rng):
    table = rng.normal(size=(500, n_alike + 1))
    assert Columns.of(table).are_of_one_kind
    table[:, -1] *= times
    assert not Columns.of(table).are_of_one_kind


@pytest.mark.parametrize("amounts", ["whole", "real"])
def test_categories_beside_amounts_are_neither_pixels_nor_counts(amounts, rng):
    categories = np.eye(27)[rng.integers(0, 27, 800)]
    income = rng.lognormal(10, 0.5, 800)
    table = np.column_stack([categories, rng.normal(40, 12, 800).clip(18), income])
    columns = Columns.of(np.rint(table) if amounts == "whole" else table)
    assert not columns.are_bounded
    assert not columns.are_of_one_kind


@pytest.mark.parametrize("x", [np.full((5, 3), 2.5), np.zeros((1, 4))], ids=["constant", "one record"])
def test_values_that_never_vary_are_of_one_kind(x):
    assert Columns.of(x).are_of_one_kind
    assert not Columns.of(x).are_bounded


def test_a_single_record_may_be_large(rng, monkeypatch):
    monkeypatch.setattr("narrows.data.columns._MOST_VALUES", 500)
    x = rng.normal(size=(1, 2000))
    np.testing.assert_allclose(Columns.of(x).mean, x[0])


@pytest.mark.filterwarnings("error")
def test_huge_values_have_infinite_statistics_and_no_warnings():
    columns = Columns.of(np.array([[1e308, 1.0], [1.5e308, 2.0], [-1e308, 3.0]]))
    assert not np.isfinite(columns.deviation[0])
    assert not columns.are_of_one_kind
