"""Each column of a table is compared with its own scale in the training data."""

import numpy as np
import pandas as pd
import pytest

import narrows
from narrows import Autoencoder
from narrows.data import Source
from narrows.data.column_scale import ColumnScales, columns_on_another_scale
from narrows.errors import RangeWarning
from narrows.training import Training

NAMES = ["income", "pressure", "offset"]


@pytest.fixture(scope="module")
def table():
    """An income of some ten thousand, a pressure near 1, and numbers around 0."""
    rng = np.random.default_rng(0)
    return np.column_stack([rng.lognormal(10, 0.5, 400), rng.normal(1, 0.05, 400), rng.normal(0, 1, 400)])


@pytest.fixture(scope="module")
def model(table):
    frame = pd.DataFrame(table, columns=NAMES)
    return Autoencoder(2, training=Training(epochs=1), random_state=0, artefacts=()).fit(frame)


def others(values, trained):
    return columns_on_another_scale(Source(np.asarray(values)), ColumnScales.of(Source(np.asarray(trained))))


@pytest.mark.parametrize(
    ("column", "factor"), [(0, 1e3), (0, 1e-3), (1, 1e3), (1, 1e-3), (2, 1e3), (2, 1e-3), (1, -50)]
)
def test_a_column_in_other_units_is_named(table, model, tmp_path, column, factor):
    values = table.copy()
    values[:, column] *= factor
    frame = pd.DataFrame(values, columns=NAMES)
    with pytest.warns(
        RangeWarning, match=f"column '{NAMES[column]}' has values from .* trained on values from"
    ) as caught:
        model.transform(frame)
    assert (len(caught), caught[0].message.count, caught[0].message.first) == (1, 1, NAMES[column])
    model.save(tmp_path / "m")
    with pytest.warns(RangeWarning, match=f"column '{NAMES[column]}' has"):
        narrows.load(tmp_path / "m").transform(frame)
    assert others(values, table).positions == (column,)


def test_columns_without_names_are_named_by_their_position(table):
    found = others(table * [1, 100, 100], table)
    assert found.positions == (1, 2)
    assert "2 columns are on another scale than in the training data. The first, column 1, has values" in found.text
    assert "Divide it by about 1e+02" in found.text


def test_parts_of_the_training_data_are_of_their_scale(table):
    for column in range(3):
        ordered = table[np.argsort(np.abs(table[:, column]))]
        for n in (1, 8, 20, 100, 400):
            assert others(ordered[:n], table) is None
            assert others(ordered[-n:], table) is None


def test_outliers_and_columns_of_zeros_are_no_reason(table):
    values = table.copy()
    values[:3] *= 1e6
    values[:, 1] = 0
    assert others(values, table) is None
    rare = np.where(np.arange(400)[:, None] == 7, 0.01, np.zeros((400, 3)))
    assert others(np.where(np.arange(400)[:, None] == 9, 1.0, rare), rare) is None


def test_missing_values_do_not_count(table):
    given = table.copy()
    given[::3, 1] = -9999
    model = Autoencoder(2, training=Training(epochs=1), random_state=0, artefacts=(), fill_value=-9999).fit(given)
    given[:, 1] = -9999
    model.transform(given)
    given[::2, 1] = 1e3
    with pytest.warns(RangeWarning, match="column 1 has"):
        model.transform(given)


def test_other_records_have_no_columns(rng):
    assert ColumnScales.of(Source(rng.normal(size=(20, 4, 4)))) is None
    assert ColumnScales.of(Source(np.zeros((20, 4), np.uint8))) is None
