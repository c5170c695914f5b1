"""A summary lists every layer with the shape of its output, and every number of the model once."""

import json

import numpy as np
import pytest
from torch import nn

from narrows import Autoencoder, Training
from narrows.networks import Convolutional, Dense, Strided

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8), np.uint8)
MODELS = {
    "dense": {"network": Dense(widths=(5,)), "n_latent": 3},
    "tied": {"network": Dense(widths=(5,), tied=True), "n_latent": 3},
    "linear path": {"network": Dense(widths=(5,), linear_path=True), "n_latent": 3, "likelihood": "normal"},
    "switches": {"network": Convolutional(channels=(2,), unpooling="switches"), "n_latent": 3},
    "map": {"network": Strided(channels=(2,), code_channels=2), "bottleneck": "rounded"},
    "codebook": {"network": Dense(widths=()), "n_latent": 4, "bottleneck": "vector-quantised"},
    "missing values": {"network": Dense(widths=()), "n_latent": 3, "fill_value": 7},
}


def trained(y=None, **params):
    return Autoencoder(**params, training=Training(epochs=1), artefacts=(), random_state=0).fit(IMAGES, y)


@pytest.mark.parametrize("name", MODELS)
def test_every_number_of_the_model_counts_once(name):
    model = trained(**MODELS[name])
    summary, chain = model.summary(), model.chain_
    assert sum(layer.n_parameters for layer in summary.layers) == summary.n_parameters
    assert summary.n_parameters == sum(tensor.numel() for tensor in chain.state_dict().values())
    assert summary.n_trainable == sum(weight.numel() for weight in chain.parameters())
    assert summary.layers[0].shape == summary.layers[-1].shape == (8, 8)
    bottleneck = next(layer for layer in summary.layers if layer.name == "bottleneck")
    assert bottleneck.shape == chain.bottleneck.z_shape


def test_layers_have_the_shapes_of_their_outputs():
    summary = trained(**MODELS["dense"]).summary()
    shapes = {layer.name: layer.shape for layer in summary.layers}
    assert (shapes["encoder.layers.0"], shapes["encoder.layers.1"]) == ((5,), (3,))
    assert (shapes["decoder.layers.0"], shapes["decoder.layers.1"]) == ((5,), (64,))
    counts = {layer.name: layer.n_parameters for layer in summary.layers}
    assert counts["encoder.layers.0"] == 64 * 5 + 5


def test_as_text_it_is_a_table_with_totals():
    summary = trained(**MODELS["dense"]).summary()
    assert repr(summary) == str(summary)
    first, *_ = str(summary).splitlines()
    assert first.split() == ["layer", "(type)", "output", "shape", "parameters"]
    assert "encoder.layers.0 (Linear)" in str(summary)
    assert f"trainable: {summary.n_trainable:,}" in str(summary)
    assert json.loads(json.dumps(summary.to_json()))["parameters"] == summary.n_parameters


def test_labels_of_conditional_models_are_inputs():
    model = trained(np.arange(24) % 3, **MODELS["dense"], conditional=True)
    assert model.summary().layers[2].n_parameters == (64 + 3) * 5 + 5


def test_the_model_is_not_changed():
    model = trained(**MODELS["codebook"])
    before = model.transform(IMAGES)
    model.summary()
    np.testing.assert_array_equal(model.transform(IMAGES), before)
    assert not any(module._forward_hooks for module in model.chain_.modules())


def test_recurrent_layers_are_listed_with_the_shape_of_their_output():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.code = nn.LSTM(1, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            outputs, _ = self.recurrent(x.unsqueeze(-1))
            return self.code(outputs[:, -1])

    model = Autoencoder(2, network=(Last(), nn.Linear(2, 8)), training=Training(epochs=1), artefacts=()).fit(
        np.random.default_rng(0).normal(size=(20, 8))
    )
    (layer,) = (one for one in model.summary().layers if one.kind == "LSTM")
    assert layer.shape == (8, 4)
    assert layer.n_parameters == sum(weight.numel() for weight in nn.LSTM(1, 4).parameters())
