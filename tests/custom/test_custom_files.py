"""Models with code of users as files: names instead of code, and nothing that a file names is imported or run."""

import builtins
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from torch import nn

import narrows
from narrows import Autoencoder, Training
from narrows.codec.freezing.decoder import freeze_decoder
from narrows.errors import CodeNotImportedError, InvalidParameterError, ModelFileError, NotFreezableError
from narrows.io.model_file import HEADER, read_model_file
from narrows.model.describe import describe_chain, describe_settings
from narrows.model.file import _digest, describe
from narrows.networks import CustomNetwork
from narrows.networks.images import Reshape
from narrows.networks.layer_sequence import layer_sequence
from narrows.networks.module_trees import describe_module, module_from
from narrows.parts import user_code


def fit(x, **params):
    return Autoencoder(**params, training=Training(epochs=2), random_state=0, artefacts=()).fit(x)


def decoder(n_latent=4):
    return nn.Sequential(nn.Linear(n_latent, 9), nn.ReLU(), nn.Linear(9, 30), nn.Unflatten(1, (6, 5)))


def encoder(n_latent=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(30, n_latent))


def check_saved(model, x, path):
    model.save(path, force=True)
    loaded = narrows.load(path)
    np.testing.assert_array_equal(loaded.transform(x), model.transform(x))
    np.testing.assert_array_equal(loaded.reconstruct(x), model.reconstruct(x))
    assert loaded.score(x) == model.score(x)
    return loaded


def test_registered_functions_are_found_by_their_names(x, mine, tmp_path):
    model = fit(x, n_latent=3, network=mine.halves, likelihood=mine.absolute, penalties=["l1", mine.short])
    loaded = check_saved(model, x, tmp_path / "model")
    assert loaded.network.modules is mine.halves
    np.testing.assert_array_equal(clone(loaded).fit(x).transform(x), model.transform(x))


def test_pairs_of_known_layers_and_registered_classes_are_saved(x, mine, tmp_path):
    normalised = nn.Sequential(nn.Flatten(), nn.Linear(30, 4, bias=False), nn.BatchNorm1d(4), nn.Hardtanh(-2, 2))
    for half in (encoder(), normalised, mine.Shifted(nn.Linear(30, 4), by=1.5), mine.Shifted(encoder(), 0.0)):
        loaded = check_saved(fit(x, network=(half, decoder())), x, tmp_path / "model")
        assert isinstance(loaded.network, CustomNetwork)
        weight = loaded.chain_.decoder.module[0].weight
        assert torch.equal(loaded.network.modules[1][0].weight, weight), "training continues from the trained weights"
        loaded.fit(x)


def test_a_model_is_not_loaded_before_the_module_of_its_user(x, mine, tmp_path, monkeypatch):
    paths = []
    for name, params in {
        "halves": {"network": mine.halves},
        "Shifted": {"network": (mine.Shifted(nn.Linear(30, 4)), decoder())},
        "absolute": {"likelihood": mine.absolute},
        "short": {"penalties": [mine.short]},
    }.items():
        paths.append((name, tmp_path / name))
        fit(x, **params).save(tmp_path / name)
    monkeypatch.setattr(user_code, "_REGISTERED", {})
    for name, path in paths:
        with pytest.raises(CodeNotImportedError, match=rf"{name} cannot be loaded yet\. The model uses '{name}' in the "
                           r"module mine.* Import your module first"):  # fmt: skip
            narrows.load(path)
    assert issubclass(CodeNotImportedError, ModelFileError)


def test_nothing_is_imported_from_a_file(x, mine, tmp_path, monkeypatch):
    fit(x, likelihood=mine.absolute).save(tmp_path / "model")
    (tmp_path / "mine.py").write_text(Path(mine.__file__).read_text())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine")
    monkeypatch.setattr(user_code, "_REGISTERED", {})
    with pytest.raises(CodeNotImportedError):
        narrows.load(tmp_path / "model")
    assert "mine" not in sys.modules
    module = importlib.import_module("mine")
    assert narrows.load(tmp_path / "model").likelihood.function is module.absolute


@pytest.mark.parametrize(
    "name", ["builtins:print", "os:system", "antigravity:fly", "print", "torch.nn:Linear", 3, None]
)
def test_a_forged_file_runs_no_function_that_it_names(x, mine, tmp_path, name, monkeypatch):
    fit(x, network=(encoder(), decoder()), likelihood=mine.absolute).save(tmp_path / "model")
    header, _ = read_model_file(tmp_path / "model")
    tensors = load_file(tmp_path / "model")
    monkeypatch.setattr(builtins, "print", None)
    changes = ({"likelihood": {"axis": "likelihood", "name": "custom", "function": name}},
               {"network": {**header["parts"]["network"], "decoder": {"name": name}}})  # fmt: skip
    for change in changes:
        forged = {**header, "parts": header["parts"] | change}
        forged["sha256"] = _digest(forged, tensors)
        save_file(tensors, tmp_path / "forged", {HEADER: json.dumps(forged)})
        with pytest.raises(ModelFileError):
            narrows.load(tmp_path / "forged")
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "forged",
    [{"name": "Module"}, {"name": "Linear"}, {"name": "Linear", "in_features": "a", "out_features": 1}, [], "Linear",
     {"name": "Linear", "in_features": 3, "out_features": 1, "device": "cpu"},
     {"name": "Linear", "in_features": 3, "out_features": 1, "dtype": "float32"},
     {"name": "Sequential", "layers": 3}, {"name": "Sequential", "layers": [{"name": "init"}]}],
)  # fmt: skip
def test_a_forged_description_of_a_module_is_an_error(forged):
    with pytest.raises((InvalidParameterError, ModelFileError, TypeError, ValueError)):
        module_from(forged)


