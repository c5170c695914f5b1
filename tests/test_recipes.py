"""Every recipe works, keeps the settings of its source, and can be changed by name."""

import inspect
import math

import numpy as np
import pytest

import narrows
import narrows.data
from narrows import Autoencoder, Training
from narrows.corruptions import Gaussian, Masking
from narrows.errors import UnknownNameError
from narrows.estimators.recipe_list import SUMMARIES
from narrows.estimators.recipes import RECIPES
from narrows.likelihoods import Normal
from narrows.networks import Convolutional, Dense
from narrows.preprocessing import UnitScale
from narrows.training import SGD, Adadelta, Adam, Constant


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_fits_the_digits_and_survives_the_file(name, digits, tmp_path):
    train, test = (part[:50] for part in digits)
    y, y_test = (narrows.data.open(f"digits:{split}").labels[:50] for split in ("train", "test"))
    stages = [stage for stage in ("pretraining", "residual") if getattr(narrows.recipe(name), stage)]
    quick = {f"{stage}__epochs": 1 for stage in ("training", *stages)}
    if name == "text":
        train, test = np.array(["emma", "olivia", "ava"] * 16), np.array(["mia", "noah"])
    if name == "table":
        train, test = (part.reshape(len(part), -1)[:, 18:26] for part in (train, test))
    model = narrows.recipe(name, **quick, random_state=0).fit(train, y)
    assert len(model.history_) == 1
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    np.testing.assert_array_equal(again.reconstruct(test, y_test), model.reconstruct(test, y_test))
    assert repr(again) == repr(model)
    assert np.shape(again.reconstruct(test, y_test)) == test.shape
    assert SUMMARIES[name].endswith(".")
    assert len(SUMMARIES[name]) < 120


def test_the_list_of_recipes_has_the_descriptions_of_their_functions():
    described = {name: inspect.getdoc(function).partition("\n")[0] for name, function in RECIPES.items()}
    assert list(SUMMARIES.items()) == list(described.items())


LIKE_VAE = ["beta-vae", "conditional-vae"]  # the same network with the same settings of its training


@pytest.mark.parametrize(
    "name",
    ["vae", "vq-vae", *(pytest.param(name, marks=pytest.mark.slow) for name in ["cvae", "wae", *LIKE_VAE])],
)
def test_generative_recipes_stay_finite_at_ten_times_their_learning_rate(name):
    """Two hundred steps, and what is measured and drawn then."""
    train, test = (narrows.data.open(f"digits:{split}").take(np.arange(100)) for split in ("train", "test"))
    usual = narrows.recipe(name).training
    training = Training(
        epochs=20,
        batch_size=10,
        optimiser=Adam(learning_rate=10 * usual.optimiser.learning_rate),
        schedule=usual.schedule,
    )
    model = narrows.recipe(name, training=training, random_state=0).fit(train)
    assert all(math.isfinite(row["loss"]) for row in model.history_)
    measured = narrows.evaluate(model, test)
    assert all(math.isfinite(value) for value in measured.values() if value is not None)
    assert model.sample(20, random_state=0).shape == (20, 8, 8)


def test_the_recipes_there_are():
    assert set(RECIPES) >= {"auto", "deep-tied", "dense", "simple", "vanilla", "conv", "conv-denoising", "hinton2006"}


def test_recipes_are_new_each_time():
    narrows.recipe("deep-tied").network.widths = (1,)
    assert narrows.recipe("deep-tied").network.widths == (256, 256, 64)


def fitted(name, rng, artefacts=()):
    """Return the recipe as it comes out for 28×28 images of bytes, after one epoch on a few."""
    return narrows.recipe(name, training__epochs=1, artefacts=artefacts, random_state=0).fit(some_images(rng))


def some_images(rng):
    return rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)


def layer_widths(model):
    """Return the widths from the record to the code and back."""
    matrices = [
        [weight for name, weight in half.named_parameters() if name.endswith("weight") and weight.ndim == 2]
        for half in (model.chain_.encoder, model.chain_.decoder)
    ]
    there = [matrices[0][0].shape[1], *(weight.shape[0] for weight in matrices[0])]
    return there, [weight.shape[0] for weight in matrices[1]]


def test_deep_tied_is_that_of_document_0(rng):
    model, unfitted = fitted("deep-tied", rng), narrows.recipe("deep-tied")
    assert layer_widths(model) == ([784, 256, 256, 64, 32], []), "the decoder has no matrices of its own"
    network = unfitted.network
    assert network.tied
    assert {network.activation, network.code_activation, network.output_activation} == {"tanh"}
    assert network.initialisation == "fan-in"
    assert [part.name for part in model.chain_.parts.preprocessing] == ["unit-scale", "mean-removal"]
    assert model.chain_.parts.likelihood == Normal(scale=math.sqrt(0.5)), "the summed squared error"
    assert unfitted.training == Training(
        epochs=30, batch_size=20, optimiser=Adam(learning_rate=1e-3), schedule=Constant()
    )


def test_dense_is_that_of_document_1(rng):
    model, unfitted = fitted("dense", rng), narrows.recipe("dense")
    assert layer_widths(model) == ([784, 128, 64, 32], [64, 128, 784])
    network = unfitted.network
    assert (network.activation, network.code_activation, network.initialisation) == ("relu", "relu", "glorot")
    assert model.chain_.parts.likelihood.name == "bernoulli"
    assert [part.name for part in model.chain_.parts.preprocessing] == ["unit-scale"]
    assert unfitted.training == Training(
        epochs=50, batch_size=256, optimiser=Adam(learning_rate=1e-3, epsilon=1e-7), schedule=Constant()
    )


