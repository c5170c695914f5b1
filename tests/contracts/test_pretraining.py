"""What holds of pretraining: stages of the one training loop, whose learners share their weights with the chain."""

import numpy as np
import pytest
import torch

from narrows import Autoencoder, Training
from narrows.bottlenecks import Bottleneck, Plain
from narrows.chain import Chain, Parts
from narrows.corruptions import Gaussian, Masking
from narrows.errors import InvalidParameterError
from narrows.likelihoods import Bernoulli, Normal
from narrows.networks import Convolutional, Dense
from narrows.numerics.randomness import generator
from narrows.training import Adam, Callback, Records, train
from narrows.training.pretraining import LayerWise, Pretraining

AXIS = Pretraining
CPU = torch.device("cpu")
X = np.random.default_rng(0).random((60, 3, 4))


def make_chain(likelihood=None, **network):
    usual = {"widths": (9, 7), "activation": "sigmoid", "code_activation": "sigmoid"}
    parts = Parts(
        n_latent=5, network=Dense(**{**usual, **network}), bottleneck=Plain(), likelihood=likelihood or Bernoulli()
    )
    return Chain(parts, (3, 4), np.dtype(np.float64), torch.Generator().manual_seed(0)).double()


def stages_of(chain, part=None):
    return (part or LayerWise()).stages(chain, Records(X, CPU))


def weights_of(chain):
    return {name: weight.detach().numpy().copy() for name, weight in chain.named_parameters()}


def run(part, seed=0):
    chain = make_chain()
    train(stages_of(chain, part), chain, seed=seed)
    return weights_of(chain)


def test_there_is_a_stage_for_each_layer_from_the_input_on(part):
    if len(part.corruptions) not in (0, 1, 3):
        with pytest.raises(InvalidParameterError, match=r"one for each of the 3 layers .* or none. Got 2"):
            stages_of(make_chain(), part)
        return
    if any(one.for_images for one in part.corruptions):
        with pytest.raises(InvalidParameterError, match="cannot be 'shift' for layers after the first"):
            stages_of(make_chain(), part)
        return
    chain = make_chain()
    stages = stages_of(chain, part)
    assert [stage.name for stage in stages] == ["layer 1 of 3", "layer 2 of 3", "layer 3 of 3"]
    for position, stage in enumerate(stages):
        learned = {id(weight) for weight in stage.learner.parameters()}
        named = {name for name, weight in chain.named_parameters() if id(weight) in learned}
        of_this_layer = {f"encoder.layers.{position}", f"decoder.layers.{2 - position}"}
        assert named == {f"{layer}.{kind}" for layer in of_this_layer for kind in ("weight", "bias")}


def test_every_option_changes_the_result(option):
    _, name, variants = option
    usual = run(LayerWise(epochs=3))
    changed = [
        run(variant.set_params(**({} if name == "epochs" else {"epochs": 3})))
        for variant in variants
        if len(variant.corruptions) != 2 and not any(one.for_images for one in variant.corruptions)
    ]
    assert all(any(not np.array_equal(one[key], usual[key]) for key in usual) for one in changed)


def test_the_same_seed_gives_the_same_weights_and_layers_have_noise_of_their_own():
    first, again, other = run(LayerWise(epochs=1)), run(LayerWise(epochs=1)), run(LayerWise(epochs=1), seed=1)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)
    stages = stages_of(make_chain())
    drawn = [torch.rand(3, generator=generator(0, one.noise, *one.index, 0)).tolist() for one in stages]
    assert len({tuple(numbers) for numbers in drawn}) == 3


@pytest.mark.parametrize("tied", [False, True])
def test_a_layer_costs_what_numpy_says(tied):
    """Cross-entropy against sigmoids all the way down; the layers before are applied to the clean records."""
    chain = make_chain(tied=tied)
    with torch.no_grad():
        for weight in chain.parameters():
            weight.uniform_(-1, 1, generator=torch.Generator().manual_seed(weight.numel()))
    y = X.reshape(60, -1)
    for position, stage in enumerate(stages_of(chain)):
        layer = chain.encoder.layers[position]
        w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        if tied:
            back, c = w.T, chain.decoder.biases[2 - position].detach().numpy()
        else:
            mirrored = chain.decoder.layers[2 - position]
            back, c = mirrored.weight.detach().numpy(), mirrored.bias.detach().numpy()
        z = sigmoid(y @ w.T + b)
        y_hat = sigmoid(z @ back.T + c)
        cost = -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat)).sum(axis=1)
        np.testing.assert_allclose(stage.learner.loss(torch.from_numpy(X)).total.detach(), cost, rtol=1e-9)
        y = z


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def test_units_that_are_no_sigmoids_are_restored_by_squared_error():
    chain = make_chain(Normal(scale=2.0), activation="tanh", code_activation="identity")
    first, second, third = stages_of(chain)
    weights = [layer.weight.detach().numpy() for layer in chain.encoder.layers]
    back = [layer.weight.detach().numpy() for layer in chain.decoder.layers][::-1]
    x = X.reshape(60, -1)
    y = np.tanh(x @ weights[0].T)
    z = np.tanh(y @ weights[1].T)
    squared = np.square(x - y @ back[0].T).sum(axis=1)
    costs = [
        squared / 8 + 12 * np.log(2 * np.sqrt(2 * np.pi)),  # the chain's own likelihood
        np.square(y - np.tanh(z @ back[1].T)).sum(axis=1) + 9 * np.log(np.sqrt(np.pi)),
        np.square(z - np.tanh(z @ weights[2].T @ back[2].T)).sum(axis=1) + 7 * np.log(np.sqrt(np.pi)),
    ]
    for stage, cost in zip((first, second, third), costs, strict=True):
        np.testing.assert_allclose(stage.learner.loss(torch.from_numpy(X)).total.detach(), cost, rtol=1e-9)


