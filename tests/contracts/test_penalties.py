"""What holds of every penalty; each written a second way; derivatives against finite differences."""

import math

import numpy as np
import pytest
import torch

from narrows.bottlenecks import Code, Plain
from narrows.chain import Chain, Parts
from narrows.corruptions import Masking
from narrows.errors import InvalidParameterError
from narrows.likelihoods import Normal
from narrows.networks import Convolutional, Dense, Strided
from narrows.networks.activations import ACTIVATIONS
from narrows.penalties import L1, MMD, Contractive, KLSparsity, Neighbours, Penalty
from narrows.penalties.contractive import estimated_norm, norm_of_one_layer
from narrows.penalties.mmd import discrepancy
from narrows.training import Adam

AXIS = Penalty
SHAPE = (4, 2)


def make(widths=(6,), code_activation="sigmoid", network=None, penalties=(), **others):
    network = network or Dense(widths=widths, activation="tanh", code_activation=code_activation)
    parts = Parts(3, network, Plain(), Normal(), penalties=penalties, **others)
    return Chain(parts, SHAPE, np.dtype(np.float64), torch.Generator().manual_seed(0)).double()


@pytest.fixture
def chain():
    return make()


def cost(part, chain, x, generator=None):
    h = chain.encoder(x)
    return part.cost(chain, x, h, chain.bottleneck(h), generator)


def _encoded(chain, x):
    h = chain.encoder(x)
    return h, chain.bottleneck(h)


def records(n=5):
    return torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def check_penalty(part, chain):
    x = records()
    global_state = torch.get_rng_state()
    charged = cost(part, chain, x)
    assert charged.shape == (5,)
    assert charged.dtype == x.dtype
    assert bool(charged.isfinite().all())
    if part.name != "mmd":  # an unbiased estimate of what may be zero is below it at times
        assert bool((charged >= 0).all())
    assert part.cost(chain, x[:1], *_encoded(chain, x[:1])).shape == (1,), "one record will do"
    assert torch.equal(cost(part, chain, x), charged), "without a generator nothing is random"
    assert torch.equal(cost(part, chain, x, noise()), cost(part, chain, x, noise())), "the generator decides everything"
    assert torch.equal(torch.get_rng_state(), global_state)
    with torch.no_grad():
        torch.testing.assert_close(cost(part, chain, x), charged, msg="it is known where nothing is trained, too")
    if getattr(part, "weight", 1) == 0:
        assert not charged.any()
    else:
        assert charged.any()
        charged.sum().backward()
        assert any(weight.grad is not None and weight.grad.any() for weight in chain.encoder.parameters())


@pytest.mark.parametrize("widths", [(6,), ()], ids=["deep", "one-layer"])
def test_penalty(part, widths):
    check_penalty(part, make(widths))


def test_every_option_changes_something(option, chain):
    kind, _, variants = option
    usual, n_partners = cost(kind(), chain, records()), kind().n_partners
    changed = (one.n_partners != n_partners or not torch.equal(cost(one, chain, records()), usual) for one in variants)
    assert any(changed)


@pytest.mark.parametrize("widths", [(6,), ()], ids=["deep", "one-layer"])
def test_the_gradients_are_those_of_finite_differences(part, widths):
    chain, x = make(widths), records()
    cost(part, chain, x, noise()).sum().backward()
    for name, weight in chain.encoder.named_parameters():
        ends = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                weight.view(-1)[1] += step
            ends.append(float(cost(part, chain, x, noise()).sum().detach()))
            with torch.no_grad():
                weight.view(-1)[1] -= step
        slope = (ends[0] - ends[1]) / 2e-6
        assert float(weight.grad.view(-1)[1]) == pytest.approx(slope, rel=1e-5, abs=1e-7), name


def test_the_loss_charges_them(part):
    chain, x = make(penalties=(part, L1(weight=0.2))), records()
    expected = cost(part, chain, x) + cost(L1(weight=0.2), chain, x)
    torch.testing.assert_close(chain.loss(x).penalty, expected)


# Sparsity


def test_l1_is_the_sum_of_absolute_activities_of_each_record(chain):
    z = chain.encode(records()).z.detach().numpy()
    np.testing.assert_allclose(cost(L1(weight=0.5), chain, records()).detach(), 0.5 * np.abs(z).sum(axis=1))


def test_kl_sparsity_is_the_divergence_between_wanted_and_mean_activity(chain):
    active = chain.encoder(records()).detach().numpy().mean(axis=0)
    rho = 0.2
    divergence = rho * np.log(rho / active) + (1 - rho) * np.log((1 - rho) / (1 - active))
    charged = cost(KLSparsity(weight=3, target=rho), chain, records())
    np.testing.assert_allclose(charged.detach(), np.full(5, 3 * divergence.sum()), rtol=1e-12)


