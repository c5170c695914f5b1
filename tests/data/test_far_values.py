"""Values that make the range of the data: found whatever they are and however often they occur."""

import numpy as np
import pandas as pd
import pytest

import narrows.data
from narrows import Autoencoder
from narrows.data.far_values import far_value, far_value_of
from narrows.errors import DataWarning
from narrows.training import Training

rng = np.random.default_rng(0)
temperatures = rng.uniform(-4, 22, 20_000)


@pytest.mark.parametrize("fill", [-9999.0, 1e20, -1.7e308, 9.96921e36, 32767.0])
@pytest.mark.parametrize("share", [0.00005, 0.01, 0.3, 0.9])
def test_a_fill_value_is_found_however_often_it_occurs(fill, share):
    values = np.where(rng.random(temperatures.size) < share, fill, temperatures)
    values[7] = fill
    found = far_value(values)
    assert found.value == fill
    assert found.n == (values == fill).sum()
    assert -4 <= found.low < found.high <= 22


@pytest.mark.parametrize("scale", [1e-200, 1e-6, 1, 1e200])
def test_several_values_far_away_are_found(scale):
    values = temperatures.copy()
    values[:5] = [900, 1000, 1100, 1200, 1300]
    found = far_value(values * scale)
    assert found.value == pytest.approx(1300 * scale)
    assert found.high <= 22 * scale


@pytest.mark.parametrize(
    "values",
    [
        temperatures,
        rng.normal(size=20_000),
        rng.integers(0, 2, 1000),
        rng.integers(0, 256, 10_000),
        np.zeros(100),
        np.array([5.0]),
        np.array([np.nan, np.inf]),
        np.where(rng.random(10_000) < 0.8, 0, rng.integers(1, 256, 10_000)),
        rng.exponential(size=20_000),
    ],
)
def test_ordinary_values_have_none(values):
    assert far_value(values) is None


def test_infinities_and_missing_values_do_not_count():
    values = np.append(temperatures, [np.inf, -np.inf, np.nan])
    assert far_value(values) is None


def test_a_single_value_in_a_large_source_is_found_by_the_range():
    x = np.zeros((3000, 1000), np.float32)
    x += np.linspace(0, 26, 1000, dtype=np.float32)
    x[1, 1] = -9999
    source = narrows.data.open(x)
    assert far_value_of(source, *narrows.data.range_of_finite(source)).value == -9999


def test_training_warns_of_columns_with_far_values():
    frame = pd.DataFrame(
        {"height": temperatures[:500], "width": temperatures[500:1000], "is_new": rng.random(500) < 0.5}
    )
    model = Autoencoder(1, training=Training(epochs=1), random_state=0, artefacts=())
    model.fit(frame)
    frame.loc[3, "width"] = -9999
    with pytest.warns(
        DataWarning, match=r"in column 'width' most values are between .*, but some are far outside, such as -9999"
    ) as caught:
        model.fit(frame)
    assert (caught[0].message.kind, caught[0].message.count, caught[0].message.first) == ("far-value", 1, "width")
    with pytest.warns(DataWarning, match="in column 1 most"):
        model.fit(frame.to_numpy(float))