def test_each_layer_has_a_corruption_of_its_own():
    def costs(*corruptions):
        stages = stages_of(make_chain(), LayerWise(corruptions=corruptions))
        return [
            stage.learner.loss(torch.from_numpy(X), torch.Generator().manual_seed(0)).total.sum().item()
            for stage in stages
        ]

    none, one = costs(), costs(Masking(level=0.5))
    mixed = costs(Masking(level=0.0), Masking(level=0.5), Gaussian(scale=0.0))
    assert all(a != b for a, b in zip(none, one, strict=True))
    assert [a == b for a, b in zip(none, mixed, strict=True)] == [True, False, True]


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Convolutional(), "a network of mirrored dense layers. Got network='convolutional'. Set network='dense'"),
        (Dense(widths=(9, 7), decoder_widths=(9,)), "Got the encoder 9-7 and the decoder 9"),
    ],
)
def test_networks_without_mirrored_layers_are_refused(network, said):
    with pytest.raises(InvalidParameterError) as caught:
        Autoencoder(2, network=network, pretraining="layer-wise").fit(X)
    assert said in str(caught.value)


@pytest.mark.parametrize("bottleneck", Bottleneck.registry)
def test_bottlenecks_that_the_encoder_does_not_deliver_the_code_of_are_refused(bottleneck):
    settings = {"network": Dense(widths=(6,)), "training": Training(epochs=1), "pretraining": LayerWise(epochs=1)}
    model = Autoencoder(4, bottleneck=bottleneck, **settings)
    module = Bottleneck.registry[bottleneck]().build((4,))
    if module.h_shape == module.z_shape:
        assert len(model.fit(X).pretraining_history_) == 2
        return
    with pytest.raises(InvalidParameterError, match=f"outputs the code itself.* Got bottleneck='{bottleneck}'"):
        model.fit(X)


def test_the_first_layer_sees_what_is_drawn_under_dynamic_binarisation():
    chain = make_chain(Bernoulli(dynamic=True))
    first = stages_of(chain, LayerWise(corruptions=()))[0].learner
    costs = [first.loss(torch.from_numpy(X), torch.Generator().manual_seed(seed)).total.sum().item() for seed in (0, 1)]
    assert costs[0] != costs[1]


# In an autoencoder


class Told(Callback):
    def __init__(self):
        self.said = []

    def stage(self, name):
        self.said.append(name)

    def start(self, n_epochs, n_records, epochs_done):
        self.said.append((n_epochs, n_records))


def stacked(**params):
    network = Dense(widths=(32,), activation="sigmoid", code_activation="sigmoid", tied=True)
    usual = {
        "pretraining": LayerWise(epochs=10, optimiser=Adam(learning_rate=0.01), corruptions="masking"),
        "training": Training(epochs=1, optimiser=Adam(learning_rate=1e-6)),
    }
    return Autoencoder(
        8, network=network, likelihood="bernoulli", preprocessing="unit-scale", random_state=0, **{**usual, **params}
    )


def test_the_layers_stand_unrolled_in_the_chain(digits):
    """After pretraining alone (the whole is hardly trained) records are restored far better than before."""
    train_on, test = (images[:300] for images in digits)
    told = Told()
    model = stacked().fit(train_on, callback=told)
    assert told.said == ["layer 1 of 2", (10, 300), "layer 2 of 2", (10, 300), "all layers", (1, 300)]
    untrained = stacked(pretraining=None).fit(train_on)

    def error(fitted):
        return np.square(fitted.reconstruct(test) / 255 - test / 255).sum(axis=(1, 2)).mean()

    assert error(model) < 0.6 * error(untrained)
    assert [row["stage"] for row in model.pretraining_history_] == ["layer 1 of 2"] * 10 + ["layer 2 of 2"] * 10
    assert untrained.pretraining_history_ == []
    assert len(model.history_) == 1


def test_it_survives_the_file(digits, tmp_path):
    import narrows

    model = stacked().fit(digits[0][:100])
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    assert again.pretraining_history_ == model.pretraining_history_
    assert repr(again) == repr(model)