@pytest.mark.parametrize("place", [{}, {"device": "cpu"}])
def test_a_large_module_in_a_forged_file_takes_no_memory(place, x, tmp_path):
    fit(x, network=(encoder(), decoder())).save(tmp_path / "model")
    header, _ = read_model_file(tmp_path / "model")
    tensors = load_file(tmp_path / "model")
    large = {"name": "Linear", "in_features": 10**7, "out_features": 10**7, **place}
    header["parts"]["network"]["decoder"] = {"name": "Sequential", "layers": [large]}
    header["sha256"] = _digest({key: value for key, value in header.items() if key != "sha256"}, tensors)
    save_file(tensors, tmp_path / "forged", {HEADER: json.dumps(header)})
    with pytest.raises(ModelFileError, match=r"the tensors in the file are not those|must not have device, dtype"):
        narrows.load(tmp_path / "forged")


def test_an_argument_that_is_called_bias_is_saved_as_it_is(x, mine, tmp_path):
    model = fit(x, network=(mine.Biased(nn.Linear(30, 4), bias=0.5), decoder()))
    assert check_saved(model, x, tmp_path / "model").chain_.encoder.module.bias == 0.5


def test_an_extra_state_that_is_a_tensor_is_saved(x, mine, tmp_path):
    model = fit(x, network=(mine.Counting(nn.Linear(30, 4)), decoder()))
    model.save(tmp_path / "model")
    assert narrows.load(tmp_path / "model").chain_.encoder.module.calls == model.chain_.encoder.module.calls > 0


def test_an_extra_state_of_another_kind_is_refused_when_the_network_is_given(x, mine):
    class Named(mine.Counting):
        def get_extra_state(self):
            return {"calls": self.calls}

    message = r"The encoder must have a state of tensors.* Got dict from 'get_extra_state' of Named\. Return a Tensor"
    with pytest.raises(InvalidParameterError, match=message):
        fit(x, network=(nn.Sequential(nn.Flatten(), Named(nn.Linear(30, 4))), decoder()))
    with pytest.raises(InvalidParameterError, match=r"The decoder must have a state of tensors"):
        fit(x, n_latent=4, network=lambda shape, n: (encoder(), nn.Sequential(Named(decoder()))))


@pytest.mark.parametrize("what", ["likelihood", "penalty", "network"])
def test_what_could_not_be_loaded_is_not_saved(x, what, tmp_path):
    params = {
        "likelihood": {"likelihood": lambda x_hat, x: (x_hat - x).square().flatten(1).sum(1)},
        "penalty": {"penalties": [lambda z: z.square().sum(1)]},
        "network": {"network": lambda shape, n_latent: (encoder(n_latent), decoder(n_latent))},
    }
    model = fit(x, **params[what])
    with pytest.raises(InvalidParameterError, match=rf"{what} .* is .*<lambda>, which is not registered, .* decorate "
                       r"it with @narrows\.register"):  # fmt: skip
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_modules_that_could_not_be_built_again_are_not_saved(x, mine, tmp_path):
    class Local(nn.Linear):
        pass

    class Forgetful(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.layer = nn.Linear(30, width)

        def forward(self, x):
            return self.layer(x.flatten(1))

    user_code._REGISTERED[user_code.reference(Forgetful)] = Forgetful
    other = encoder()
    other[1].in_features = 31
    cases = {
        nn.Sequential(nn.Flatten(), Local(30, 4)): "Local, which is not registered",
        nn.Sequential(nn.Flatten(), mine.Unregistered(30, 4)): "mine:Unregistered, which is not registered",
        Forgetful(4): "Forgetful has no attribute for the argument 'width'",
        mine.Shifted(encoder(), torch.ones(())): "argument 'by' of Shifted is tensor",
        nn.Sequential(nn.Flatten(), nn.Linear(30, 4).double().requires_grad_(False)): None,
        other: "Sequential with the same arguments has other layers or weights",
    }
    for half, message in cases.items():
        network = CustomNetwork(modules=(half, decoder()))
        if message is None:
            network.check_savable()
            continue
        with pytest.raises(InvalidParameterError, match=message):
            network.check_savable()
    with pytest.raises(InvalidParameterError, match="encoder of the model contains a module whose class is mine:Unreg"):
        fit(x, network=(nn.Sequential(nn.Flatten(), mine.Unregistered(30, 4)), decoder())).save(tmp_path / "model")


def test_only_what_has_a_name_is_registered():
    def local():
        pass

    for code in (lambda z: z, local, nn.ReLU(), 3):
        with pytest.raises(InvalidParameterError, match="function or a class that is defined at the top level"):
            narrows.register(code)


def test_shared_weights_are_saved(x, mine, tmp_path):
    layer = nn.Linear(30, 30)
    half = nn.Sequential(nn.Flatten(), layer, nn.Tanh(), layer, nn.Linear(30, 4))
    check_saved(fit(x, network=(half, decoder())), x, tmp_path / "model")


def test_models_are_described_by_the_layers_of_their_users(x, mine):
    header = describe(fit(x, network=(encoder(), decoder()), likelihood=mine.absolute).model_)
    chain = dict(describe_chain(header))
    assert chain["encoder"] == "custom: Flatten, Linear"
    assert chain["decoder"] == "custom: Linear, ReLU, Linear, Unflatten"
    assert chain["likelihood"] == "custom (function mine:absolute)"
    assert describe_settings(header)["network__encoder"] == "Flatten, Linear"
    header = describe(fit(x, network=mine.halves).model_)
    assert dict(describe_chain(header))["encoder"] == "custom: mine:halves"


@pytest.mark.slow  # it runs them on the meta device, for which PyTorch imports its compiler
def test_layers_that_find_their_sizes_themselves_are_saved_with_their_function(x, tmp_path, monkeypatch):
    def lazy(shape, n_latent):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(n_latent)), decoder(n_latent)

    monkeypatch.setattr(user_code, "_REGISTERED", {user_code.reference(lazy): lazy})
    check_saved(fit(x, network=lazy, n_latent=3), x, tmp_path / "model")


