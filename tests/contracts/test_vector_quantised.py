"""The vector-quantised bottleneck: codewords, gradients and running means against NumPy, and what archives keep."""

import math
import os
import signal

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, Training
from narrows.archive import verify
from narrows.bottlenecks import VectorQuantised
from narrows.codec import FrozenCodec
from narrows.errors import InvalidParameterError, TrainingDivergedError
from narrows.model.inference import encode_continuous
from narrows.networks import Dense, Strided
from narrows.training import Adam, Callback

pytestmark = pytest.mark.usefixtures("code_by_default")

SHAPES = {(6,): (2, 3), (8, 3, 5): (8, 15), (8, 3, 2): (4, 12)}  # dim, and how many vectors a record has


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(shape, **settings):
    settings = {"n_codes": 7, "dim": SHAPES[shape][0], **settings}
    return VectorQuantised(**settings).build(shape).double()


def some_h(shape, n=10, seed=1):
    return torch.randn(n, *shape, generator=generator(seed), dtype=torch.float64)


def vectors_of(h, dim):
    """Return the vectors of codes in NumPy, one record's after the other's, group by group and place by place."""
    h = h.detach().numpy()
    if h.ndim == 2:
        return h.reshape(-1, dim)
    n, channels, height, width = h.shape
    vectors = [
        h[record, first : first + dim, row, column]
        for record in range(n)
        for first in range(0, channels, dim)
        for row in range(height)
        for column in range(width)
    ]
    return np.array(vectors)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_codes_are_the_nearest_codewords_and_symbols_their_numbers(shape):
    bottleneck, h = build(shape), some_h(shape)
    code, (dim, n_vectors) = bottleneck(h), SHAPES[shape]
    codebook, vectors = bottleneck.codebook.numpy(), vectors_of(h, dim)
    nearest = np.square(vectors[:, None] - codebook).sum(-1).argmin(1)
    assert len(np.unique(nearest)) > 3
    np.testing.assert_array_equal(code.symbols.numpy().ravel(), nearest)
    np.testing.assert_array_equal(vectors_of(code.z, dim), codebook[nearest])
    assert code.symbols.shape == (10, *bottleneck.symbols_shape)
    assert bottleneck.n_symbols == n_vectors == math.prod(bottleneck.symbols_shape)
    assert torch.equal(bottleneck.symbols_to_z(code.symbols), code.z)
    assert torch.equal(bottleneck.continuous_code(h), code.symbols.double())
    distances = np.square(h.numpy() - code.z.detach().numpy()).reshape(10, -1).sum(1)
    np.testing.assert_allclose(code.cost, 0.25 * distances, rtol=1e-12)


def test_the_indices_of_a_map_are_a_map():
    assert build((8, 3, 5)).symbols_shape == (3, 5)
    assert build((8, 3, 2)).symbols_shape == (2, 3, 2)
    assert build((6,)).symbols_shape == (3,)
    assert VectorQuantised().build((12, 3, 5)).codebook.shape == (512, 12)
    assert [VectorQuantised().build((n,)).codebook.shape[1] for n in (1, 5, 6, 32)] == [1, 1, 3, 4]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_symbol_comes_back_from_its_code(shape):
    bottleneck = build(shape)
    symbols = torch.randint(7, (50, *bottleneck.symbols_shape), generator=generator())
    assert torch.equal(bottleneck(bottleneck.symbols_to_z(symbols)).symbols, symbols)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_gradient_goes_straight_through_and_the_cost_pulls_towards_the_codeword(shape):
    bottleneck, h = build(shape, commitment=0.5), some_h(shape).requires_grad_()
    weights = some_h(shape, seed=5)
    (bottleneck(h, generator()).z * weights).sum().backward()
    assert torch.equal(h.grad, weights)
    h.grad = None
    code = bottleneck.eval()(h)
    code.cost.sum().backward()
    torch.testing.assert_close(h.grad, 2 * 0.5 * (h - code.z).detach())
    assert list(bottleneck.parameters()) == []


