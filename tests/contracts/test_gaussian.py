"""The Gaussian bottleneck: its divergence against sampling and SciPy, its gradients, and what its options do."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from narrows import Autoencoder, Training
from narrows.bottlenecks import DiagonalNormal, Gaussian
from narrows.training import Adam


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def some_h(n=4, shape=(6,), scale=1.0):
    return scale * torch.randn(n, *shape, generator=generator(1), dtype=torch.float64)


def test_the_densities_are_those_of_scipy():
    mean, log_variance, z = (some_h(scale=s) for s in (1.0, 0.7, 2.0))
    ours = DiagonalNormal(mean, log_variance).log_prob(z)
    theirs = stats.norm(mean.numpy(), np.exp(0.5 * log_variance.numpy())).logpdf(z.numpy()).sum(axis=1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(
        DiagonalNormal.standard(z).log_prob(z), stats.norm.logpdf(z.numpy()).sum(axis=1), rtol=1e-12
    )


def test_the_divergence_is_what_sampling_says():
    """KL = E[log q(z) − log p(z)], to within five standard errors of 200,000 draws."""
    posterior = DiagonalNormal(some_h(1).expand(200_000, 6), some_h(1, scale=0.8).expand(200_000, 6))
    z = posterior.sample(generator())
    differences = posterior.log_prob(z) - DiagonalNormal.standard(z).log_prob(z)
    error = float(differences.std()) / math.sqrt(len(z))
    assert abs(float(differences.mean()) - float(posterior.kl()[0].sum())) < 5 * error
    assert error < 0.02


def test_draws_have_the_mean_and_the_spread_they_are_said_to_have():
    h = torch.tensor([[1.5, -2.0, math.log(4.0), math.log(0.25)]]).double().expand(100_000, 4)
    z = Gaussian().build((2,))(h, generator()).z
    torch.testing.assert_close(z.mean(0), torch.tensor([1.5, -2.0]).double(), atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0), torch.tensor([2.0, 0.5]).double(), atol=0.03, rtol=0)


@pytest.mark.parametrize("z_shape", [(3,), (2, 4, 3)], ids=str)
def test_without_a_generator_the_code_is_the_mean(z_shape):
    bottleneck = Gaussian().build(z_shape)
    assert bottleneck.h_shape == (2 * z_shape[0], *z_shape[1:])
    h = some_h(shape=bottleneck.h_shape)
    assert torch.equal(bottleneck(h).z, h[:, : z_shape[0]])
    assert not torch.equal(bottleneck(h, generator()).z, bottleneck(h).z)
    assert torch.equal(bottleneck(h, generator(3)).z, bottleneck(h, generator(3)).z)


def test_gradients_are_those_of_finite_differences():
    bottleneck = Gaussian(beta=1.7, free_bits=0.1).build((3,))
    h = some_h(2).requires_grad_()

    def loss(h):
        code = bottleneck(h, generator(5))
        return (code.z.pow(3).sum(1) + code.cost).sum()

    assert torch.autograd.gradcheck(loss, (h,), eps=1e-6, atol=1e-6)


def test_the_cost_is_the_divergence_times_beta():
    h = some_h()
    kl = Gaussian().build((3,)).posterior(h).kl().sum(1)
    torch.testing.assert_close(Gaussian().build((3,))(h).cost, kl)
    torch.testing.assert_close(Gaussian(beta=4).build((3,))(h).cost, 4 * kl)
    assert Gaussian(beta=0).build((3,))(h).cost.tolist() == [0] * 4


def test_codes_are_drawn_towards_the_prior_only_where_the_divergence_is_charged_for():
    assert Gaussian(beta=0.1).build((3,)).normal_prior
    assert not Gaussian(beta=0).build((3,)).normal_prior


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_a_model_has_a_prior_to_draw_from_only_where_the_divergence_is_charged_for(beta, digits, chain_only):
    model = Autoencoder(3, bottleneck=Gaussian(beta=beta), training=Training(epochs=1), random_state=0)
    assert model.fit(digits[0][:100]).has_prior_ == (beta > 0)


def test_what_is_said_in_free_bits_costs_the_same_for_all():
    h = some_h()
    each = Gaussian().build((3,)).posterior(h).kl()
    free = 0.8 * math.log(2)
    assert bool((each < free).any())
    assert bool((each > free).any())
    torch.testing.assert_close(Gaussian(free_bits=0.8).build((3,))(h).cost, each.clamp_min(free).sum(1))


def test_beta_rises_in_a_line_and_only_steps_of_training_count():
    bottleneck = Gaussian(beta=2, warmup=4).build((3,))
    h = some_h()
    full = Gaussian(beta=2).build((3,))(h).cost
    shares = [(bottleneck(h, generator()).cost / full).mean().item() for _ in range(6)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    again = Gaussian(beta=2, warmup=4).build((3,))
    torch.testing.assert_close(again(h).cost, full)  # validation
    with torch.no_grad():
        torch.testing.assert_close(again(h, generator()).cost, full)
    torch.testing.assert_close(again.eval()(h, generator()).cost, full)
    assert (again.train()(h, generator()).cost / full).mean().item() == pytest.approx(0.25)


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_extreme_activations_stay_finite(size):
    bottleneck = Gaussian().build((2,))
    h = torch.tensor([[0.0, 1.0, size, -size]], requires_grad=True)
    code = bottleneck(h, generator())
    (code.z.sum() + code.cost.sum()).backward()
    assert bool(code.z.isfinite().all())
    assert bool(code.cost.isfinite().all())
    assert bool(h.grad.isfinite().all())
    sigma = (0.5 * bottleneck.posterior(h.detach()).log_variance).exp()[0]
    assert math.exp(-6) * 0.99 < float(sigma.min()) < float(sigma.max()) < math.exp(6) * 1.01


@pytest.mark.parametrize("likelihood", ["bernoulli", "normal", "laplace"])
def test_at_ten_times_the_learning_rate_nothing_stops_being_finite(likelihood, digits, chain_only):
    """Two hundred steps."""
    usual = Training().optimiser.learning_rate
    training = Training(epochs=20, batch_size=40, optimiser=Adam(learning_rate=10 * usual))
    model = Autoencoder(
        4, bottleneck="gaussian", likelihood=likelihood, preprocessing="unit-scale", training=training, random_state=0
    )
    model.fit(digits[0][:400])
    assert all(math.isfinite(row["loss"]) for row in model.history_)
    assert bool(np.isfinite(model.transform(digits[1])).all())


def test_codes_are_the_same_each_time_and_survive_the_file(digits, tmp_path, chain_only):
    import narrows

    model = Autoencoder(3, bottleneck=Gaussian(warmup=10), training=Training(epochs=2), random_state=0).fit(digits[0])
    codes = model.transform(digits[1])
    np.testing.assert_array_equal(codes, model.transform(digits[1]))
    assert codes.shape == (360, 3)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(narrows.load(tmp_path / "model").transform(digits[1]), codes)
    assert int(narrows.load(tmp_path / "model").chain_.bottleneck.n_steps) == 24


def test_a_map_of_codes_works_too(digits, chain_only):
    from narrows.networks import Convolutional

    network = Convolutional(channels=(8,), code_channels=2, resampling="stride")
    model = Autoencoder(network=network, bottleneck="gaussian", training=Training(epochs=1), random_state=0)
    assert model.fit(digits[0][:200]).transform(digits[1]).shape == (360, 2 * 2 * 2)
    assert model.reconstruct(digits[1]).shape == digits[1].shape


def test_it_compresses_and_restores_by_its_mean(digits, tmp_path):
    import narrows

    model = Autoencoder(4, bottleneck="gaussian", training=Training(epochs=20), random_state=0).fit(digits[0][:700])
    narrows.compress(digits[1], tmp_path / "a.narrows", model=model)
    restored = narrows.restore(tmp_path / "a.narrows", model=model)
    by_model = model.reconstruct(digits[1])
    assert np.square(restored / 255 - by_model / 255).mean() < 0.1 * np.square(digits[1] / 255 - by_model / 255).mean()