def test_maps_are_saved(x, tmp_path):
    maps = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2, 1, (1, 2)), nn.Flatten(1, 2))
    to_maps = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv2d(1, 2, 3, 2, 1))
    loaded = check_saved(fit(x, network=(to_maps, maps)), x, tmp_path / "model")
    assert loaded.chain_.bottleneck.z_shape == (2, 3, 3)


# Archives


def codec_of(x, network):
    model = Autoencoder(network=network, training=Training(epochs=2), random_state=0, artefacts="codec").fit(x)
    return model, model.codec_error_


def test_a_decoder_of_known_layers_writes_archives(x, tmp_path):
    block = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    maps = nn.Sequential(block, nn.Dropout(0.3), nn.Conv2d(4, 1, (1, 2)), nn.Flatten(1, 2))
    to_maps = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv2d(1, 2, 3, 2, 1))
    for network in ((encoder(), decoder()), (encoder(), Listed()), (to_maps, maps)):
        model, error = codec_of(x, network)
        assert error is None
        narrows.compress(x, tmp_path / "x.narrows", model=model, force=True)
        assert narrows.restore(tmp_path / "x.narrows", model=model).shape == x.shape
        codes = torch.randn(40, *model.chain_.bottleneck.z_shape, generator=torch.Generator().manual_seed(0))
        frozen = freeze_decoder(model.chain_, codes)
        whole = np.rint(codes.numpy() * 2.0**frozen.input_shift).astype(np.int16)
        restored = frozen.program.run(whole) * 2.0**-frozen.output_shift
        np.testing.assert_allclose(restored.reshape(-1, 6, 5), model.chain_.decode(codes).detach(), atol=1e-3)


class Ours(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = decoder()

    def forward(self, z):
        return self.layers(z)


class Listed(Ours):
    def as_sequence(self):
        return [*self.layers[:3], Reshape((6, 5))]


@pytest.mark.parametrize(
    ("half", "message"),
    [
        (Ours(), "Ours is not a sequence of layers. Build the decoder with torch.nn.Sequential"),
        (nn.Sequential(decoder(), nn.Softmax(2)), "no integer operations for its Softmax"),
    ],
)
def test_other_decoders_say_why_they_write_no_archives(x, tmp_path, half, message):
    model, error = codec_of(x, (encoder(), half))
    assert message in error
    with pytest.raises(NotFreezableError, match=message):
        narrows.compress(x, tmp_path / "x.narrows", model=model)


def test_a_sequence_of_layers_computes_the_module():
    maps = nn.Sequential(nn.ConvTranspose2d(3, 4, 2, 2), nn.BatchNorm2d(4), nn.Identity(), nn.Flatten(),
                         nn.Linear(64, 5), nn.BatchNorm1d(5), nn.Sequential(nn.GELU(), nn.Dropout(0.5)))  # fmt: skip
    z = torch.randn(50, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    maps(z)
    layers = layer_sequence(maps, z[:1])
    assert [type(layer).__name__ for layer in layers] == ["ConvTranspose2d", "Reshape", "Linear", "GELU"]
    torch.testing.assert_close(nn.Sequential(*layers)(z), maps.eval()(z))
    with pytest.raises(NotFreezableError, match="Ours is not a sequence"):
        layer_sequence(Ours(), torch.zeros(1, 4))


def test_descriptions_are_json_and_build_the_same_structure():
    half = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding_mode="reflect", padding=1), nn.Softplus(2), decoder())
    described = describe_module(half)
    assert json.loads(json.dumps(described)) == described
    assert repr(module_from(described)) == repr(half)