def test_codewords_are_running_means_of_the_vectors_that_chose_them():
    bottleneck = build((6,), decay=0.9, revival=0)
    bottleneck(some_h((6,), 40), generator())
    codebook, usage, sums = (getattr(bottleneck, name).numpy().copy() for name in ("codebook", "usage", "sums"))
    for step in range(5):
        h = some_h((6,), 40, seed=step)
        vectors = vectors_of(h, 2)
        nearest = np.square(vectors[:, None] - codebook).sum(-1).argmin(1)
        bottleneck(h, generator())
        for k in range(7):
            usage[k] = 0.9 * usage[k] + 0.1 * (nearest == k).sum()
            sums[k] = 0.9 * sums[k] + 0.1 * vectors[nearest == k].sum(0)
        codebook = sums / usage[:, None]
        np.testing.assert_allclose(bottleneck.codebook, codebook, rtol=1e-10)
        np.testing.assert_allclose(bottleneck.usage, usage, rtol=1e-10)


def test_it_starts_at_vectors_of_the_first_batch_far_from_each_other():
    centres = 10 * some_h((1,), 7, seed=3).repeat(1, 2)
    h = (centres[torch.arange(700) % 7] + 0.01 * some_h((2,), 700)).reshape(700, 2)
    bottleneck = VectorQuantised(n_codes=7, dim=2).build((2,)).double()
    bottleneck(h, generator())
    nearest = (bottleneck.codebook[:, None] - centres).square().sum(-1).argmin(1)
    assert sorted(nearest.tolist()) == list(range(7)), "one codeword for each cluster"
    few = VectorQuantised(n_codes=50, dim=2).build((2,)).double()
    few(torch.ones(3, 2).double(), generator())  # fewer vectors than codewords, and all the same
    assert bool((few.codebook == 1).all())


def test_a_large_codebook_starts_in_no_more_rounds_than_1024_codewords_take(monkeypatch):
    drawn_from = []

    def drawing(weights, n_drawn, *, generator, draw=torch.multinomial):
        drawn_from.append(len(weights))
        return draw(weights, n_drawn, generator=generator)

    monkeypatch.setattr(torch, "multinomial", drawing)
    vectors = some_h((2,), 1200)
    bottleneck = VectorQuantised(n_codes=1200, dim=2, decay=0, revival=0).build((2,)).double()
    bottleneck(vectors, generator())
    assert 1000 < len(drawn_from) <= 1024
    assert max(drawn_from) <= 1200, "no vector is drawn from twice"
    assert torch.equal(bottleneck.codebook.unique(dim=0), vectors.unique(dim=0)), "enough of them, so each is one"
    few = VectorQuantised(n_codes=3000, dim=2, decay=0, revival=0).build((2,)).double()
    few(vectors, generator())
    assert torch.equal(few.codebook.unique(dim=0), vectors.unique(dim=0))


@pytest.mark.parametrize("size", [1e17, 1e18, 1e19, 1e30])
def test_it_starts_at_vectors_of_any_size(size):
    vectors = (size * some_h((8,), 500)).float()
    bottleneck = VectorQuantised(n_codes=64, dim=8, decay=0, revival=0).build((8,))
    bottleneck._start(vectors, generator())
    assert bool((bottleneck.codebook[:, None] == vectors).all(-1).any(1).all())
    assert len(bottleneck.codebook.unique(dim=0)) > 32


def test_training_on_extreme_values_diverges_by_name(rng):
    x = (1e19 * rng.normal(size=(200, 8))).astype(np.float32)
    settings = {"network": Dense(widths=(8,)), "bottleneck": VectorQuantised(n_codes=64), "preprocessing": ()}
    with pytest.raises(TrainingDivergedError):
        Autoencoder(4, training=Training(epochs=1), random_state=0, **settings).fit(x)


def test_a_dead_codeword_is_replaced_by_a_vector_of_the_batch():
    h = some_h((6,), 40)
    for revival in (0.0, 0.5):
        bottleneck = build((6,), revival=revival, decay=0.5)
        bottleneck(h, generator())
        bottleneck.codebook[3] = 1e3  # nobody's nearest
        bottleneck.sums[3] = 1e3 * bottleneck.usage[3]
        for _ in range(10):
            bottleneck(h, generator(2))
        is_of_batch = bool((bottleneck.codebook[3] - h.reshape(-1, 2)).abs().sum(1).min() < 2)
        assert is_of_batch == (revival > 0)
        assert bool(bottleneck.codebook.isfinite().all())


