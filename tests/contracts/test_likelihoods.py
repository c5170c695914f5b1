"""What holds of every likelihood, and log-probabilities written a second way."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import special, stats

from narrows.errors import InvalidParameterError
from narrows.likelihoods import Bernoulli, Categorical, Columns, Laplace, Likelihood, Logistic, Normal
from narrows.likelihoods.whole_numbers import WholeNumbersModule
from narrows.networks.activations import activation
from narrows.training import Adam

AXIS = Likelihood
SHAPE = (4, 3)


def noise(seed):
    return torch.Generator().manual_seed(seed)


def uniform(*shape, seed=0, low=0.0, high=1.0):
    return torch.rand(*shape, generator=noise(seed), dtype=torch.float64) * (high - low) + low


def parameters_of(likelihood, n, seed=0):
    """Return parameters for n records: moderate numbers, one or several for each value."""
    return uniform(n, *likelihood.out_shape(SHAPE), seed=seed, low=-2, high=2)


CODES = np.arange(5).repeat(12).reshape(5, *SHAPE)


def built(part):
    """Return the likelihood of a part, for values that are codes 0 … 4 if it needs to know."""
    return part.for_values(CODES).build(SHAPE)


def observations(likelihood, n, seed, low=-3, high=3):
    """Return records that the likelihood supports."""
    x = uniform(n, *SHAPE, seed=seed, low=max(low, likelihood.support[0]), high=min(high, likelihood.support[1]))
    if isinstance(likelihood, WholeNumbersModule):
        x = likelihood.preprocessed((3 * x).round().clamp(max(likelihood.lowest, -9), min(likelihood.highest, 9)))
    return with_categories(likelihood, x, seed)


def with_categories(likelihood, x, seed):
    """Return records whose columns of categories have some."""
    if likelihood.columns is None:
        return x
    categories = torch.tensor(likelihood.columns).reshape(SHAPE).clamp_max(2)  # 0 or 1, whatever they are
    drawn = (uniform(*x.shape, seed=seed) * categories).floor()
    return torch.where(categories > 0, drawn, x)


def estimated(likelihood, parameters):
    """Return the point estimate as archives compute it, in the shape of records."""
    estimate = likelihood.point_estimate(SHAPE)
    y = parameters.flatten(1)
    assert estimate.n_values(likelihood.out_shape(SHAPE)) == math.prod(SHAPE)
    y = activation(estimate.activation)(y if estimate.positions is None else y[:, torch.from_numpy(estimate.positions)])
    if estimate.lengths is not None:
        assert isinstance(likelihood, WholeNumbersModule)
        segments = y.split(estimate.lengths.tolist() * (y.shape[1] // int(estimate.lengths.sum())), dim=1)
        y = torch.stack([one[:, 0] if one.shape[1] == 1 else one.argmax(1) for one in segments], 1)
        y = likelihood.preprocessed(y.reshape(-1, *SHAPE))
    return y.reshape(-1, *SHAPE)


def check_likelihood(part):
    likelihood = built(part).double()
    low, high = likelihood.support
    assert low < high
    parameters = parameters_of(likelihood, 6).requires_grad_()
    x = observations(likelihood, 6, seed=1)
    assert bool(likelihood.is_supported(x).all())
    nats = likelihood.log_prob(parameters, x)
    assert (nats.shape, nats.dtype) == ((6,), torch.float64)
    assert bool(nats.isfinite().all())
    torch.testing.assert_close(likelihood.log_prob(parameters[2:3], x[2:3]), nats[2:3])
    nats.sum().backward()
    assert bool(parameters.grad.isfinite().all())
    assert bool(parameters.grad.any())

    mean = likelihood.mean(parameters)
    mean = mean.detach()
    assert mean.shape == x.shape
    if likelihood.columns is None:  # of tables there are no archives by a network
        torch.testing.assert_close(estimated(likelihood, parameters).detach(), mean)
    likelihood.coordinates(parameters).sum().backward()
    if likelihood.n_parameters == 1 and likelihood.columns is None:
        torch.testing.assert_close(activation(likelihood.mean_activation)(parameters).detach(), mean)
    assert low <= float(mean.min())
    assert float(mean.max()) <= high

    global_state = torch.get_rng_state()
    parameters = parameters.detach()
    sample = likelihood.sample(parameters, noise(3)).detach()
    assert sample.shape == x.shape
    assert torch.equal(sample, likelihood.sample(parameters, noise(3)).detach())
    assert not torch.equal(sample, likelihood.sample(parameters, noise(4)))
    assert torch.equal(torch.get_rng_state(), global_state)
    assert low <= float(sample.min())
    assert float(sample.max()) <= high
    assert bool(likelihood.log_prob(parameters, sample).isfinite().all()), "what is drawn is possible"

    single = built(part)
    torch.testing.assert_close(
        single.log_prob(parameters.float(), x.float()).double(), nats.detach(), rtol=1e-5, atol=1e-4
    )


def test_likelihood(part):
    check_likelihood(part)


def test_the_mean_is_that_of_the_samples(part):
    likelihood = built(part).double()
    if isinstance(likelihood, WholeNumbersModule) or likelihood.columns is not None:
        return  # see below; the reconstruction of a column is a median or a mode
    parameters = parameters_of(likelihood, 1)
    n = 40_000
    samples = likelihood.sample(parameters.expand(n, *parameters.shape[1:]), noise(0))
    samples = samples.detach()
    error = (samples.mean(dim=0) - likelihood.mean(parameters)[0]).abs()
    assert bool((error <= 5 * samples.std(dim=0) / math.sqrt(n)).all())


def test_the_parameters_that_fit_best_have_the_data_as_their_mean(part):
    """Gradient ascent on log p finds the mean that the record asks for."""
    likelihood = built(part).double()
    x = uniform(1, *SHAPE, seed=2, low=0.2, high=0.8)
    if isinstance(likelihood, WholeNumbersModule):
        x = observations(likelihood, 1, seed=2, low=-1, high=1)
    x = with_categories(likelihood, x, seed=2)

    def estimate(parameters):
        mean = likelihood.mean(parameters).detach()
        if isinstance(likelihood, WholeNumbersModule):  # all locations within half of one make it certain
            mean = likelihood.preprocessed(likelihood.whole(mean))
        return mean

    parameters = torch.zeros(parameters_of(likelihood, 1).shape, dtype=torch.float64, requires_grad=True)
    optimiser = Adam(learning_rate=0.1).build([parameters])
    for step in range(200):
        if step % 20 == 10 and torch.allclose(estimate(parameters), x, atol=1e-3, rtol=0):
            break
        optimiser.learning_rate = 0.1 * (1 - step / 200)
        optimiser.zero_grad()
        (-likelihood.log_prob(parameters, x).sum()).backward()
        optimiser.step()
    torch.testing.assert_close(estimate(parameters), x, atol=2e-3, rtol=0)


def test_parameters_can_be_found_for_a_mean(part):
    likelihood = built(part).double()
    wanted = uniform(3, *SHAPE, low=0.01, high=0.99)
    if isinstance(likelihood, WholeNumbersModule):
        wanted = observations(likelihood, 3, seed=0)
    wanted = with_categories(likelihood, wanted, seed=0)
    torch.testing.assert_close(likelihood.mean(likelihood.parameters_of(wanted)), wanted)
    for end in likelihood.support:
        if math.isfinite(end):
            parameters = likelihood.parameters_of(torch.full((1, *SHAPE), end, dtype=torch.float64))
            assert bool(parameters.isfinite().all())
            assert float((likelihood.mean(parameters) - end).abs().max()) < 0.01


def test_every_option_changes_something(option):
    kind, name, variants = option
    if kind is Categorical and name == "substitution":
        x = torch.full((2, *SHAPE), 2.0)
        for variant in variants:
            likelihood = replace(variant, n_categories=4).build(SHAPE)
            assert not torch.equal(likelihood.sample_input(x, torch.Generator().manual_seed(0)), x)
        return
    if kind is Categorical:
        assert {variant.build(SHAPE).out_shape(SHAPE) for variant in variants} == {(*SHAPE, k) for k in (2, 3, 6)}
        return
    if kind is Columns:
        assert {variant.build(SHAPE).out_shape(SHAPE) for variant in variants} != {(180,)} or name == "steps"
        return
    x, a = uniform(2, *SHAPE, seed=1), uniform(2, *SHAPE, seed=2)
    usual = kind().build(SHAPE).log_prob(a, x)
    for variant in variants:
        likelihood = variant.build(SHAPE)
        seen = likelihood.sample_input(x, torch.Generator().manual_seed(0))
        changed = not torch.equal(likelihood.log_prob(a, x), usual) or not torch.equal(seen, x)
        assert changed or any(weight.requires_grad for weight in likelihood.parameters()), variant


def test_dynamic_binarisation_draws_anew_with_the_values_as_probabilities():
    likelihood, noise = Bernoulli(dynamic=True).build(SHAPE), torch.Generator().manual_seed(0)
    x = uniform(20_000, *SHAPE, seed=1)[:1].expand(20_000, *SHAPE)
    seen, again = likelihood.sample_input(x, noise), likelihood.sample_input(x, noise)
    assert set(seen.unique().tolist()) == {0, 1}
    assert not torch.equal(seen, again)
    torch.testing.assert_close(seen.mean(0), x[0], atol=0.02, rtol=0)
    assert torch.equal(Bernoulli().build(SHAPE).sample_input(x, noise), x)


# Against SciPy


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0, "learned", "mean"])
def test_normal_and_laplace_agree_with_scipy(scale):
    x, mu = uniform(5, *SHAPE, seed=1, low=-3, high=3), uniform(5, *SHAPE, seed=2, low=-3, high=3)
    d = math.prod(SHAPE)
    sigma = math.sqrt(d / 2) if scale == "mean" else 1.0 if scale == "learned" else scale
    precision = 1e-6 if scale == "learned" else 1e-12  # a weight is kept in single precision
    ours = Normal(scale=scale).build(SHAPE).double().log_prob(mu, x).detach()
    theirs = stats.norm(mu.numpy(), sigma).logpdf(x.numpy()).sum(axis=(1, 2))
    np.testing.assert_allclose(ours, theirs, rtol=precision)
    b = float(d) if scale == "mean" else 1.0 if scale == "learned" else scale
    ours = Laplace(scale=scale).build(SHAPE).double().log_prob(mu, x).detach()
    theirs = stats.laplace(mu.numpy(), b).logpdf(x.numpy()).sum(axis=(1, 2))
    np.testing.assert_allclose(ours, theirs, rtol=precision)


@pytest.mark.parametrize("binary", [True, False], ids=["black and white", "grey"])
def test_bernoulli_agrees_with_scipy_and_with_the_formula(binary):
    x = uniform(5, *SHAPE, seed=1)
    x = x.round() if binary else x
    logits = uniform(5, *SHAPE, seed=2, low=-6, high=6)
    p = 1 / (1 + np.exp(-logits.numpy()))
    ours = Bernoulli().build(SHAPE).log_prob(logits, x)
    formula = (x.numpy() * np.log(p) + (1 - x.numpy()) * np.log(1 - p)).sum(axis=(1, 2))
    np.testing.assert_allclose(ours, formula, rtol=1e-10)
    if binary:
        np.testing.assert_allclose(ours, stats.bernoulli(p).logpmf(x.numpy()).sum(axis=(1, 2)), rtol=1e-10)
    np.testing.assert_allclose(Bernoulli().build(SHAPE).mean(logits), p)


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("kind", [Normal, Laplace])
def test_densities_integrate_to_one(kind, scale):
    likelihood = kind(scale=scale).build((1,)).double()
    x = torch.linspace(-60, 60, 200_001, dtype=torch.float64)[:, None]
    density = likelihood.log_prob(torch.full_like(x, 0.3), x).exp()
    assert np.trapezoid(density, x[:, 0]) == pytest.approx(1, abs=1e-6)


def test_bernoulli_probabilities_sum_to_one():
    likelihood = Bernoulli().build((1,))
    logits = torch.linspace(-8, 8, 33, dtype=torch.float64)[:, None]
    total = sum(likelihood.log_prob(logits, torch.full_like(logits, x)).exp() for x in (0, 1))
    np.testing.assert_allclose(total, 1, rtol=1e-12)


# The losses of the textbooks


def test_a_scale_of_root_half_is_the_summed_squared_error():
    x, mu = uniform(5, *SHAPE, seed=1), uniform(5, *SHAPE, seed=2)
    loss = -Normal(scale=math.sqrt(0.5)).build(SHAPE).double().log_prob(mu, x)
    constant = math.prod(SHAPE) * 0.5 * math.log(math.pi)
    np.testing.assert_allclose(loss - constant, (x - mu).square().sum(dim=(1, 2)), rtol=1e-12)


def test_mean_scales_are_the_mean_squared_and_the_mean_absolute_error():
    x, mu = uniform(5, *SHAPE, seed=1), uniform(5, *SHAPE, seed=2)
    d = math.prod(SHAPE)
    squared = -Normal(scale="mean").build(SHAPE).double().log_prob(mu, x)
    np.testing.assert_allclose(
        squared - d * 0.5 * math.log(math.pi * d), (x - mu).square().mean(dim=(1, 2)), rtol=1e-9, atol=1e-12
    )
    absolute = -Laplace(scale="mean").build(SHAPE).double().log_prob(mu, x)
    np.testing.assert_allclose(absolute - d * math.log(2 * d), (x - mu).abs().mean(dim=(1, 2)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [Normal, Laplace])
def test_a_learned_scale_finds_the_spread_of_the_errors(kind):
    likelihood, deviation = kind(scale="learned").build((50,)).double(), 0.3
    errors = (
        likelihood.sample(torch.zeros(200, 50, dtype=torch.float64), noise(0)).detach() * deviation
    )  # spread 1 so far
    optimiser = Adam(learning_rate=0.05).build(likelihood.parameters())
    for _ in range(200):
        optimiser.zero_grad()
        (-likelihood.log_prob(torch.zeros_like(errors), errors).mean()).backward()
        optimiser.step()
    assert likelihood.scale.value.item() == pytest.approx(deviation, rel=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_logits_are_finite_and_so_are_their_gradients(dtype):
    logits = torch.tensor([[1e4, -1e4, 1e4, -1e4, 0.0]], dtype=dtype, requires_grad=True)
    x = torch.tensor([[1.0, 0.0, 0.0, 1.0, 0.5]], dtype=dtype)
    nats = Bernoulli().build((5,)).log_prob(logits, x)
    assert float(nats.detach()) == pytest.approx(-2e4 - math.log(2))
    nats.sum().backward()
    assert logits.grad.tolist() == [[0, 0, -1, 1, 0]]


# Whole numbers


def of_one_value(part, dtype="f4", offset=0.0, unit=1.0):
    """Return the likelihood of records of one whole number."""
    likelihood = part.build((1,)).double()
    likelihood.set_dtype(np.dtype(dtype))
    likelihood.fit_units(torch.tensor([offset]), torch.tensor([unit]))
    return likelihood


WHOLE = [
    (Categorical(n_categories=7), "f4", range(7)),
    (Logistic(), "u1", range(256)),
    (Logistic(), "i1", range(-128, 128)),
    (Logistic(), "?", range(2)),
    (Logistic(), "i4", range(-300, 300)),
]


@pytest.mark.parametrize(("kind", "dtype", "values"), WHOLE, ids=lambda value: repr(value)[:30])
def test_probabilities_of_whole_numbers_sum_to_one(kind, dtype, values):
    likelihood = of_one_value(kind, dtype, offset=-40.0, unit=10.0)
    x = likelihood.preprocessed(torch.tensor(values)[:, None])
    assert likelihood.whole(x)[:, 0].tolist() == list(values)
    for seed in range(3):
        parameters = uniform(1, 1, likelihood.n_parameters, seed=seed, low=-1, high=1)
        p = likelihood.log_prob(parameters.expand(len(x), 1, -1), x).exp().detach()
        assert float(p.sum()) == pytest.approx(1, abs=1e-6)


def test_categorical_agrees_with_scipy():
    likelihood, scores = of_one_value(Categorical(n_categories=4)), uniform(5, 1, 4, low=-4, high=4)
    codes = torch.tensor([[0.0], [3.0], [1.0], [1.0], [2.0]])
    theirs = special.log_softmax(scores.numpy()[:, 0], -1)[range(5), [0, 3, 1, 1, 2]]
    np.testing.assert_allclose(likelihood.log_prob(scores, codes), theirs, rtol=1e-12)


@pytest.mark.parametrize("x", [0.0, 3.0, 100.0, 254.0, 255.0])
@pytest.mark.parametrize("raw", [-2.0, 0.0, 3.0])
def test_logistic_agrees_with_scipy(x, raw):
    likelihood = of_one_value(Logistic(), "u1")
    s = math.exp(float(likelihood.log_scale(torch.tensor([[[0.0, raw]]], dtype=torch.float64)).detach()))
    cdf = stats.logistic(101.25, s).cdf
    theirs = (1 if x == 255 else cdf(x + 0.5)) - (0 if x == 0 else cdf(x - 0.5))
    parameters = torch.tensor([[[101.25, raw]]], dtype=torch.float64)
    ours = float(likelihood.log_prob(parameters, torch.tensor([[x]])).detach())
    if theirs > 1e-12:  # smaller differences of probabilities near 1 lose all digits
        assert ours == pytest.approx(math.log(theirs), rel=1e-3 if theirs < 1e-9 else 1e-6)
    assert math.isfinite(ours)


@pytest.mark.parametrize("kind", [Categorical(n_categories=5), Logistic()], ids=repr)
def test_draws_of_whole_numbers_have_the_probabilities_of_the_distribution(kind):
    likelihood, n = of_one_value(kind, "u1"), 40_000
    parameters = torch.tensor([[[1.3, 0.5, 0.2, -1.0, 0.9][: likelihood.n_parameters]]], dtype=torch.float64)
    drawn = likelihood.sample(parameters.expand(n, 1, -1), noise(0)).detach()
    for value in range(4):
        p = float(likelihood.log_prob(parameters, torch.tensor([[float(value)]])).exp().detach())
        share = float((drawn == value).double().mean())
        assert abs(share - p) <= 5 * math.sqrt(p * (1 - p) / n)


def test_a_category_is_the_most_probable_one_and_a_location_that_of_the_largest_mass():
    scores = torch.tensor([[[0.1, 0.7, 0.7, 0.2]]], dtype=torch.float64)
    assert of_one_value(Categorical(n_categories=4)).mean(scores).tolist() == [[1]], "the first of several"
    likelihood = of_one_value(Logistic(), "u1", offset=0.0, unit=255.0)
    parameters = torch.tensor([[[0.4, -5.0]]], dtype=torch.float64)
    x = torch.arange(256, dtype=torch.float64)[:, None] / 255
    masses = likelihood.log_prob(parameters.expand(256, 1, 2), x)
    assert int(masses.argmax()) == round(255 * float(likelihood.mean(parameters)))


def test_the_number_of_categories_is_that_of_the_data_unless_it_is_given():
    codes = np.array([[0, 3], [5, 1]], np.uint8)
    assert Categorical().for_values(codes) == Categorical(n_categories=6)
    assert Categorical(n_categories=9).for_values(codes) == Categorical(n_categories=9)
    assert Categorical().for_values(np.zeros((4, 2), bool)) == Categorical(n_categories=2)
    assert Normal().for_values(codes) == Normal()
    with pytest.raises(InvalidParameterError, match=r"category numbers from 0 to at most 32,767\. Got up to 40000"):
        Categorical().for_values(np.array([[40000.0]]))
    with pytest.raises(InvalidParameterError, match="must be a number where no data are known"):
        Categorical().build(SHAPE)


@pytest.mark.parametrize(
    ("kind", "dtype", "wrong"),
    [
        (Categorical(n_categories=3), "f4", 3.0),
        (Categorical(n_categories=3), "f4", -1.0),
        (Categorical(n_categories=3), "f4", 0.5),
        (Logistic(), "f4", 0.5),
    ],
)
def test_other_values_than_whole_numbers_of_the_range_are_not_supported(kind, dtype, wrong):
    likelihood = of_one_value(kind, dtype, offset=7.0, unit=0.25)
    x = ((torch.tensor([[0.0], [2.0], [wrong]]) - 7) / 0.25).float()
    assert likelihood.is_supported(x).flatten().tolist() == [True, True, False]


def test_the_initial_scale_is_that_of_the_data():
    likelihood = of_one_value(Logistic(), "u1", offset=0.0, unit=255.0)
    x = torch.from_numpy(np.random.default_rng(0).logistic(0.5, 0.05, (20_000, 1)))
    parameters = likelihood.parameters_of(torch.full((1,), 0.5)).expand(len(x), 1, 2)
    likelihood.fit_scale([(parameters, x)])
    assert likelihood.scale.value.item() == pytest.approx(0.05, rel=0.02)