def test_units_as_active_as_wanted_cost_nothing_and_dead_ones_stay_finite(chain):
    part = KLSparsity(target=0.25)
    h = torch.tensor([[0.0, 1.0], [0.5, 0.0], [0.25, 0.0], [0.25, 0.0]], dtype=torch.float64)
    assert part.cost(chain, records(4), h, None).tolist() == pytest.approx([0] * 4, abs=1e-12)
    dead = torch.zeros(4, 2, dtype=torch.float64).requires_grad_()
    part.cost(chain, records(4), dead, None).sum().backward()
    assert bool(dead.grad.isfinite().all())


@pytest.mark.parametrize("network", [Dense(), Dense(code_activation="relu"), Convolutional(), Strided()], ids=repr)
def test_kl_sparsity_needs_a_code_between_0_and_1(network):
    with pytest.raises(InvalidParameterError, match=r"'kl-sparsity' penalty needs a code between 0 and 1.*'sigmoid'"):
        make(network=network, penalties=(KLSparsity(),))


# Contraction


def squared_norm(chain, x):
    """Return ‖∂h/∂x‖²_F of each record from its whole Jacobian, one backward pass for each number of the code."""
    jacobians = [torch.autograd.functional.jacobian(chain.encoder, one[None]) for one in x]
    return torch.stack([jacobian.square().sum() for jacobian in jacobians])


@pytest.mark.parametrize("name", ACTIVATIONS.values)
def test_the_norm_of_one_layer_is_that_of_its_jacobian(name):
    chain = make((), code_activation=name)
    charged = cost(Contractive(weight=0.5), chain, records())
    torch.testing.assert_close(charged.detach(), 0.5 * squared_norm(chain, records()))


def test_the_norm_of_one_sigmoid_layer_is_that_of_the_paper():
    chain, x = make(()), records()
    w = chain.encoder.layers[0].weight.detach().numpy()
    h = chain.encoder(x).detach().numpy()
    expected = np.square(h * (1 - h)) @ np.square(w).sum(axis=1)
    np.testing.assert_allclose(cost(Contractive(weight=1), chain, x).detach(), expected, rtol=1e-12)


@pytest.mark.parametrize("widths", [(6,), ()], ids=["deep", "one-layer"])
def test_the_estimate_comes_to_the_same_as_the_norm(widths):
    chain, x = make(widths), records()
    estimates = estimated_norm(chain.encoder, x.repeat(2000, 1, 1), 1, noise()).detach().reshape(2000, 5)
    exact = squared_norm(chain, x)
    assert bool(((estimates.mean(0) - exact).abs() <= 5 * estimates.std(0) / math.sqrt(2000)).all())
    torch.testing.assert_close(estimates.mean(0), exact, rtol=0.05, atol=0)
    if not widths:
        torch.testing.assert_close(norm_of_one_layer(*chain.encoder.single_layer, x).detach(), exact)


def test_more_projections_vary_less():
    chain, x = make(), records(1)

    def spread(n):
        return float(estimated_norm(chain.encoder, x.repeat(300, 1, 1), n, noise()).detach().std())

    assert spread(16) < 0.5 * spread(1)


def test_training_takes_other_directions_each_time():
    chain, x, directions = make(), records(), noise()
    assert not torch.equal(cost(Contractive(), chain, x, directions), cost(Contractive(), chain, x, directions))


def test_it_contracts_around_what_the_encoder_sees():
    chain = make((), penalties=(Contractive(),), corruption=Masking(level=1.0))
    at_zero = cost(Contractive(), chain, torch.zeros(5, *SHAPE, dtype=torch.float64))
    torch.testing.assert_close(chain.loss(records(), noise()).penalty, at_zero)
    assert not torch.allclose(chain.loss(records()).penalty, at_zero)


@pytest.mark.parametrize("network", [Convolutional(channels=(3,)), Strided(channels=(3,))], ids=repr)
def test_convolutions_are_estimated(network):
    chain, x = make(network=network), records()
    estimates = estimated_norm(chain.encoder, x.repeat(1000, 1, 1), 2, noise()).detach().reshape(1000, 5)
    torch.testing.assert_close(estimates.mean(0), squared_norm(chain, x), rtol=0.1, atol=0)


# Maximum mean discrepancy


def normal(n, d=3, seed=0, shift=0.0, scale=1.0):
    return scale * torch.randn(n, d, generator=noise(seed), dtype=torch.float64) + shift


