"""The constrained normal likelihood: σ is steered while training, and rests at all other times."""

import itertools
import math

import numpy as np
import pytest
import torch

import narrows
from narrows.bottlenecks import Plain
from narrows.chain import Chain, Parts
from narrows.errors import InvalidParameterError
from narrows.likelihoods import ConstrainedNormal, Normal
from narrows.networks import Dense

SHAPE = (4, 3)
WANTED = 10**-2.0


def records(n=6, seed=0):
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


def adapted(error, times, start=None):
    """Return a likelihood that has met this mean squared error so many times."""
    likelihood = start or ConstrainedNormal(psnr=20.0).build(SHAPE)
    x = records()
    for _ in range(times):
        likelihood.adapt(x + math.sqrt(error), x)
    return likelihood


def variance(likelihood):
    return float(likelihood.log_variance.exp())


def test_it_starts_where_rate_distortion_training_ends():
    assert variance(adapted(0, 0)) == pytest.approx(3.5 * WANTED)


def test_it_is_the_normal_likelihood_at_the_same_scale():
    likelihood = adapted(5 * WANTED, 50)
    sigma = math.sqrt(variance(likelihood))
    normal = Normal(scale=sigma).build(SHAPE)
    x, parameters = records(), records(seed=1)
    torch.testing.assert_close(likelihood.log_prob(parameters, x), normal.log_prob(parameters, x))
    assert torch.equal(likelihood.mean(parameters), parameters)
    drawn, also = (one.sample(parameters, torch.Generator().manual_seed(0)) for one in (likelihood, normal))
    torch.testing.assert_close(drawn, also)
    assert drawn.dtype == torch.float32


def test_too_large_an_error_makes_it_stricter_and_too_small_a_one_more_lenient():
    steps = [variance(adapted(4 * WANTED, times)) for times in (0, 1, 10, 30)]
    assert all(a > b for a, b in itertools.pairwise(steps))
    assert variance(adapted(4 * WANTED, 300)) == pytest.approx(2 * WANTED), "and no stricter than that"
    steps = [variance(adapted(WANTED / 4, times)) for times in (0, 1, 10, 50)]
    assert all(a < b for a, b in itertools.pairwise(steps))
    assert variance(adapted(WANTED / 100, 300)) == pytest.approx(8 * WANTED)


def test_at_the_wanted_error_it_rests():
    assert variance(adapted(WANTED, 300)) == pytest.approx(3.5 * WANTED, rel=1e-4)


def test_in_between_it_is_in_proportion():
    assert variance(adapted(1.4 * WANTED, 1000)) == pytest.approx(3.5 * WANTED / 1.4, rel=1e-3)


def test_a_perfect_reconstruction_is_no_end():
    likelihood = adapted(0.0, 500)
    assert math.isfinite(float(likelihood.log_error))
    assert variance(likelihood) == pytest.approx(8 * WANTED)


def test_outside_training_nothing_moves():
    parts = Parts(2, Dense(widths=(4,)), Plain(), ConstrainedNormal(psnr=20.0))
    chain = Chain(parts, SHAPE, np.dtype(np.float32), torch.Generator().manual_seed(0))

    def moved(generator):
        before = variance(chain.likelihood)
        chain.loss(records() * 10, generator)
        return variance(chain.likelihood) != before

    chain.train()
    assert not moved(None), "a loss that is only measured"
    assert moved(torch.Generator().manual_seed(0))
    chain.eval()
    assert not moved(None)
    assert not moved(torch.Generator().manual_seed(0))


def test_its_state_is_kept_with_the_model(codec_model, digits, tmp_path):
    codec_model.save(tmp_path / "model")
    loaded = narrows.load(tmp_path / "model")
    for name in ("log_variance", "log_error"):
        assert torch.equal(getattr(loaded.chain_.likelihood, name), getattr(codec_model.chain_.likelihood, name))
    assert loaded.score(digits[1]) == pytest.approx(codec_model.score(digits[1]))


def test_more_is_asked_more_is_given(digits):
    """Two models that differ in the wanted quality alone."""
    network = Dense(widths=(16,), activation="silu", output_activation="sigmoid", start_at_mean=True)
    psnr, rate = [], []
    for wanted in (9.0, 14.0):
        model = narrows.recipe("codec", n_latent=4, network=network, likelihood__psnr=wanted, random_state=0)
        model.set_params(training__epochs=6, bottleneck__prior="independent", training__batch_size=32).fit(
            digits[0][:500]
        )
        usual = model.codec_.qualities[model.codec_.default]
        psnr.append(usual.psnr_db)
        rate.append(usual.bytes_per_record)
    assert psnr[0] < psnr[1]
    assert rate[0] < rate[1]


@pytest.mark.parametrize("psnr", [-1, 101, "high", None, math.nan])
def test_qualities_that_cannot_be(psnr):
    with pytest.raises(InvalidParameterError, match="'psnr' of ConstrainedNormal"):
        ConstrainedNormal(psnr=psnr)
