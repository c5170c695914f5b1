"""Decoders with several outputs for each value, or a number of outputs of its own for each column, are frozen."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import narrows
from narrows import Autoencoder, Training
from narrows.bottlenecks import Plain
from narrows.chain import Chain, Parts
from narrows.codec.freezing.calibration import freeze
from narrows.codec.freezing.decoder import freeze_decoder
from narrows.codec.freezing.pruning import pruned
from narrows.errors import DataError, InvalidParameterError, NotFreezableError
from narrows.likelihoods import Categorical, Likelihood, LikelihoodModule, Logistic, PointEstimate
from narrows.networks import Convolutional, Dense, Strided
from narrows.networks.branches import Branches
from narrows.networks.images import FromChannelsFirst, Reshape
from narrows.preprocessing import UnitScale
from narrows.records import ImageLayout
from narrows.training import Adam

QUICK = Training(epochs=3, batch_size=32)
NETWORKS = [
    Dense(widths=(16,)),
    Dense(widths=(16,), tied=False, start_at_mean=True),
    Convolutional(channels=(6,), start_at_mean=True),
    Convolutional(channels=(6,), resampling="stride", code_channels=3),
    Strided(channels=(6,), depth=1, start_at_mean=True),
]


class Columns(Likelihood):
    """Two numbers with a mean and a scale each, then a category of four: 2 · 2 + 4 outputs."""

    def build(self, shape):
        return ColumnsModule()


class ColumnsModule(LikelihoodModule):
    def out_shape(self, shape):
        return (8,)

    def point_estimate(self, shape):
        return PointEstimate(positions=np.array([0, 2, 4, 5, 6, 7]), lengths=np.array([1, 1, 4], np.int32))

    def log_prob(self, parameters, x):
        away = (x[:, :2] - parameters[:, [0, 2]]) * (-parameters[:, [1, 3]]).exp()
        scores = parameters[:, 4:].log_softmax(-1)
        nats = scores.gather(1, (3 * x[:, 2:]).round().long())[:, 0]  # unit-scaled codes 0 … 3
        return nats - (away.square() / 2 + parameters[:, [1, 3]]).sum(1) - math.log(2 * math.pi)

    def mean(self, parameters):
        return torch.cat([parameters[:, [0, 2]], parameters[:, 4:].argmax(1, keepdim=True) / 3], 1)

    def coordinates(self, parameters):
        return torch.cat([parameters[:, [0, 2]], parameters[:, 4:].softmax(-1)], 1)

    def parameters_of(self, mean):
        raise NotImplementedError

    def sample(self, parameters, generator):
        raise NotImplementedError


def table(n=100):
    rng = np.random.default_rng(0)
    group = rng.integers(0, 4, n)
    numbers = group[:, None] * [1.0, -2.0] + rng.normal(size=(n, 2)) * 0.1
    return np.column_stack([numbers, group])


def chain_for(likelihood, network, shape, dtype=np.uint8, n_latent=5):
    generator = torch.Generator().manual_seed(1)
    if getattr(network, "code_channels", None) is not None:
        n_latent = None
    chain = Chain(Parts(n_latent, network, Plain(), likelihood, (UnitScale(),)), shape, np.dtype(dtype), generator)
    records = torch.randint(0, 5, (80, *shape), generator=generator).to(torch.uint8)
    chain.fit_preprocessing(lambda size: iter([records]))
    with torch.no_grad():
        for weights in chain.decoder.parameters():
            weights.add_(torch.randn(weights.shape, generator=generator), alpha=0.1)
        return chain, chain.encode(chain.prepare(records)).z


def run(frozen, codes):
    z = np.clip(np.rint(np.ldexp(codes.numpy().astype(float), frozen.input_shift)), -32768, 32767)
    return frozen.program.run(z.astype(np.int16)).astype(float)


@pytest.mark.parametrize("shape", [(8, 8), (8, 6, 3), (3, 8, 8), (12,)], ids=str)
@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_scales_are_pruned_from_the_last_layer_and_locations_remain(network, shape):
    if len(shape) == 1 and not isinstance(network, Dense):
        return
    chain, codes = chain_for(Logistic(), network, shape)
    frozen = freeze_decoder(chain, codes)
    assert math.prod(frozen.program.out_shape) == math.prod(shape)
    assert not frozen.categories.any()
    with torch.no_grad():
        wanted = chain.likelihood.mean(chain.decode(codes)).flatten(1).numpy()
    found = np.ldexp(run(frozen, codes).reshape(wanted.shape), -frozen.output_shift)
    np.testing.assert_allclose(found, wanted, atol=2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("shape", [(8, 8), (8, 6, 3), (3, 8, 8), (12,)], ids=str)
@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_categories_are_those_of_the_largest_scores(network, shape):
    if len(shape) == 1 and not isinstance(network, Dense):
        return
    chain, codes = chain_for(Categorical(n_categories=5), network, shape)
    frozen = freeze_decoder(chain, codes)
    assert frozen.program.operations[-1].name == "argmax"
    assert frozen.categories.all()
    with torch.no_grad():
        scores = chain.decode(codes)
    wanted = scores.argmax(-1).flatten(1).numpy()
    first, second = scores.topk(2).values.unbind(-1)
    is_clear = (first - second > 2e-3 * scores.abs().max()).flatten(1).numpy()
    assert is_clear.mean() > 0.9
    np.testing.assert_array_equal(run(frozen, codes).reshape(wanted.shape)[is_clear], wanted[is_clear])


def test_a_record_may_have_numbers_beside_categories():
    """The outputs of a column are its own: two numbers with a scale each, and four scores."""
    x = table()
    network = Dense(widths=(16,), activation="silu")
    parts = Parts(2, network, Plain(), Columns(), (UnitScale(per_value=True),))
    chain = Chain(parts, (3,), x.dtype, torch.Generator().manual_seed(0))
    chain.fit_preprocessing(lambda size: iter([torch.from_numpy(x)]))
    optimiser = Adam(learning_rate=0.02).build(chain.parameters())
    for _ in range(150):
        optimiser.zero_grad()
        chain.loss(torch.from_numpy(x)).total.mean().backward()
        optimiser.step()
    codec = freeze(chain, x, peak=3.0)
    assert [operation.name for operation in codec.program.operations][-2:] == ["dense", "argmax"]
    assert len(codec.program.operations[-2].weights) == 6, "the scales are dropped"
    restored = codec.decode(symbols(chain, codec, x), len(codec.qualities) - 1)
    assert (restored[:, 2] == x[:, 2]).mean() > 0.95
    assert np.abs(restored[:, :2] - x[:, :2]).mean() < 0.2


def symbols(chain, codec, x):
    with torch.no_grad():
        h = chain.bottleneck.continuous_code(chain.encoder(chain.prepare(torch.from_numpy(x))))
    return np.rint(h.double().numpy() / codec.qualities[-1].steps).astype(np.int32)


# Through an archive


def codes(n=240):
    rng = np.random.default_rng(0)
    return (rng.integers(0, 3, (n, 1)) + np.array([0, 1, 2, 0, 1, 2, 2, 2])) % 3


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("likelihood", ["categorical", "logistic"])
def test_a_model_of_whole_numbers_is_saved_and_archives_restore_what_it_reconstructs(likelihood, dtype, tmp_path):
    x = codes().astype(dtype)
    model = Autoencoder(2, likelihood=likelihood, training=QUICK, artefacts="codec", random_state=0).fit(x)
    model.save(tmp_path / "m.safetensors")
    model = narrows.load(tmp_path / "m.safetensors")
    assert model.codec_error_ is None
    narrows.compress(x, tmp_path / "a.narrows", model=model)
    restored = narrows.restore(tmp_path / "a.narrows", model=model)
    assert restored.dtype == x.dtype
    if likelihood == "categorical":
        assert set(np.unique(restored)) <= {0, 1, 2}
        assert (restored == model.reconstruct(x)).mean() > 0.9
    narrows.compress(x, tmp_path / "e.narrows", model=model, max_error=0)
    np.testing.assert_array_equal(narrows.restore(tmp_path / "e.narrows", model=model), x)
    narrows.compress(x, tmp_path / "b.narrows", model=model, max_error=1)
    found = narrows.restore(tmp_path / "b.narrows", model=model)
    assert np.abs(found.astype(float) - x).max() <= 1


def test_other_values_than_codes_are_refused_with_the_first_of_them():
    x = codes().astype(np.float64)
    model = Autoencoder(2, likelihood="categorical", training=QUICK, random_state=0).fit(x)
    assert model.chain_.likelihood.n_parameters == 3
    for wrong in (0.5, 3.0, -1.0):
        x[7, 3] = wrong
        with pytest.raises(DataError, match=rf"needs whole numbers from 0 to 2\. Got {wrong:g}"):
            model.score(x)
    with pytest.raises(InvalidParameterError, match="needs whole numbers"):
        Autoencoder(2, likelihood="logistic", training=QUICK).fit(x + 0.25)
    with pytest.raises(InvalidParameterError, match="needs affine preprocessing"):
        Autoencoder(2, likelihood="categorical", preprocessing="binarise").fit(codes())


def test_training_makes_whole_numbers_more_probable():
    x = codes().astype(np.uint8)
    for likelihood in ("categorical", "logistic"):
        training = Training(epochs=15, batch_size=32, optimiser=Adam(learning_rate=0.01))
        history = Autoencoder(2, likelihood=likelihood, training=training, artefacts=(), random_state=0).fit(x).history_
        assert history[-1]["loss"] < 0.5 * history[0]["loss"]


# Pruning


def test_outputs_of_branches_are_pruned_in_each_of_them():
    layout = ImageLayout.of((4, 5))
    torch.manual_seed(0)
    maps = nn.Sequential(Reshape((1, 4, 5)), nn.Conv2d(1, 2, 3, padding=1), FromChannelsFirst(layout, 2))
    stages = [Branches(nn.Sequential(nn.Linear(20, 40), Reshape((4, 5, 2))), maps), nn.Sigmoid()]
    x, wanted = torch.randn(3, 20), np.arange(20) * 2 + 1
    few = nn.Sequential(*pruned(stages, wanted))
    torch.testing.assert_close(few(x), nn.Sequential(*stages)(x).flatten(1)[:, wanted])


def test_a_decoder_whose_outputs_cannot_be_pruned_is_refused():
    with pytest.raises(NotFreezableError, match=r"only be removed from a dense layer.* Got Linear, Softmax"):
        pruned([nn.Linear(3, 4), nn.Softmax(1)], np.array([0, 2]))
    layout = ImageLayout.of((4, 5))
    with pytest.raises(NotFreezableError, match="not whole channels of its maps"):
        pruned([nn.Conv2d(1, 2, 1), FromChannelsFirst(layout, 2)], np.array([0, 2, 5]))