def test_an_unused_codeword_stays_where_it_is_for_ever():
    bottleneck = build((6,), revival=0, decay=0.1).float()
    bottleneck(some_h((6,)).float(), generator())
    bottleneck.codebook[3] = torch.tensor([50.0, 60.0])
    bottleneck.sums[3] = bottleneck.codebook[3] * bottleneck.usage[3]
    for _ in range(100):
        bottleneck(some_h((6,)).float(), generator())
    torch.testing.assert_close(bottleneck.codebook[3], torch.tensor([50.0, 60.0]))


def test_only_steps_of_training_change_the_codebook():
    bottleneck, h = build((6,)), some_h((6,))
    before = {name: tensor.clone() for name, tensor in bottleneck.state_dict().items()}
    bottleneck(h)
    with torch.no_grad():
        bottleneck(h, generator())
    bottleneck.eval()(h, generator())
    assert all(torch.equal(tensor, before[name]) for name, tensor in bottleneck.state_dict().items())
    bottleneck.train()(h, generator())
    assert not torch.equal(bottleneck.codebook, before["codebook"])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30, -1e30])
def test_codes_that_cannot_be_get_indices_that_can(bad):
    bottleneck = build((6,)).eval().float()
    symbols = bottleneck(torch.tensor([[bad, 0.0, 0.0, bad, bad, bad]])).symbols
    assert bool(((symbols >= 0) & (symbols < 7)).all())


@pytest.mark.parametrize(
    ("settings", "shape", "said"),
    [
        ({"dim": 4}, (6,), "The 'dim' of VectorQuantised must divide 6, the numbers in the code. Got 4."),
        ({"dim": 3}, (4, 3, 3), "The 'dim' of VectorQuantised must divide 4, the channels of the code. Got 3."),
    ],
)
def test_a_codeword_must_divide_the_code(settings, shape, said):
    with pytest.raises(InvalidParameterError, match=said):
        VectorQuantised(**settings).build(shape)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_codes": 1}, "whole number ≥ 2 and ≤ 32768"),
        ({"n_codes": 32769}, "whole number ≥ 2 and ≤ 32768"),
        ({"decay": 1.0}, "≥ 0 and < 1"),
        ({"revival": -0.1}, "≥ 0"),
        ({"commitment": -1}, "≥ 0"),
    ],
)
def test_settings_that_are_none(settings, said):
    with pytest.raises(InvalidParameterError, match=said):
        VectorQuantised(**settings)


# In models

DENSE = Dense(widths=(32,), activation="silu", output_activation="sigmoid", start_at_mean=True)
STRIDED = Strided(channels=(8,), depth=0, code_channels=6, output_activation="sigmoid", start_at_mean=True)
MODELS = {
    "dense": {"n_latent": 12, "network": DENSE, "bottleneck": VectorQuantised(n_codes=16, dim=3)},
    "map": {"network": STRIDED, "bottleneck": VectorQuantised(n_codes=16)},
    "groups": {"network": STRIDED, "bottleneck": VectorQuantised(n_codes=16, dim=2)},
}
N_SYMBOLS = {"dense": 4, "map": 16, "groups": 48}


def unfitted(name, **settings):
    training = Training(epochs=6, batch_size=64, optimiser=Adam(learning_rate=5e-3))
    return Autoencoder(preprocessing="unit-scale", random_state=0, **{"training": training, **MODELS[name], **settings})


@pytest.fixture(scope="module", params=MODELS)
def fitted(request, digits):
    return request.param, unfitted(request.param).fit(digits[0][:700])


@pytest.fixture(scope="module")
def unstopped(digits):
    return unfitted("map").fit(digits[0][:700])


@pytest.mark.parametrize("stop_after", [1, 60])
def test_a_run_that_was_stopped_ends_in_the_same_bits(digits, tmp_path, monkeypatch, stop_after, unstopped):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)

    class Stop(Callback):
        n_steps = 0

        def step(self, epoch, records_done, loss):
            self.n_steps += 1
            if self.n_steps == stop_after:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        unfitted("map").fit(digits[0][:700], callback=Stop(), checkpoint=tmp_path / "c")
    again = unfitted("map").fit(digits[0][:700], checkpoint=tmp_path / "c", resume=True)
    for name, tensor in unstopped.chain_.state_dict().items():
        assert torch.equal(again.chain_.state_dict()[name], tensor), name
    assert again.codec_.digest == unstopped.codec_.digest


