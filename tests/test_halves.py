"""Encoder and decoder of a model as PyTorch modules: records in their own units on one side, codes on the other."""

import copy
import pickle

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, Training
from narrows.errors import InvalidParameterError, NotDecodableError, ShapeMismatchError
from narrows.networks import Convolutional, Dense

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8), np.uint8)
BOTTLENECKS = ["plain", "top-k", "gaussian", "rounded", "vector-quantised"]


def trained(x=IMAGES, **params):
    usual = {"network": Dense(widths=(8,)), "training": Training(epochs=1), "artefacts": (), "random_state": 0}
    return Autoencoder(4, **{**usual, **params}).fit(x)


@pytest.fixture
def model():
    return trained()


@pytest.mark.parametrize("bottleneck", BOTTLENECKS)
def test_they_compute_what_the_model_does_from_records_in_their_own_units(bottleneck):
    model = trained(bottleneck=bottleneck)
    codes = model.encoder_(torch.from_numpy(IMAGES))
    assert codes.shape == (24, 4)
    np.testing.assert_allclose(codes.detach(), model.transform(IMAGES), rtol=1e-4, atol=1e-5)
    restored = model.decoder_(codes)
    assert restored.dtype == torch.float32
    np.testing.assert_allclose(restored.detach(), model.reconstruct(IMAGES, dtype=float), rtol=1e-4, atol=1e-3)


def test_missing_values_are_filled(table):
    table[::3, 2] = np.nan
    model = trained(table, fill_value=np.nan)
    codes = model.encoder_(torch.from_numpy(table))
    np.testing.assert_allclose(codes.detach(), model.transform(table), rtol=1e-3, atol=1e-4)


@pytest.fixture
def table():
    return np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32) * [1, 10, 100, 1, 0.1, 1]


def test_an_optimiser_of_pytorch_trains_the_model_through_them(model):
    x = torch.from_numpy(IMAGES)
    before = model.reconstruct(IMAGES, dtype=float)
    weights = [*model.encoder_.parameters(), *model.decoder_.parameters()]
    assert {id(weight) for weight in weights} == {id(weight) for weight in model.chain_.parameters()}
    optimiser = torch.optim.SGD(weights, lr=1e-6)
    losses = []
    for _ in range(3):
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(model.decoder_(model.encoder_(x)), x.float())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]
    assert np.abs(model.reconstruct(IMAGES, dtype=float) - before).max() > 0


def test_gradients_reach_the_records_in_their_own_units(model):
    x = torch.from_numpy(IMAGES).float().requires_grad_()
    model.encoder_(x).square().sum().backward()
    assert (x.grad != 0).any()


def test_there_is_one_module_of_each_so_that_hooks_stay(model):
    seen = []
    model.encoder_.register_forward_hook(lambda *_: seen.append(True))
    model.encoder_(torch.from_numpy(IMAGES))
    assert seen
    assert not model.encoder_.training
    assert model.encoder_.train() is model.encoder_


def test_moving_one_moves_the_whole_model(model):
    model.encoder_.double()
    assert {weight.dtype for weight in model.chain_.parameters()} == {torch.float64}
    assert model.decoder_(torch.zeros(2, 4)).dtype == torch.float64


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
def test_copies_have_weights_of_their_own(again, model):
    codes = model.encoder_(torch.from_numpy(IMAGES))
    encoder, whole = again(model.encoder_), again(model)
    with torch.no_grad():
        for weight in model.encoder_.parameters():
            weight.zero_()
    torch.testing.assert_close(encoder(torch.from_numpy(IMAGES)), codes)
    torch.testing.assert_close(whole.encoder_(torch.from_numpy(IMAGES)), codes)


def test_a_variational_encoder_names_mean_and_log_variance():
    model = trained(bottleneck="gaussian")
    found = model.encoder_.distribution(torch.from_numpy(IMAGES))
    assert found.mean.shape == found.log_variance.shape == (24, 4)
    mean, log_variance = found
    torch.testing.assert_close(mean, model.encoder_(torch.from_numpy(IMAGES)))
    assert log_variance.requires_grad
    with pytest.raises(InvalidParameterError, match="'plain' bottleneck have no distribution"):
        trained().encoder_.distribution(torch.from_numpy(IMAGES))


def test_a_conditional_model_takes_positions_of_labels():
    y = np.array(["a", "b"] * 12)
    model = Autoencoder(
        4, network=Dense(widths=(8,)), conditional=True, training=Training(epochs=1), artefacts=(), random_state=0
    ).fit(IMAGES, y)
    x, labels = torch.from_numpy(IMAGES), torch.arange(24) % 2
    codes = model.encoder_(x, labels)
    np.testing.assert_allclose(codes.detach(), model.transform(IMAGES, y), rtol=1e-4, atol=1e-5)
    assert model.decoder_(codes, labels).shape == x.shape
    with pytest.raises(InvalidParameterError, match="Pass 'labels'"):
        model.encoder_(x)


def test_wrong_inputs_are_named(model):
    with pytest.raises(ShapeMismatchError, match=r"\(n, 8, 8\). Got \(24, 64\)"):
        model.encoder_(torch.zeros(24, 64))
    with pytest.raises(ShapeMismatchError, match=r"\(n, 4\). Got \(24, 5\)"):
        model.decoder_(torch.zeros(24, 5))
    with pytest.raises(InvalidParameterError, match=r"torch.Tensor. Got ndarray. Use torch.as_tensor"):
        model.encoder_(IMAGES)


def test_a_decoder_that_needs_switches_says_so():
    model = trained(network=Convolutional(channels=(2,), unpooling="switches"))
    codes = model.encoder_(torch.from_numpy(IMAGES))
    with pytest.raises(NotDecodableError):
        model.decoder_(codes)


def test_a_model_moves_to_a_device_and_refuses_those_that_are_not_there(model, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert model.to("cpu") is model
    assert model.to(torch.device("cpu")).chain_.device.type == "cpu"
    with pytest.raises(InvalidParameterError, match="Got 'tpu'"):
        model.to("tpu")
    with pytest.raises(InvalidParameterError, match="PyTorch finds none"):
        model.to("cuda:1")


def test_narrows_loads_models_that_have_them(model, tmp_path):
    model.encoder_  # noqa: B018
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    x = torch.from_numpy(IMAGES)
    torch.testing.assert_close(again.encoder_(x), model.encoder_(x), rtol=1e-5, atol=1e-6)
