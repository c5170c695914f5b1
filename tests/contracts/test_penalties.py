"""What holds of every penalty, and the L1 penalty written a second way."""

import numpy as np
import pytest
import torch

from narrows.bottlenecks import Plain
from narrows.chain import Chain, Parts
from narrows.likelihoods import Normal
from narrows.networks import Dense
from narrows.penalties import L1, Penalty

AXIS = Penalty


@pytest.fixture
def chain():
    parts = Parts(n_latent=3, network=Dense(widths=(6,), activation="tanh"), bottleneck=Plain(), likelihood=Normal())
    return Chain(parts, (4, 2), np.dtype(np.float64), torch.Generator().manual_seed(0)).double()


def cost(part, chain, x):
    h = chain.encoder(x)
    return part.cost(chain, x, h, chain.bottleneck(h))


def records(n=5):
    return torch.randn(n, 4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def check_penalty(part, chain):
    x = records()
    global_state = torch.get_rng_state()
    charged = cost(part, chain, x)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert charged.shape == (5,)
    assert charged.dtype == x.dtype
    assert bool(charged.isfinite().all())
    assert bool((charged >= 0).all())
    if getattr(part, "weight", 1) == 0:
        assert not charged.any()
    else:
        assert charged.any()
        charged.sum().backward()
        assert any(weight.grad is not None and weight.grad.any() for weight in chain.encoder.parameters())


def test_penalty(part, chain):
    check_penalty(part, chain)


def test_every_option_changes_something(option, chain):
    kind, _, variants = option
    usual = cost(kind(), chain, records())
    assert any(not torch.equal(cost(variant, chain, records()), usual) for variant in variants)


def test_l1_is_the_sum_of_absolute_activities_of_each_record(chain):
    z = chain.encode(records()).z.detach().numpy()
    np.testing.assert_allclose(cost(L1(weight=0.5), chain, records()).detach(), 0.5 * np.abs(z).sum(axis=1))
