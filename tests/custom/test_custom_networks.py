"""Networks of users: plain pairs of modules, and functions that build them."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.bottlenecks import Bottleneck
from narrows.errors import InvalidParameterError, UnknownNameError
from narrows.networks import CustomNetwork
from narrows.training import Callback


def pair(n_h=4, n_latent=4):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(30, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, n_h))
    return encoder, nn.Sequential(nn.Linear(n_latent, 9), nn.Dropout(0.3), nn.Linear(9, 30), nn.Unflatten(1, (6, 5)))


def make(network, n_latent=None, **params):
    training = params.pop("training", Training(epochs=2, batch_size=20))
    return Autoencoder(n_latent, **{"random_state": 0, **params}, network=network, training=training)


def weights(model):
    return torch.cat([weight.detach().flatten() for weight in model.chain_.parameters()])


@pytest.fixture(autouse=True)
def _chain_only(chain_only):
    pass


def test_the_latent_dimension_is_that_of_the_encoder(x):
    assert make(pair(7, 7)).fit(x).transform(x).shape == (60, 7)
    assert make(pair(8, 4), bottleneck="gaussian").fit(x).n_latent_ == 4


@pytest.mark.parametrize("bottleneck", ["plain", "gaussian", "rounded", "vector-quantised"])
def test_codes_may_be_maps(x, bottleneck):
    n = 2 * Bottleneck.registry[bottleneck].h_per_z
    encoder = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv2d(1, n, 3, 2, 1))
    decoder = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2, 1, (1, 2)), nn.Flatten(1, 2))
    model = make((encoder, decoder), bottleneck=bottleneck).fit(x)
    assert model.chain_.bottleneck.z_shape == (2, 3, 3)
    assert model.reconstruct(x).shape == x.shape


@pytest.mark.parametrize("name", Bottleneck.registry)
def test_a_bottleneck_says_how_many_outputs_of_the_encoder_it_needs(name):
    part = Bottleneck.registry[name]()
    assert part.build((8, 2, 2)).h_shape == (8 * part.h_per_z, 2, 2)


def test_training_changes_copies_and_starts_from_the_weights_given(x):
    network = pair()
    before = copy.deepcopy(network)
    first, again = make(network).fit(x), make(network, training=Training(epochs=1, batch_size=20)).fit(x)
    for half, its in zip(network, before, strict=True):
        for name, tensor in half.state_dict().items():
            assert torch.equal(tensor, its.state_dict()[name])
    assert not torch.equal(weights(first), weights(again))
    network[0].requires_grad_(False)
    frozen = make(network).fit(x)
    assert torch.equal(frozen.chain_.encoder.module[1].weight, network[0][1].weight)
    assert not torch.equal(frozen.chain_.decoder.module[0].weight, network[1][0].weight)


def test_the_same_random_state_gives_the_same_model_whatever_pytorchs_generator(x, mine):
    for network in (pair(), mine.halves, lambda shape, n_latent: pair(n_latent, n_latent)):
        model = make(network, 4)
        torch.manual_seed(1)
        first = weights(model.fit(x))
        state = torch.get_rng_state()
        torch.manual_seed(2)
        assert torch.equal(weights(clone(model).fit(x)), first)
        torch.manual_seed(1)
        model.fit(x)
        assert torch.equal(torch.get_rng_state(), state), "nobody's generator is used"
        assert not torch.equal(weights(clone(model).set_params(random_state=1).fit(x)), first)


def test_weights_may_be_drawn_by_the_random_state(x):
    def start(network, **params):
        training = Training(epochs=1, optimiser="sgd").set_params(optimiser__learning_rate=1e-12)
        return make(network, **params, training=training).fit(x).chain_.encoder.module[1].weight.detach()

    one, other = pair(), pair()
    assert not torch.allclose(start(one), start(other))
    one, other = (CustomNetwork(modules=modules, weights="drawn") for modules in (one, other))
    torch.testing.assert_close(start(one), start(other))
    assert not torch.allclose(start(one), start(one, random_state=1))
    model = make(pair()).set_params(network__weights="drawn")
    assert model.network.weights == "drawn"

    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(30))

    modules = (nn.Sequential(Scale(), nn.Flatten()), nn.Identity())
    with pytest.raises(InvalidParameterError, match="weights of Scale cannot be drawn, since it has no method"):
        start(CustomNetwork(modules=modules, weights="drawn"))


def test_a_function_gets_shape_and_latent_dimension(x):
    got = []

    def network(shape, n_latent):
        got.append((shape, n_latent))
        return pair(n_latent, n_latent)

    make(network, 3).fit(x)
    assert set(got) == {((6, 5), 3)}
    assert make(network).fit(x).n_latent_ == 7, "a quarter of the values, as for other networks"


def test_modules_may_share_weights(x, tmp_path):
    class Transposed(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, z):
            return (z @ self.layer.weight).unflatten(1, (6, 5))

    def network(shape, n_latent):
        layer = nn.Linear(30, n_latent, bias=False)
        return nn.Sequential(nn.Flatten(), layer), Transposed(layer)

    for given in (network, CustomNetwork(modules=network((6, 5), 4))):
        model = make(given, 4).fit(x, checkpoint=tmp_path / "run", resume=True)
        assert model.chain_.encoder.module[1].weight is model.chain_.decoder.module.layer.weight
        (tmp_path / "run").unlink()


def test_an_interrupted_run_is_resumed_to_the_bit(x, tmp_path, mine):
    whole = make(mine.halves, 4, penalties=mine.short).fit(x)

    class Stop(Callback):
        def epoch(self, epoch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(mine.halves, 4, penalties=mine.short).fit(x, checkpoint=tmp_path / "run", callback=Stop())
    resumed = make(mine.halves, 4, penalties=mine.short).fit(x, checkpoint=tmp_path / "run", resume=True)
    assert torch.equal(weights(resumed), weights(whole))


def test_other_estimators_take_them(x, mine):
    search = GridSearchCV(make(mine.halves), {"n_latent": [2, 3], "likelihood": ["normal", mine.absolute]}, cv=2)
    assert search.fit(x).best_estimator_.n_latent_ in {2, 3}
    y = np.arange(60) % 2
    classifier = AutoencoderClassifier(make(pair()), training=Training(epochs=1), random_state=0)
    assert classifier.fit(x, y).predict(x).shape == (60,)
    wide = make(pair(), training=Training(epochs=1, precision="float64")).fit(x)
    assert wide.chain_.dtype == torch.float64


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_latent": 5}, r"encoder must map two preprocessed records to the bottleneck's input, a Tensor of shape "
                          r"\(2, 5\)\. Got \(2, 4\)\. Change its last layer, or n_latent"),
        ({"bottleneck": "gaussian", "n_latent": 4}, r"of shape \(2, 8\)\. Got \(2, 4\)"),
        ({"network": pair(5), "bottleneck": "gaussian"}, "'gaussian' needs 2 outputs of the encoder for each number"),
        ({"network": (pair()[0], nn.Linear(4, 30))}, r"decoder must map two codes to the likelihood's parameters, a "
                                                     r"Tensor of shape \(2, 6, 5\)\. Got \(2, 30\)\. Append "
                                                     r"torch\.nn\.Unflatten\(1, \(6, 5\)\)"),
        ({"network": pair(3)}, r"decoder could not be run on two codes, .* shape \(2, 3\)\. RuntimeError: mat1"),
        ({"network": pair()[::-1]}, r"encoder could not be run on two preprocessed records, a Tensor of shape "
                                    r"\(2, 6, 5\)"),
        ({"network": (nn.Flatten(0), nn.Identity())}, r"to a Tensor of shape \(2, n_latent\)\. Got \(60,\)"),
        ({"network": (nn.GRU(5, 4), nn.Identity())}, "encoder must return a Tensor. Got tuple"),
        ({"network": pair()[0]}, r"must be a pair \(encoder, decoder\) of torch\.nn\.Module, or a function"),
        ({"network": (pair()[0], len)}, r"must be a pair \(encoder, decoder\)"),
        ({"network": lambda shape, n_latent: 3}, "must return a pair"),
        ({"network": 3}, r"or a pair \(encoder, decoder\) of torch\.nn\.Module, or a function that returns one"),
        ({"network": CustomNetwork}, "The network must be a network"),
        ({"network__linear_path": True}, "'linear_path' of CustomNetwork must be False"),
        ({"conditional": True}, "cannot be conditional"),
        ({"pretraining": "layer-wise"}, "Layer-wise pretraining needs a network of mirrored dense layers"),
    ],
)  # fmt: skip
def test_modules_that_do_not_fit_are_refused_before_training(x, params, message):
    with pytest.raises(InvalidParameterError, match=message):
        make(params.pop("network", pair())).set_params(**params).fit(x, np.arange(60) % 2)


def test_maps_need_a_latent_dimension_that_fits(x):
    encoder = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv2d(1, 2, 3, 2, 1))
    with pytest.raises(InvalidParameterError, match=r"maps of 3×3 places, so 'n_latent' must be a multiple of 9"):
        make((encoder, nn.Flatten()), 10).fit(x)


def test_the_part_of_users_has_no_name(x):
    with pytest.raises(UnknownNameError, match="Unknown network: 'custom'"):
        make("custom").fit(x)


def test_an_encoder_without_weights_is_trained_with_its_decoder(x):
    network = (nn.Flatten(), nn.Sequential(nn.Linear(30, 30), nn.Unflatten(1, (6, 5))))
    model = make(network).fit(x)
    assert model.transform(x).shape == (60, 30)
    assert model.history_[-1]["loss"] < model.history_[0]["loss"]


@pytest.mark.parametrize("network", [(nn.Identity(), nn.Identity()), (nn.Linear(5, 2), nn.Linear(2, 5))])
def test_modules_without_weights_to_train_are_refused(network):
    for weight in (*network[0].parameters(), *network[1].parameters()):
        weight.requires_grad_(False)
    x = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(InvalidParameterError, match="The model has no weights that training could change"):
        make(network, likelihood="normal").fit(x)
    assert make(network).fit(x).reconstruct(x).shape == (60, 5), "the likelihood has a scale to learn"
