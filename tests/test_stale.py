"""A model whose weights were changed from outside does not use artefacts of its earlier weights."""

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, Training
from narrows.cli.evaluate import metric_lines
from narrows.errors import NotMeasuredError, StaleWarning
from narrows.lossless import CausalNetwork
from narrows.networks import Dense
from narrows.uses.generate import traversals

WHAT_TO_DO = r"before the weights of the model were changed\. .*model\.refreeze\(X\)"


@pytest.fixture(scope="module")
def x(digits):
    return digits[0][:60]


@pytest.fixture(scope="module")
def file(x, tmp_path_factory):
    path = tmp_path_factory.mktemp("stale") / "model.safetensors"
    Autoencoder(3, network=Dense(widths=(8,)), training=Training(epochs=1), random_state=0).fit(x).save(path)
    return path


@pytest.fixture
def model(file):
    return narrows.load(file)


def change(module):
    """Train the module a little, as a loop of the user's does."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(1.5)


def own_loop(model, x):
    chain = model.chain_.train()
    optimiser = torch.optim.SGD(chain.parameters(), lr=0.01)
    loss = chain.loss(torch.from_numpy(x)).total.mean()
    loss.backward()
    optimiser.step()


CHANGES = {
    "a loop on chain_": own_loop,
    "encoder_": lambda model, x: change(model.encoder_),
    "decoder_": lambda model, x: change(model.decoder_),
    "a NumPy view": lambda model, x: next(model.decoder_.parameters()).detach().numpy().__iadd__(0.1),
    "other statistics": lambda model, x: next(iter(model.chain_.buffers())).add_(1),
}

USES = {
    "compress": lambda model, x, path: narrows.compress(x, path, model=model),
    "codec_": lambda model, x, path: model.codec_,
    "quantise": lambda model, x, path: model.quantise(x),
    "sample": lambda model, x, path: model.sample(),
    "traversals": lambda model, x, path: traversals(model),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_weights_are_noticed_however_they_were_changed(change, model, x):
    assert model.unmeasured_ == {}
    change(model, x)
    assert list(model.unmeasured_) == ["density", "search", "codec"]
    with pytest.raises(NotMeasuredError, match=WHAT_TO_DO):
        model.codec_  # noqa: B018


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_uses_of_artefacts_of_other_weights_are_refused(use, model, x, tmp_path):
    use(model, x, tmp_path / "before")
    change(model.chain_)
    with pytest.raises(NotMeasuredError, match=WHAT_TO_DO):
        use(model, x, tmp_path / "after")
    assert not (tmp_path / "after").exists()


def test_refreeze_measures_what_depends_on_the_weights(model, x, tmp_path):
    pca = model.pca_
    own_loop(model, x)
    model.refreeze(x)
    assert model.unmeasured_ == {}
    assert model.pca_ is pca
    narrows.compress(x, tmp_path / "x.narrows", model=model)
    restored = narrows.restore(tmp_path / "x.narrows", model=model)
    finest = model.codec_.qualities[model.codec_.default]
    stored = ((restored.astype(float) - x) ** 2).mean() ** 0.5
    meant = ((model.reconstruct(x).astype(float) - x) ** 2).mean() ** 0.5
    assert stored < 1.2 * meant, finest


def test_measure_takes_stale_artefacts_for_missing_ones(model, x):
    change(model.decoder_)
    assert model.measure(x).unmeasured_ == {}


def test_refreeze_leaves_out_what_fit_was_not_asked_for(x):
    model = Autoencoder(2, artefacts=["density"], training=Training(epochs=1), random_state=0).fit(x)
    change(model.decoder_)
    assert list(model.refreeze(x).unmeasured_) == ["pca", "search", "codec"]


def test_weights_that_are_changed_back_are_those_of_the_artefacts(model, x):
    before = {name: tensor.clone() for name, tensor in model.chain_.state_dict().items()}
    change(model.chain_)
    model.chain_.load_state_dict(before)
    assert model.unmeasured_ == {}


def test_what_needs_no_artefact_works_with_changed_weights(model, x):
    change(model.decoder_)
    assert model.transform(x).shape == (60, 3)
    assert model.pca_ is not None
    assert model.latent_density_ is None
    assert "refreeze" in model.codec_error_
    metrics = narrows.evaluate(model, x)
    assert metric_lines(metrics, model)


def test_a_saved_model_has_no_artefacts_of_other_weights(model, x, tmp_path):
    change(model.decoder_)
    with pytest.warns(StaleWarning, match=WHAT_TO_DO) as caught:
        model.save(tmp_path / "model")
    assert caught[0].message.to_json() | {"message": ""} == {
        "kind": "stale", "count": 3, "first": "density", "message": "",
    }  # fmt: skip
    again = narrows.load(tmp_path / "model")
    assert list(again.unmeasured_) == ["density", "search", "codec"]
    np.testing.assert_array_equal(again.reconstruct(x), model.reconstruct(x))
    assert again.refreeze(x).codec_.digest == model.refreeze(x).codec_.digest


def test_archives_of_the_earlier_weights_are_still_read(model, x, tmp_path):
    narrows.compress(x, tmp_path / "x.narrows", model=model)
    before = narrows.restore(tmp_path / "x.narrows", model=model)
    change(model.chain_)
    np.testing.assert_array_equal(narrows.restore(tmp_path / "x.narrows", model=model), before)


def test_the_network_of_residuals_is_kept_when_the_codec_is_measured_again(x, tmp_path):
    residual = CausalNetwork(n_hidden=4, n_components=1, reach=1, epochs=1)
    network = Dense(widths=(8,))
    model = Autoencoder(3, network=network, residual=residual, training=Training(epochs=1), random_state=0).fit(x)
    change(model.decoder_)
    assert model.refreeze(x).codec_.causal is not None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_change_of_the_precision_is_a_change_of_the_weights(model, dtype):
    model.chain_.encoder.to(dtype)
    assert model.model_.stale == ("density", "search", "codec")
