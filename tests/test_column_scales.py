"""Columns of a table count alike, whatever their units, offsets and constants; where they cannot, a warning says so."""

import warnings

import numpy as np
import pytest

import narrows
from narrows.data.columns import Columns
from narrows.errors import CollapsedWarning, DataWarning, WorseThanPCAWarning
from narrows.estimators.defaults import choose_parts
from narrows.preprocessing import MeanRemoval, UnitScale
from narrows.records import schema_of

IN_ONE_RANGE = ["codec", "da"]


@pytest.fixture(scope="module")
def table():
    """Three hundred records of three factors."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 3)) @ rng.normal(size=(3, 10))


def trained(name, x, **settings):
    options = {"n_latent": 3, "training__epochs": 3, "artefacts": ("pca",), "random_state": 0, **settings}
    return narrows.recipe(name, **options).fit(x)


def preprocessing_of(name, x):
    params = narrows.recipe(name).get_params(deep=False)
    return choose_parts(params, schema_of("auto", x.shape[1:], x.dtype), Columns.of(x)).preprocessing


def relative_errors(model, x, columns):
    return ((model.reconstruct(x) - x)[:, columns] ** 2).mean(0) / x[:, columns].var(0)


@pytest.mark.filterwarnings("ignore::narrows.errors.CollapsedWarning")
@pytest.mark.parametrize("constant", [-1e12, 0.0, 7.3])
@pytest.mark.parametrize("name", IN_ONE_RANGE)
def test_constant_columns_are_exact_and_leave_the_others_as_they_are(name, constant, table):
    x = np.column_stack([table, np.full(300, constant)])
    model = trained(name, x)
    np.testing.assert_array_equal(model.reconstruct(x)[:, -1], constant)
    assert relative_errors(model, x, slice(0, 10)).max() < 4


@pytest.mark.filterwarnings("ignore::narrows.errors.CollapsedWarning")
@pytest.mark.parametrize("name", IN_ONE_RANGE)
def test_columns_of_different_units_get_ranges_of_their_own(name, table):
    x = table * 10.0 ** np.linspace(-15, 12, 10)
    model = trained(name, x)
    assert model.chain_.parts.preprocessing == (UnitScale(per_value=True),)
    assert relative_errors(model, x, slice(None)).max() < 4


def test_a_codec_of_columns_of_different_units_learns_all_of_them(table):
    x = table * 10.0 ** np.linspace(-15, 12, 10)
    model = trained("codec", x, training__epochs=40)
    assert relative_errors(model, x, slice(None)).max() < 0.7


@pytest.mark.parametrize("name", IN_ONE_RANGE)
def test_one_range_is_kept_where_it_suits_all_columns(name, table):
    given = tuple(preprocessing_of(name, np.zeros((2, 3), np.uint8)))
    for x in (table, table + np.arange(10), table.astype(np.float32), table.reshape(300, 2, 5)):
        assert preprocessing_of(name, x) == given
    assert preprocessing_of(name, table + 1e6 * np.arange(10)) == (MeanRemoval(), UnitScale())


@pytest.mark.parametrize("name", IN_ONE_RANGE)
def test_a_warning_tells_of_columns_that_one_range_ruins(name, table):
    x = np.column_stack([table, np.full(300, -1e12)])
    with pytest.warns(WorseThanPCAWarning, match="10 columns of 11 in its training data"):
        model = trained(name, x, real_values="as-given")
    with pytest.warns(WorseThanPCAWarning, match="10 columns of 11 in these records"):
        narrows.evaluate(model, x)


@pytest.mark.parametrize("name", IN_ONE_RANGE)
def test_a_model_that_ruins_no_column_is_not_warned_of(name, table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", CollapsedWarning)
        narrows.evaluate(trained(name, table), table)
        pixels = np.random.default_rng(0).integers(0, 17, (60, 64)).astype(np.float64)
        pixels[1:, 0] = 0.0  # a pixel that is hardly ever lit
        pixels[:, 1] = 0.0
        narrows.evaluate(trained(name, pixels), pixels)


def test_values_far_from_zero_are_restored_as_well_as_float64_allows(table):
    x = 10 * table + 1e13  # a resolution of 0.002
    model = trained("auto", x)
    assert np.abs(model.reconstruct(x) - x).max() < 0.01
    metrics = narrows.evaluate(model, x)
    assert metrics["sse_per_record"] < 1e-3
    assert metrics["pca_sse_per_record"] < 1e-3


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_a_warning_tells_of_columns_too_far_from_zero(dtype, table):
    x = (10 * table + 1e15).astype(dtype)
    with pytest.warns(DataWarning, match=r"10 columns .* vary by less than 2e-13 of the mean.*subtract an offset"):
        trained("auto", x)
    beside = np.column_stack([table, 1e15 + 10 * table[:, 0]])
    with pytest.warns(DataWarning, match="1 column of .* varies by less than 2e-13"):
        model = trained("auto", beside)
    assert relative_errors(model, beside, slice(0, 10)).max() < 1e-4


def test_rounding_errors_of_constant_columns_are_not_warned_of(table):
    noise = 0.3 + 1e-14 * np.random.default_rng(0).normal(size=300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained("auto", np.column_stack([table, noise, np.full(300, 1e15)]))
