"""Recipes with a likelihood or a decoder for values in [0, 1] choose others for data that are real numbers."""

import math

import numpy as np
import pytest

import narrows
from narrows.data.columns import Columns
from narrows.errors import InvalidParameterError
from narrows.estimators.defaults import choose_parts
from narrows.estimators.recipes import RECIPES
from narrows.likelihoods import Normal
from narrows.preprocessing import MeanRemoval, Standardise
from narrows.records import schema_of

CHOOSE = [name for name in RECIPES if narrows.recipe(name).real_values == "standardise"]
OF_IMAGES = ["cvae", "conv-denoising", "few-labels"]
LIKE_OTHERS = {"beta-vae", "simple", "wae", "adversarial"}  # vae, dense, adversarial and vae-gan, but for one option
QUICK = {"training__batch_size": 20, "training__optimiser": "adam", "training__optimiser__learning_rate": 4e-3}
SMALLER = {  # wide networks with many epochs
    **{
        name: {"network__widths": (96, 48)}
        for name in ("vae", "beta-vae", "conditional-vae", "wae", "adversarial", "vae-gan")
    },
    "hinton2006": {"network__widths": (64, 32)},
    "sda": {"network__widths": (64, 64), "pretraining__epochs": 3, "pretraining__optimiser__learning_rate": 4e-3},
}


@pytest.fixture(scope="module")
def table():
    """Twelve columns of two factors and noise, in units from thousandths to thousands, and the sign of a factor."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(400, 2))
    x = factors @ rng.normal(size=(2, 12)) + 0.2 * rng.normal(size=(400, 12))
    units, zeros = (10.0 ** rng.integers(-3, 4, 12) for _ in range(2))
    return x * units + rng.normal(size=12) * zeros, (factors[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def fields():
    """Smooth maps of a temperature in °C."""
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, 8)
    slopes = rng.normal(size=(200, 2, 1, 1))
    return (15 + 8 * (slopes[:, 0] * grid + slopes[:, 1] * grid[:, None])).astype(np.float32)


def parts_of(name, x, **changes):
    params = narrows.recipe(name, **changes).get_params(deep=False)
    return choose_parts(params, schema_of("auto", x.shape[1:], x.dtype), Columns.of(x))


def explained(x, given):
    """Return the share of the variance of each column that is restored."""
    return 1 - ((x - given) ** 2).mean(0) / given.var(0)


def test_all_recipes_for_values_in_the_unit_interval_choose_except_one_whose_learning_rate_forbids_it():
    assumes = {
        name
        for name in RECIPES
        if getattr(narrows.recipe(name).likelihood, "name", narrows.recipe(name).likelihood) == "bernoulli"
        or getattr(narrows.recipe(name).network, "output_activation", None) == "sigmoid"
    }
    assert assumes - set(CHOOSE) == {"da"}
    assert set(CHOOSE) - assumes == {"map", "few-labels"}, "which take values in [0, 1] without being bound to them"


def test_a_map_of_a_table_compares_standardised_columns(table):
    parts = parts_of("map", table[0])
    assert (parts.preprocessing, parts.likelihood.name) == ((Standardise(),), "normal")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in LIKE_OTHERS else name
        for name in CHOOSE
        if name not in [*OF_IMAGES, "map"]
    ],
)
def test_recipes_train_on_a_table_of_mixed_units(name, table):
    x, y = table
    settings = {"training__epochs": 12, "artefacts": ("density",), **QUICK, **SMALLER.get(name, {})}
    model = narrows.recipe(name, random_state=0, **settings).fit(x, y)
    assert model.chain_.parts.preprocessing == (Standardise(),)
    assert model.chain_.parts.likelihood.name == "normal"
    assert model.chain_.parts.network.output_activation == "identity"
    measured = narrows.evaluate(model, narrows.data.Source(x, labels=y, name="table"))
    assert all(math.isfinite(value) for value in measured.values() if value is not None)
    assert (explained(model.reconstruct(x, y), x) > 0.1).all(), "every column is restored better than by its mean"
    # A few hundred steps against an adversary match codes to the prior only roughly.
    drawn = model.sample(2000, noise=True, random_state=0, source="density" if model.adversary else "auto")
    assert (np.abs(drawn.mean(0) - x.mean(0)) < 0.25 * x.std(0)).all()
    assert (drawn.std(0) / x.std(0) > 0.6).all()
    assert (drawn.std(0) / x.std(0) < 1.5).all()


@pytest.mark.parametrize("name", OF_IMAGES)
def test_recipes_of_images_train_on_fields_of_real_numbers(name, fields):
    model = narrows.recipe(name, random_state=0, training__epochs=8, artefacts=(), **QUICK).fit(fields)
    assert model.chain_.parts.preprocessing == (Standardise(per_value=False),)
    likelihood = narrows.recipe(name).likelihood
    is_kept = isinstance(likelihood, Normal)  # a decoder without bounds, which restores any number
    assert model.chain_.parts.likelihood == (likelihood if is_kept else Normal(scale="learned"))
    assert explained(model.reconstruct(fields).ravel(), fields.ravel()) > 0.5
    assert not getattr(model.chain_.corruption, "clip", False)


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "table"])
def test_levels_between_bounds_get_the_parts_that_they_always_had(name):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 8, 8), dtype=np.uint8)
    dim = (images // 3).astype(np.float64) / 255
    few_bytes = rng.integers(3, 90, (50, 64), dtype=np.uint8)
    deep = images.astype(np.uint16) * 200
    vectors = () if name in OF_IMAGES else (dim.reshape(50, 64), few_bytes)
    for x in (images, images > 100, images / 255, dim, *vectors, deep, images.astype(np.float32)):
        assert parts_of(name, x) == parts_of(name, x, real_values="as-given")


def test_real_numbers_are_recognised_by_their_bounds():
    rng = np.random.default_rng(0)
    x = rng.random((50, 8))

    def is_real(x):
        return parts_of("vae", x).likelihood.name == "normal"

    assert not is_real(x)
    assert is_real(x - 0.5)
    assert is_real(1.5 * x)
    assert is_real((100 * x).astype(int)), "columns with bounds of their own"
    assert is_real(2 * x[:, :1]), "a single column always reaches its bounds"
    assert not is_real(np.clip(10 * x - 4, -1, 1)), "columns that share their bounds and reach them, as pixels do"
    assert parts_of("vae", 2 * x[:, :1]).preprocessing == (MeanRemoval(), Standardise(per_value=False))


def test_as_given_takes_real_numbers_for_levels():
    x = np.random.default_rng(0).normal(size=(50, 8))
    assert parts_of("vae", x, real_values="as-given").likelihood.name == "bernoulli"
    explicit = narrows.Autoencoder(bottleneck="gaussian", likelihood="bernoulli", preprocessing="unit-scale")
    explicit.set_params(training__epochs=1)
    assert explicit.fit(x).chain_.parts.likelihood.name == "bernoulli", "parts that are given are not changed"
    with pytest.raises(InvalidParameterError, match=r"'real_values' of Autoencoder must be .*'standardise'"):
        narrows.Autoencoder(real_values="other").fit(x)


def test_a_likelihood_that_suits_real_numbers_is_kept():
    x = np.random.default_rng(0).normal(size=(50, 8))
    assert parts_of("vae", x, likelihood="laplace").likelihood.name == "laplace"
