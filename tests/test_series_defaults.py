"""What "auto" chooses for windows of series: networks by their size, and one unit for all channels or one for each."""

import numpy as np
import pytest

import narrows
from narrows.data.columns import Columns
from narrows.estimators.defaults import choose_parts
from narrows.networks import Dense, Temporal
from narrows.preprocessing import MeanRemoval, Standardise
from narrows.records import schema_of

RNG = np.random.default_rng(0)


def parts_for(windows, **params):
    schema = schema_of("series", windows.shape[1:], windows.dtype)
    params = narrows.Autoencoder(record="series", **params).get_params(deep=False)
    return choose_parts(params, schema, Columns.of(windows))


def test_windows_get_a_dense_network_that_starts_at_pca():
    assert parts_for(RNG.normal(size=(30, 140))).network == Dense(widths=(512,), activation="silu", linear_path=True)


def test_two_numbers_get_three_hidden_layers_and_no_other_code_does():
    windows = np.random.default_rng(1).normal(size=(30, 140))
    widths = {n_latent: parts_for(windows, n_latent=n_latent).network.widths for n_latent in (1, 2, 3, 32)}
    assert not parts_for(windows, n_latent=2).network.linear_path, "a code that starts at PCA stays near it"
    assert widths == {1: (512,), 2: (512, 512, 512), 3: (512,), 32: (512,)}


@pytest.mark.parametrize("shape", [(20_000,), (9000, 2)], ids=str)
def test_windows_too_large_for_matrices_get_a_temporal_network(shape):
    network = parts_for(RNG.normal(size=(3, *shape))).network
    assert isinstance(network, Temporal)
    (*_, steps) = network.code_shape(shape, None) if network.code_channels else (0, network._steps(shape)[-1])
    assert steps <= 16


def test_channels_of_other_units_are_standardised_one_by_one():
    windows = RNG.normal(size=(50, 20, 2))
    assert parts_for(windows).preprocessing == (MeanRemoval(), Standardise(per_value=False))
    assert parts_for(windows * [1, 1000]).preprocessing == (Standardise(per_value=True),)


@pytest.mark.parametrize("recipe", ["series", "recurrent"])
def test_the_recipes_start_at_pca_and_end_no_worse(recipe):
    """After a few steps: the best weights on held-out windows are kept, the first of which are those of PCA."""
    phase, rate = RNG.uniform(0, 6, (200, 1)), RNG.uniform(0.25, 0.4, (200, 1))
    series = np.sin(phase + rate * np.arange(30)).astype(np.float32)
    model = narrows.recipe(recipe, n_latent=2, training__epochs=8, artefacts="pca", random_state=0).fit(series[:150])
    pca = model.pca_
    by_pca = np.square(pca.decode(pca.encode(series[150:])) - series[150:]).mean()
    assert np.square(model.reconstruct(series[150:]) - series[150:]).mean() < 1.05 * by_pca