def test_archives_keep_the_indices_and_restore_what_the_model_does(fitted, digits, tmp_path):
    name, model = fitted
    codec = model.codec_
    assert len(codec.qualities) == 1
    assert codec.n_symbols == N_SYMBOLS[name] == model.chain_.bottleneck.n_symbols
    symbols = model.quantise(digits[1])
    assert symbols.shape == (360, N_SYMBOLS[name])
    np.testing.assert_array_equal(symbols, encode_continuous(model.chain_, digits[1]))
    assert 0 <= symbols.min() <= symbols.max() < 16
    narrows.compress(digits[1], tmp_path / "a.narrows", model=model)
    restored = narrows.restore(tmp_path / "a.narrows", model=model)
    by_model = model.reconstruct(digits[1])
    assert np.abs(restored.astype(int) - by_model).max() <= 1
    assert (restored == by_model).mean() > 0.9
    assert verify(tmp_path / "a.narrows", model=model).is_intact


def test_restoring_does_not_depend_on_batches_or_on_what_carries_the_numbers(fitted, digits):
    _, model = fitted
    codec, symbols = model.codec_, model.quantise(digits[1][:60])
    expected = codec.decode(symbols, 0, backend="int64")
    for backend in ("float64", "int64", "torch"):
        for size in (1, 7, 60):
            parts = [codec.decode(symbols[at : at + size], 0, backend=backend) for at in range(0, 60, size)]
            np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_symbols_that_are_no_indices_are_the_nearest_that_are(fitted):
    _, model = fitted
    codec = model.codec_
    for wild, end in ((-1, 0), (-32767, 0), (16, 15), (32767, 15)):
        symbols = np.full((1, codec.n_symbols), wild, np.int32)
        np.testing.assert_array_equal(codec.decode(symbols, 0), codec.decode(np.full_like(symbols, end), 0))
        coded = codec.qualities[0].entropy.encode(symbols)
        np.testing.assert_array_equal(codec.qualities[0].entropy.decode(coded, 1), symbols)


def test_they_survive_the_file(fitted, digits, tmp_path):
    _, model = fitted
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    np.testing.assert_array_equal(again.transform(digits[1]), model.transform(digits[1]))
    np.testing.assert_array_equal(again.reconstruct(digits[1]), model.reconstruct(digits[1]))
    assert again.codec_.digest == model.codec_.digest == FrozenCodec.from_bytes(model.codec_.blob).digest


def test_archives_with_a_bound_and_with_their_model(fitted, digits, tmp_path):
    _, model = fitted
    narrows.compress(digits[1], tmp_path / "lossless", model=model, max_error=0, embed_model=True)
    np.testing.assert_array_equal(narrows.restore(tmp_path / "lossless"), digits[1])


def test_how_much_of_the_codebook_is_used(fitted, digits):
    _, model = fitted
    measured = narrows.evaluate(model, digits[1])
    shares = np.bincount(model.quantise(digits[1]).ravel(), minlength=16) / (360 * model.codec_.n_symbols)
    used = shares[shares > 0]
    assert measured["codewords_in_use"] == len(used)
    assert measured["codebook_perplexity"] == pytest.approx(np.prod(used**-used))
    assert 4 < measured["codebook_perplexity"] <= 16
    assert model.pca_.components.shape[0] == min(model.codec_.n_symbols, 64)
    assert "codebook_perplexity" not in narrows.evaluate(
        unfitted("dense", bottleneck="plain").fit(digits[0][:100]), digits[1]
    )


def test_float64_records_have_codes_of_their_own(digits):
    x = digits[0][:400] / 255
    model = unfitted("dense", likelihood="normal").fit(x)
    codes = model.transform(x)
    assert codes.dtype == np.float64
    np.testing.assert_array_equal(model.transform(x[:1]), codes[:1])
