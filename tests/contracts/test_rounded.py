"""The rounded bottleneck: what a code costs, written a second way, and who may know what of whom."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from narrows.bottlenecks import Rounded
from narrows.codec.entropy_models.predictor import NEIGHBOURS
from narrows.training import Adam

SHAPES = [(1,), (5,), (3, 4, 2), (2, 1, 3), (2, 3, 1)]
PRIORS = ["independent", "autoregressive"]


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def build(prior, shape, seed=0):
    """Return a bottleneck with weights anywhere, in float64."""
    bottleneck = Rounded(prior=prior, n_hidden=3).build(shape).double()
    with torch.no_grad():
        for weights in bottleneck.parameters():
            weights.uniform_(-0.7, 0.7, generator=noise(seed))
    return bottleneck


def codes(shape, n=4, seed=1):
    return 3 * torch.randn(n, *shape, generator=noise(seed), dtype=torch.float64)


def moments_in_numpy(prior, s):
    """Return mean and log-scale of each number of one code, each (places, channels), number by number."""
    weights = {name: tensor.detach().numpy() for name, tensor in prior.named_parameters()}
    shape = s.shape if s.ndim == 3 else (s.size, 1, 1)
    s = s.reshape(shape)
    channels, height, width = shape
    means, scales = weights["mean"].copy(), weights["log_scale"].copy()
    if "weights_in" not in weights:
        return means, scales
    for y in range(height):
        for x in range(width):
            place = y * width + x
            hidden = weights["bias"][place].copy()
            for k, (down, right) in enumerate(NEIGHBOURS):
                if height * width > 1 and y + down >= 0 and 0 <= x + right < width:
                    for channel in range(channels):
                        weight = weights["weights_near"][k * channels + channel]
                        hidden += s[channel, y + down, x + right] * weight
            for channel in range(channels):
                seen = np.maximum(hidden, 0)
                means[place, channel] += weights["weights_out"][channel, 0] @ seen
                scales[place, channel] += weights["weights_out"][channel, 1] @ seen
                hidden = hidden + s[channel, y, x] * weights["weights_in"][channel]
    return means, scales


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("prior", PRIORS)
def test_the_cost_is_the_mass_of_a_logistic_on_the_unit_interval_around_each_number(prior, shape):
    bottleneck = build(prior, shape)
    h = codes(shape)
    for code in (bottleneck(h), bottleneck(h, noise())):
        for z, cost in zip(code.z.numpy(), code.cost.detach().numpy(), strict=True):
            mean, log_scale = moments_in_numpy(bottleneck.prior, z)
            by_place = z.reshape(mean.shape[1], -1).T
            logistic = stats.logistic(mean, np.exp(np.clip(log_scale, -5, 5)))
            mass = logistic.cdf(by_place + 0.5) - logistic.cdf(by_place - 0.5)
            np.testing.assert_allclose(cost, -np.log(np.maximum(mass, 1e-9)).sum(), rtol=1e-6)


def test_the_masses_of_all_symbols_sum_to_one():
    bottleneck = build("independent", (1,))
    s = torch.arange(-400.0, 401, dtype=torch.float64)[:, None]
    assert float((-bottleneck.prior.nats(s)).detach().exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("prior", PRIORS)
def test_only_a_generator_makes_noise(prior):
    bottleneck, h = build(prior, (5,)), codes((5,), n=3000)
    before = torch.get_rng_state()
    quiet, again = bottleneck(h), bottleneck(h)
    assert torch.equal(quiet.z, h.round())
    assert torch.equal(quiet.z, again.z)
    assert torch.equal(quiet.symbols.double(), h.round())
    assert quiet.symbols.dtype == torch.int32
    noisy = bottleneck(h, noise(3))
    assert torch.equal(noisy.z, bottleneck(h, noise(3)).z)
    assert not torch.equal(noisy.z, bottleneck(h, noise(4)).z)
    assert noisy.symbols is None
    assert torch.equal(torch.get_rng_state(), before), "nobody's global seed is touched"
    off = noisy.z - h
    assert float(off.abs().max()) <= 0.5
    assert float(off.mean()) == pytest.approx(0, abs=0.01)
    assert float(off.var()) == pytest.approx(1 / 12, rel=0.03)
    assert torch.equal(bottleneck.continuous_code(h), h)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_comes_later_never_changes_what_was_expected_before(shape):
    prior = build("autoregressive", shape).prior
    s = codes(shape, n=1).round()
    mean, log_scale = (tensor.detach().reshape(-1) for tensor in prior.moments(s))
    in_order = s.reshape(prior.n_channels, -1).T.reshape(-1)  # place by place, channel by channel
    depends = np.zeros((len(in_order), len(in_order)), bool)
    for position in range(len(in_order)):
        changed = in_order.clone()
        changed[position] += 5
        back = changed.reshape(-1, prior.n_channels).T.reshape(1, *shape)
        other, other_scale = (tensor.detach().reshape(-1) for tensor in prior.moments(back))
        differs = (~torch.isclose(mean, other, rtol=0, atol=1e-12)) | (
            ~torch.isclose(log_scale, other_scale, rtol=0, atol=1e-12)
        )
        depends[position] = differs.numpy()
    assert not np.tril(depends).any(), "a number depends on itself, or on one that comes later"
    if len(in_order) > 1:
        assert depends.any(), "and on those before it does depend"


def test_a_map_depends_on_its_four_neighbours_and_no_other_place():
    prior = build("autoregressive", (1, 4, 5)).prior
    with torch.no_grad():
        prior.bias.fill_(100.0)  # so that every rectifier lets everything through
    s = codes((1, 4, 5), n=1).round()
    mean = prior.moments(s)[0].detach().reshape(4, 5)
    around = set()
    for y in range(4):
        for x in range(5):
            changed = s.clone()
            changed[0, 0, y, x] += 5
            moved = (prior.moments(changed)[0].detach().reshape(4, 5) - mean).abs() > 1e-12
            if bool(moved[2, 2]):
                around.add((y - 2, x - 2))
    assert around == set(NEIGHBOURS)


def test_independent_numbers_do_not_know_of_each_other():
    prior = build("independent", (3, 4, 2)).prior
    first, second = (prior.moments(codes((3, 4, 2), seed=seed)) for seed in (1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_code_that_cannot_be_costs_much_but_is_finite_and_so_are_its_gradients():
    for prior in PRIORS:
        bottleneck = build(prior, (4,)).float()
        h = torch.tensor([[1e6, -1e6, 3e4, 0.0]], requires_grad=True)
        code = bottleneck(h)
        assert 3 * 20 < float(code.cost.detach()) < 4 * 21
        code.cost.sum().backward()
        assert bool(h.grad.isfinite().all())
        assert all(bool(weights.grad.isfinite().all()) for weights in bottleneck.parameters() if weights.numel())


def test_training_the_prior_finds_the_distribution():
    """Correlated numbers cost less if they may know of each other, and not less than their entropy."""
    rng = np.random.default_rng(0)
    first = rng.logistic(2, 1.5, 4000)
    h = torch.from_numpy(np.rint(np.stack([first, first + rng.logistic(-1, 0.4, 4000)], 1)))
    bits = {}
    for prior in PRIORS:
        bottleneck = Rounded(prior=prior, n_hidden=4).build((2,)).double()
        optimiser = Adam(learning_rate=0.05).build(bottleneck.parameters())
        for _ in range(150):
            optimiser.zero_grad()
            bottleneck(h).cost.mean().backward()
            optimiser.step()
        bits[prior] = float(bottleneck(h).cost.detach().mean()) / math.log(2)
    assert bits["independent"] > bits["autoregressive"] + 1
    counts = np.unique(h.numpy(), axis=0, return_counts=True)[1] / len(h)
    entropy = -(counts * np.log2(counts)).sum()  # of what was seen, which is below that of the distribution
    assert entropy < bits["autoregressive"] < entropy + 0.7
