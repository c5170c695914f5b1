"""What holds of every corruption, and the statistics of those whose noise has a formula."""

import math

import pytest
import torch
from scipy import stats

from narrows.corruptions import Corruption, Gaussian, Masking, SaltAndPepper

AXIS = Corruption


def records(dtype=torch.float32, n=200):
    return torch.rand(n, 5, 4, generator=torch.Generator().manual_seed(1), dtype=dtype) * 0.8 + 0.1


def corrupted(part, x, seed=0):
    return part.corrupt(x, torch.Generator().manual_seed(seed))


def check_corruption(part, dtype):
    x = records(dtype)
    before, global_state = x.clone(), torch.get_rng_state()
    x_tilde = corrupted(part, x)
    assert torch.equal(x, before), "the clean records are left alone"
    assert (x_tilde.shape, x_tilde.dtype) == (x.shape, x.dtype)
    assert bool(x_tilde.isfinite().all())
    assert torch.equal(corrupted(part, x), x_tilde), "the generator decides everything"
    assert torch.equal(torch.get_rng_state(), global_state)
    if not torch.equal(x_tilde, x):
        x_tilde += 1
        assert torch.equal(x, before), "nothing is shared with the clean records"

    other = x.clone()
    other[0] = 0.5
    assert torch.equal(corrupted(part, other)[1:], corrupted(part, x)[1:]), "records do not depend on each other"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_corruption(part, dtype):
    check_corruption(part, dtype)


@pytest.mark.parametrize("kind", Corruption.registry.values(), ids=Corruption.registry)
def test_the_noise_is_new_each_time(kind):
    x, noise = records(), torch.Generator().manual_seed(0)
    assert not torch.equal(kind().corrupt(x, noise), kind().corrupt(x, noise))
    assert not torch.equal(corrupted(kind(), x, seed=0), corrupted(kind(), x, seed=1))


def test_every_option_changes_something(option):
    kind, _, variants = option
    usual = corrupted(kind(), records())
    assert any(not torch.equal(corrupted(variant, records()), usual) for variant in variants)


@pytest.mark.parametrize("quiet", [Masking(level=0), SaltAndPepper(level=0), Gaussian(scale=0)], ids=repr)
def test_no_noise_is_the_identity(quiet):
    assert torch.equal(corrupted(quiet, records() - 5), records() - 5)


def test_full_noise_leaves_nothing():
    x = records()
    assert not corrupted(Masking(level=1), x).any()
    both = corrupted(SaltAndPepper(level=1, low=-2, high=3), x)
    assert set(both.unique().tolist()) == {-2, 3}


def within_4_sigma(count, n, p):
    return abs(count - n * p) <= 4 * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("level", [0.1, 0.3, 0.75])
def test_the_share_of_masked_values_is_the_level(level):
    x = records(n=2000)
    x_tilde = corrupted(Masking(level=level), x)
    gone = x_tilde == 0
    assert within_4_sigma(int(gone.sum()), x.numel(), level)
    assert torch.equal(x_tilde[~gone], x[~gone])
    # Every value is masked for itself: two neighbours go as often as two independent draws would.
    both = gone[..., 1:] & gone[..., :-1]
    assert abs(float(both.double().mean()) - level**2) < 0.02


@pytest.mark.parametrize("level", [0.1, 0.6])
def test_salt_and_pepper_come_in_equal_shares(level):
    x = records(n=2000)
    x_tilde = corrupted(SaltAndPepper(level=level), x)
    salt, pepper = x_tilde == 1, x_tilde == 0
    assert within_4_sigma(int(salt.sum()), x.numel(), level / 2)
    assert within_4_sigma(int(pepper.sum()), x.numel(), level / 2)
    assert torch.equal(x_tilde[~salt & ~pepper], x[~salt & ~pepper])


@pytest.mark.parametrize("scale", [0.1, 2.0])
def test_gaussian_noise_is_normal_with_that_deviation(scale):
    x = records(torch.float64, n=2000)
    noise = (corrupted(Gaussian(scale=scale), x) - x) / scale
    assert abs(float(noise.mean())) < 4 / math.sqrt(noise.numel())
    assert abs(float(noise.var()) - 1) < 4 * math.sqrt(2 / noise.numel())
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3


def test_clipping_cuts_the_same_noise_to_the_unit_interval():
    x = records()
    free, clipped = corrupted(Gaussian(scale=0.5), x), corrupted(Gaussian(scale=0.5, clip=True), x)
    assert torch.equal(clipped, free.clamp(0, 1))
    assert float(free.min()) < 0 < 1 < float(free.max())


def test_gaussian_noise_of_varying_strength_is_between_none_and_its_scale():
    x = torch.zeros(400, 200)
    spreads = corrupted(Gaussian(scale=0.5, vary=True), x).std(1)
    assert 0 < spreads.min() < 0.02
    assert 0.45 < spreads.max() < 0.56
    assert spreads.mean() == pytest.approx(0.25, abs=0.03)