def test_da_is_that_of_document_2(rng):
    model, unfitted = fitted("da", rng), narrows.recipe("da")
    assert layer_widths(model) == ([784, 500], []), "the decoder has no matrix of its own"
    free = narrows.recipe("da", network__tied=False, training__epochs=1, artefacts=()).fit(some_images(rng))
    assert layer_widths(free)[1] == [784]
    network = unfitted.network
    assert (network.code_activation, network.initialisation, network.theano_seed) == ("sigmoid", "glorot-sigmoid", 123)
    assert model.chain_.parts.likelihood.name == "bernoulli"
    assert model.chain_.parts.preprocessing == (UnitScale(byte_divisor=256),)
    assert unfitted.corruption == Masking(level=0.3)
    assert unfitted.training == Training(
        epochs=15, batch_size=20, optimiser=SGD(learning_rate=0.1), schedule=Constant(), shuffle=False
    )


def test_simple_is_that_of_document_4(rng):
    model, unfitted = fitted("simple", rng), narrows.recipe("simple")
    assert layer_widths(model) == ([784, 32], [784])
    assert unfitted.network.code_activation == "relu"
    assert model.chain_.parts.likelihood.name == "bernoulli"
    assert unfitted.training == Training(
        epochs=50, batch_size=256, optimiser=Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-7), schedule=Constant()
    )


def test_conv_denoising_is_that_of_document_4(rng):
    model, unfitted = fitted("conv-denoising", rng), narrows.recipe("conv-denoising")
    kernels = [
        [tuple(weight.shape) for weight in half.parameters() if weight.ndim == 4]
        for half in (model.chain_.encoder, model.chain_.decoder)
    ]
    assert kernels == [[(32, 1, 3, 3), (32, 32, 3, 3)], [(32, 32, 3, 3), (32, 32, 3, 3), (1, 32, 3, 3)]]
    assert model.chain_.bottleneck.z_shape == (32, 7, 7)
    assert unfitted.network.resampling == "pool"
    assert (unfitted.network.activation, unfitted.network.code_activation) == ("relu", "relu")
    assert unfitted.corruption == Gaussian(scale=0.5, clip=True)
    assert model.chain_.parts.likelihood.name == "bernoulli"
    assert unfitted.training == Training(epochs=100, batch_size=128, optimiser=Adadelta(), schedule=Constant())


def test_conv_and_vanilla_have_codes_of_the_same_size(rng):
    vanilla, conv = fitted("vanilla", rng), fitted("conv", rng)
    assert vanilla.n_latent_ == conv.n_latent_ == 32
    assert isinstance(vanilla.chain_.parts.network, Dense)
    assert isinstance(conv.chain_.parts.network, Convolutional)
    for loss in ("normal", "laplace", Normal(scale="mean")):
        narrows.recipe("vanilla", likelihood=loss, training__epochs=1, artefacts=()).fit(rng.random((10, 6, 6)))


def test_hinton2006_has_the_widths_of_the_paper(rng):
    assert layer_widths(fitted("hinton2006", rng)) == ([784, 1000, 500, 250, 30], [250, 500, 1000, 784])


def test_vq_vae_is_a_map_of_indices_where_there_is_room_and_a_few_elsewhere(rng):
    model = fitted("vq-vae", rng, artefacts=("codec",))
    assert model.chain_.bottleneck.symbols_shape == (7, 7)
    assert model.chain_.bottleneck.codebook.shape == (128, 16)
    assert model.quantise(some_images(rng)).shape == (20, 49)
    table = narrows.recipe("vq-vae", training__epochs=1, artefacts=(), random_state=0).fit(rng.normal(size=(50, 12)))
    assert table.chain_.bottleneck.symbols_shape == (1,)
    images = rng.integers(0, 256, (4, 64, 64, 3), np.uint8)
    colour = narrows.recipe("vq-vae", training__epochs=1, artefacts=()).fit(images)
    assert colour.chain_.bottleneck.symbols_shape == (16, 16)


def test_auto_is_the_default():
    assert repr(narrows.recipe("auto")) == repr(Autoencoder())


def test_settings_are_changed_by_name():
    model = narrows.recipe("dense", n_latent=16, network__widths=(50,), training__optimiser__learning_rate=0.01)
    assert (model.n_latent, model.network.widths, model.training.optimiser.learning_rate) == (16, (50,), 0.01)
    assert model.training.epochs == 50


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (
            "deep_tied",
            {},
            "Unknown recipe: 'deep_tied'. Did you mean 'deep-tied'? Choose one of: adversarial, auto, beta-vae, codec",
        ),
        ("convdenoise", {}, "Did you mean 'conv-denoising'?"),
        ("dense", {"training__epoch": 3}, "Unknown option of Training: 'epoch'. Did you mean 'epochs'?"),
        ("dense", {"latent": 3}, "Unknown parameter of Autoencoder: 'latent'. Did you mean 'n_latent'?"),
        ("dense", {"network__width": 3}, "Unknown option of Dense: 'width'. Did you mean 'widths'?"),
    ],
)
def test_what_is_unknown_is_refused_and_the_nearest_suggested(name, changes, said):
    with pytest.raises(UnknownNameError) as caught:
        narrows.recipe(name, **changes)
    assert said in str(caught.value)