def test_the_discrepancy_is_the_mean_over_pairs():
    a, b = normal(4, seed=1).numpy(), normal(4, seed=2, shift=1.0).numpy()

    def kernel(x, y):
        return sum(c / (c + np.square(x - y).sum()) for c in 2 * 3 * np.array([0.1, 0.2, 0.5, 1, 2, 5, 10]))

    pairs = [(i, j) for i in range(4) for j in range(4)]
    within = sum(kernel(a[i], a[j]) + kernel(b[i], b[j]) for i, j in pairs if i != j) / 12
    across = sum(kernel(a[i], b[j]) for i, j in pairs) / 16
    assert float(discrepancy(torch.tensor(a), torch.tensor(b))) == pytest.approx(within - 2 * across, rel=1e-10)


def test_the_discrepancy_is_zero_on_average_for_codes_like_the_prior():
    estimates = torch.stack([discrepancy(normal(50, seed=s), normal(50, seed=1000 + s)) for s in range(200)])
    assert abs(float(estimates.mean())) < 4 * float(estimates.std()) / math.sqrt(200)
    assert bool((estimates < 0).any()), "the estimate is unbiased, so that it goes below"


@pytest.mark.parametrize("other", [{"shift": 1.0}, {"scale": 2.0}, {"scale": 0.3}], ids=str)
def test_codes_unlike_the_prior_are_charged(other):
    near = abs(float(discrepancy(normal(200, seed=1), normal(200, seed=2))))
    assert float(discrepancy(normal(200, seed=1, **other), normal(200, seed=2))) > 5 * near


def test_mmd_charges_every_record_of_a_batch_the_same_and_one_alone_nothing(chain):
    charged = cost(MMD(weight=10), chain, records(), noise()).detach()
    assert len(set(charged.tolist())) == 1
    draws = torch.randn(5, 3, generator=noise(), dtype=torch.float64)
    assert float(charged[0]) == pytest.approx(10 * float(discrepancy(chain.encode(records()).z.detach(), draws)))
    assert cost(MMD(), chain, records(1)).tolist() == [0.0]


def test_mmd_brings_codes_to_the_prior():
    """An encoder whose codes are around 3, with a deviation of 0.2, learns to have them at mean 0 and deviation 1."""
    mean = torch.full((3,), 3.0, dtype=torch.float64, requires_grad=True)
    deviation = torch.full((3,), 0.2, dtype=torch.float64, requires_grad=True)
    optimiser = Adam(learning_rate=0.05).build([mean, deviation])
    for step in range(200):
        optimiser.zero_grad()
        z = mean + deviation * normal(100, seed=step)
        discrepancy(z, normal(100, seed=1000 + step)).backward()
        optimiser.step()
    assert float(mean.detach().abs().max()) < 0.2
    assert float((deviation.detach().abs() - 1).abs().max()) < 0.2


def test_only_mmd_with_a_weight_gives_a_model_a_prior(part):
    assert part.normal_prior == (part.name == "mmd" and part.weight > 0)


# Neighbours


def test_neighbours_is_the_share_of_the_nearest_record_among_all_others():
    x = torch.tensor([0.0, 1.0, 3.0, 3.0], dtype=torch.float64)[:, None]
    z = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [5.0, 5.0]], dtype=torch.float64)
    kernel = 1 / (1 + (z[:, None] - z).square().sum(2))
    nearest, others = [1, 0, 1, 1], [(1, 2, 3), (0, 2, 3), (0, 1), (0, 1)]  # the last two records are equal
    expected = [-math.log(kernel[i, j] / sum(kernel[i, k] for k in others[i])) for i, j in enumerate(nearest)]
    charged = Neighbours(weight=2).cost(None, x, None, Code(z, cost=None))
    assert charged.tolist() == pytest.approx([2 * one for one in expected])
    assert Neighbours().cost(None, x[2:], None, Code(z[2:], cost=None)).tolist() == [0, 0], "all are equal"


def test_codes_of_neighbours_are_drawn_together_and_those_of_others_apart():
    x = torch.tensor([0.0, 1.0, 9.0, 10.0])[:, None]
    z = torch.tensor([[0.0, 1.0], [2.0, 0.0], [4.0, 0.0], [5.0, 2.0]], requires_grad=True)

    def apart():
        return (z[0] - z[1]).norm() / (z[1] - z[2]).norm()

    before = float(apart().detach())
    for _ in range(20):
        (slope,) = torch.autograd.grad(Neighbours(weight=1).cost(None, x, None, Code(z, cost=None)).sum(), z)
        with torch.no_grad():
            z -= 0.1 * slope
    assert float(apart().detach()) < before / 3
