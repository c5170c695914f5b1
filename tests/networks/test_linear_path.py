"""A linear path beside a network: it starts at the principal components, and freezes."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from narrows import Autoencoder, Training
from narrows.bottlenecks import Plain
from narrows.chain import Chain, Parts
from narrows.errors import DataError, InvalidParameterError
from narrows.likelihoods import Laplace, Normal
from narrows.networks import Convolutional, Dense, Strided
from narrows.networks.components import components_of, sampled
from narrows.training import Records

CPU = torch.device("cpu")
NETWORKS = [
    Dense(widths=(12,), activation="silu", linear_path=True),
    Dense(widths=(), linear_path=True),
    Dense(widths=(12,), activation="tanh", tied=True, linear_path=True),
    Convolutional(channels=(4,), linear_path=True),
    Strided(channels=(4, 4), linear_path=True),
]


def untrained(network, x, n_latent=3, likelihood=Normal(scale="learned")):  # noqa: B008
    """Return a chain on records x that has not been trained."""
    parts = Parts(n_latent, network, Plain(), likelihood)
    chain = Chain(parts, x.shape[1:], x.dtype, torch.Generator().manual_seed(0))
    chain.fit_preprocessing(Records(x, CPU).batches)
    return chain


def restored(chain, x):
    with torch.no_grad():
        return chain.restore(chain.encode(chain.prepare(torch.from_numpy(x))).z).numpy()


@pytest.fixture
def images(rng):
    values = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 48)) + 0.3 * rng.normal(size=(80, 48)) + 5
    return values.reshape(80, 8, 6).astype(np.float32)


@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_before_training_it_is_pca(network, images):
    chain, flat = untrained(network, images), images.reshape(80, 48)
    pca = PCA(3).fit(flat)
    expected = pca.inverse_transform(pca.transform(flat))
    np.testing.assert_allclose(restored(chain, images).reshape(80, 48), expected, atol=2e-4)
    with torch.no_grad():
        codes = chain.encode(torch.from_numpy(images)).z.numpy()
    np.testing.assert_allclose(codes.std(axis=0), 1, rtol=1e-3)


@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_its_learned_scale_starts_at_the_error_of_pca(network, images):
    chain = untrained(network, images)
    error = np.sqrt(np.square(restored(chain, images) - images).mean())
    assert chain.likelihood.log_scale.exp().item() == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize(
    "change",
    [lambda x: x[:2], lambda x: x[:1], lambda x: np.full_like(x, 3.25), lambda x: x * 0 + x[0]],
    ids=["two records", "one record", "one value", "equal records"],
)
def test_records_with_fewer_components_than_the_code_has_numbers(images, change):
    x = change(images)
    chain = untrained(NETWORKS[0], x)
    np.testing.assert_allclose(restored(chain, x), x, atol=1e-3)


def test_what_lies_far_out_follows_the_linear_path_alone(images):
    """Beyond five deviations the network sees no difference, so what it adds to the linear path is constant."""
    chain = untrained(NETWORKS[0], images)
    for layer in (chain.encoder.network.layers[-1], chain.decoder.network.layers[-1]):
        torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
    direction = np.sign(np.random.default_rng(2).normal(size=(1, 8, 6))).astype(np.float32)
    far = [
        torch.from_numpy((images.mean(0) + times * direction * images.std()).astype(np.float32))
        for times in (50, 100, 150)
    ]
    with torch.no_grad():
        codes = [chain.encoder(one) for one in far]
    torch.testing.assert_close(codes[2] - codes[1], codes[1] - codes[0], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("network", [NETWORKS[0], NETWORKS[1], NETWORKS[3]], ids=repr)
def test_it_freezes_to_whole_numbers(network, images, tmp_path):
    import narrows

    training = Training(epochs=3, validation=0)
    model = Autoencoder(3, network=network, training=training, random_state=0).fit(images)
    assert model.codec_error_ is None
    path = tmp_path / "images.narrows"
    narrows.compress(images, path, model=model)
    back = narrows.restore(path, model=model)
    apart = np.square(back - model.reconstruct(images)).mean()
    assert apart < 0.3 * np.square(model.reconstruct(images) - images).mean()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Dense(code_activation="tanh", linear_path=True),
            "must be 'identity' with linear_path=True, which outputs the code itself. Got 'tanh'",
        ),
        (lambda: Dense(start_at_mean=True, linear_path=True), "always starts at the mean of the data"),
        (
            lambda: Dense(tied=True, activation="sigmoid", linear_path=True),
            "must be 0 at 0 with linear_path=True and tied=True, as 'relu' and 'tanh' are. Got 'sigmoid'",
        ),
        (
            lambda: Dense(output_activation="sigmoid", linear_path=True),
            "one of identity, soft-clip with linear_path=True. Got 'sigmoid'",
        ),
        (
            lambda: Dense(widths=(), tied=True, linear_path=True),
            "a linear path has a matrix for each direction. Set tied=False",
        ),
        (
            lambda: Dense(code_bias=5.0, linear_path=True),
            "must be 0 with linear_path=True: untrained, the network outputs zeros. Got 5. Set code_bias=0",
        ),
    ],
)
def test_settings_that_do_not_go_with_it(make, said):
    with pytest.raises(InvalidParameterError, match=said):
        make()


def test_likelihoods_whose_mean_is_not_the_output_are_refused(images):
    model = Autoencoder(3, network=NETWORKS[0], likelihood="bernoulli", preprocessing="unit-scale")
    with pytest.raises(InvalidParameterError, match="Got 'bernoulli': set likelihood='normal', or linear_path=False"):
        model.fit(images)


@pytest.mark.parametrize("likelihood", [Normal(scale="learned"), Laplace(scale="learned")], ids=repr)
def test_its_learned_scale_is_that_of_all_records_in_any_order(likelihood, rng, monkeypatch):
    monkeypatch.setattr("narrows.chain._FIT_BATCH", 100)
    x = rng.normal(size=(400, 8)).astype(np.float32)
    x[:100] *= 0.01
    chains = [untrained(NETWORKS[0], some, likelihood=likelihood) for some in (x, x[::-1])]
    scales = [chain.likelihood.scale.value.item() for chain in chains]
    assert scales[0] == pytest.approx(scales[1], rel=1e-3)
    assert scales[0] > 0.3


def test_of_large_data_some_records_are_drawn(rng, monkeypatch):
    monkeypatch.setattr("narrows.networks.components._MOST_VALUES", 500)
    batches = [torch.arange(5.0 * start, 5.0 * start + 50).reshape(10, 5) for start in range(0, 1000, 10)]
    drawn = torch.cat(list(sampled(lambda: batches)))
    assert drawn.shape == (100, 5)
    rows = drawn[:, 0] / 5
    assert torch.equal(rows, rows.unique())
    assert 400 < rows.mean() < 600
    assert len(list(sampled(lambda: batches[:10]))) == 10


@pytest.mark.parametrize("scale", [1e-30, 1e25, 1e100])
def test_components_do_not_depend_on_the_unit(scale, rng):
    x = torch.from_numpy(rng.normal(size=(30, 4)) * [1, 2, 3, 4])
    here, there = components_of(x, 2), components_of(x * scale, 2)
    torch.testing.assert_close(there.directions, here.directions, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(there.deviations / scale, here.deviations, rtol=1e-5, atol=0)
    assert there.deviation / scale == pytest.approx(here.deviation)


@pytest.mark.filterwarnings("error")
def test_values_that_are_too_large_are_an_error_that_says_so(rng):
    x = rng.normal(size=(30, 4)) * 1e100  # beyond single precision
    with pytest.raises(
        DataError, match=r"too large to train on.*, in row 0, column 0.*divide the values by a constant"
    ):
        Autoencoder(2, preprocessing=(), training=Training(epochs=1)).fit(x)


def test_a_decoder_without_a_last_bias_says_so(images):
    decoder = untrained(NETWORKS[0], images).decoder
    with pytest.raises(InvalidParameterError, match=r"LinearPathDecoder has no output bias.*Set start_at_mean=False"):
        decoder.init_output_bias(torch.zeros(8, 6))


def test_layers_are_not_pretrained_beside_it(images):
    with pytest.raises(InvalidParameterError, match="Layer-wise pretraining does not support a linear path"):
        Autoencoder(3, network=NETWORKS[0], pretraining="layer-wise").fit(images)
