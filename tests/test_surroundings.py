"""Results do not depend on settings that the calling program has made for its thread."""

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.networks import Dense
from narrows.numerics.surroundings import usual_settings

X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
LABELS = np.arange(120) % 3

SETTINGS = {
    "no gradients": torch.no_grad,
    "inference mode": torch.inference_mode,
    "mixed precision": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "another default device": lambda: torch.device("meta"),
    "errors of NumPy": lambda: np.errstate(all="raise"),
}


@pytest.fixture(params=SETTINGS.values(), ids=SETTINGS)
def setting(request):
    return request.param


def vae(**options):
    return Autoencoder(2, bottleneck="gaussian", training=Training(epochs=2), random_state=0, **options)


@pytest.fixture(scope="module")
def model():
    return vae().fit(X)


def uses(model, folder):
    """Return the results of all uses of a model."""
    path = folder / "x.narrows"
    narrows.compress(X, path, model=model, lossless=True, force=True)
    metrics = narrows.evaluate(model, X, importance_samples=2)
    with narrows.open_archive(path, model=model) as archive:
        one = archive[3]
    return [
        one,
        model.transform(X),
        model.transform(X.astype(float)),
        model.inverse_transform(model.transform(X)),
        model.reconstruct(X),
        model.score(X),
        model.sample(5, random_state=0),
        np.array([value for value in metrics.values() if value is not None]),
        narrows.restore(path, model=model),
    ]


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def expected(model, tmp_path_factory):
    """Return the results of all uses of the model, with the usual settings."""
    return uses(model, tmp_path_factory.mktemp("usual"))


def test_models_are_the_same(setting, model, expected, tmp_path):
    with setting():
        trained = vae().fit(X)
    assert trained.unmeasured_ == model.unmeasured_
    assert_equal(uses(trained, tmp_path), expected)


def test_uses_of_models_are_the_same(setting, model, expected, tmp_path):
    with setting():
        assert_equal(uses(model, tmp_path), expected)


def probabilities():
    """Return the predictions of a new classifier."""
    network = Dense(widths=(16,), activation="silu", code_activation="silu")
    autoencoder = Autoencoder(16, network=network, training=Training(epochs=1), artefacts=())
    model = AutoencoderClassifier(autoencoder, training=Training(epochs=1), random_state=0)
    return model.fit(X, LABELS).predict_proba(X)


@pytest.fixture(scope="module")
def expected_probabilities():
    return probabilities()


def test_classifiers_are_the_same(setting, expected_probabilities):
    with setting():
        found = probabilities()
    np.testing.assert_array_equal(found, expected_probabilities)


def test_models_that_were_loaded_are_as_others(setting, model, expected, tmp_path):
    model.save(tmp_path / "m.safetensors")
    with setting():
        loaded = narrows.load(tmp_path / "m.safetensors")
    assert_equal(uses(loaded, tmp_path), expected)
    loaded.fit(X)


def test_data_of_tiny_values_have_a_latent_density_where_underflows_are_errors():
    with np.errstate(all="raise"):
        assert vae().fit(X * 1e-3).latent_density_ is not None


def test_settings_of_the_caller_are_kept(setting):
    with setting():
        with usual_settings():
            assert torch.is_grad_enabled()
            assert not torch.is_inference_mode_enabled()
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
            assert torch.ones(1).device.type == "cpu"
        before = (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_device())
        before += (torch.is_autocast_enabled("cpu"), np.geterr()["under"])
    with setting():
        after = (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_device())
        after += (torch.is_autocast_enabled("cpu"), np.geterr()["under"])
    assert before == after
