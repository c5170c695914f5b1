"""What holds of every adversary; the losses of both sides written a second way."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from narrows.adversaries import Adversary, Codes, Forward, Records
from narrows.bottlenecks import Gaussian, Plain
from narrows.chain import Chain, Parts
from narrows.errors import InvalidParameterError
from narrows.likelihoods import Bernoulli, Categorical, Normal
from narrows.networks import Dense
from narrows.penalties import MMD

AXIS = Adversary
SHAPE = (5, 4)


def make(adversary, bottleneck=None, likelihood=None, **others):
    parts = Parts(
        3, Dense(widths=(6,)), bottleneck or Gaussian(), likelihood or Normal(), adversary=adversary, **others
    )
    return Chain(parts, SHAPE, np.dtype(np.float64), noise()).double()


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def records(n=8):
    return torch.rand(n, *SHAPE, generator=noise(1), dtype=torch.float64)


def contest(part, chain, discriminator, seed=3):
    x = records()
    code = chain.bottleneck(chain.encoder(x), noise(2))
    return part.contest(chain, discriminator, Forward(x, code.z, chain.decode(code.z)), noise(seed))


def gradients(of, module):
    slopes = torch.autograd.grad(of.sum(), list(module.parameters()), allow_unused=True, retain_graph=True)
    return [slope for slope in slopes if slope is not None and slope.any()]


def test_both_sides_learn(part):
    chain = make(part)
    discriminator = part.discriminator(chain, noise()).double()
    global_state = torch.get_rng_state()
    found = contest(part, chain, discriminator)
    assert found.cost.shape == found.loss.shape == (8,)
    assert bool(found.cost.isfinite().all() and found.loss.isfinite().all() and (found.cost >= 0).all())
    assert 0 <= float(found.accuracy) <= 1
    assert float(found.spread) > 0
    assert gradients(found.cost, chain), "the chain learns from the contest"
    assert gradients(found.loss, discriminator), "and so does the discriminator"
    again = contest(part, chain, discriminator)
    assert torch.equal(again.cost, found.cost)
    assert torch.equal(again.loss, found.loss), "the generator decides everything"
    assert not torch.equal(contest(part, chain, discriminator, seed=4).loss, found.loss)
    assert torch.equal(torch.get_rng_state(), global_state)


def test_every_option_changes_something(option):
    kind, name, variants = option
    if name in {"learning_rate", "kernel", "channels"}:
        pytest.skip("of the optimiser, or of the other kind of discriminator")

    def result(part):
        chain = make(part)
        found = contest(part, chain, part.discriminator(chain, noise()).double())
        return found.cost.sum() + found.loss.sum()

    assert any(result(one) != result(kind()) for one in variants)


def test_the_kernel_is_that_of_convolutions():
    chain = make(Records())
    parts = (Records(kind="convolutional", channels=(2, 3), kernel=kernel) for kernel in (3, 5))
    assert [part.discriminator(chain, noise()).body[2].kernel_size for part in parts] == [(3, 3), (5, 5)]


def softplus(a):
    return np.log1p(np.exp(a))


def test_codes_are_judged_beside_draws_from_the_prior():
    part = Codes(weight=3.0, gradient_penalty=0.0)
    chain = make(part, Plain())
    discriminator = part.discriminator(chain, noise()).double()
    prior = torch.randn(8, 3, generator=noise(3), dtype=torch.float64)
    with torch.no_grad():
        z = chain.encode(records()).z
        real, made = discriminator(prior).numpy(), discriminator(z).numpy()
    found = contest(part, chain, discriminator)
    np.testing.assert_allclose(found.cost.detach(), 3 * softplus(-made))
    np.testing.assert_allclose(found.loss.detach(), softplus(-real) + softplus(made))
    assert float(found.accuracy) == pytest.approx(((real > 0).mean() + (made < 0).mean()) / 2)
    assert float(found.spread) == pytest.approx(z.var(0, correction=0).sum() / prior.var(0, correction=0).sum())


def test_the_gradient_at_real_samples_is_penalised():
    """The slope of a discriminator without hidden layers is its weights, for every sample."""
    plain, penalised = Codes(widths=(), gradient_penalty=0.0), Codes(widths=(), gradient_penalty=5.0)
    chain = make(plain, Plain())
    discriminator = plain.discriminator(chain, noise()).double()
    more = contest(penalised, chain, discriminator).loss - contest(plain, chain, discriminator).loss
    slope = discriminator.head.weight.detach().square().sum()
    torch.testing.assert_close(more.detach(), (5.0 / 2 * slope).expand(8))


def test_records_are_judged_beside_decoded_draws_and_compared_by_their_features():
    part = Records(weight=2.0, feature_weight=0.5, gradient_penalty=0.0)
    chain = make(part)
    discriminator = part.discriminator(chain, noise()).double()
    x = records()
    with torch.no_grad():
        z = chain.bottleneck(chain.encoder(x), noise(2)).z
        x_hat, new = chain.decode(z), chain.decode(torch.randn(8, 3, generator=noise(3), dtype=torch.float64))
        real, restored, made = (discriminator(one).numpy() for one in (x, x_hat, new))
        apart = functional.mse_loss(discriminator.features(x), discriminator.features(x_hat), reduction="none").sum(1)
    found = contest(part, chain, discriminator)
    np.testing.assert_allclose(found.cost.detach(), 2 * softplus(-made) + 0.25 * apart.numpy())
    np.testing.assert_allclose(found.loss.detach(), softplus(-real) + (softplus(made) + softplus(restored)) / 2)


def test_the_encoder_does_not_learn_to_deceive_the_discriminator_of_records():
    part = Records(feature_weight=0.0)
    chain = make(part)
    found = contest(part, chain, part.discriminator(chain, noise()).double())
    assert not gradients(found.cost, chain.encoder)
    assert gradients(found.cost, chain.decoder)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"n_classes": 2}, "cannot be used for conditional models. Set conditional=False"),
        ({"fill_value": -1.0}, "cannot be used for records with missing values"),
        ({"bottleneck": Plain()}, "needs codes that follow.*Set bottleneck='gaussian' or penalties='mmd'"),
        ({"likelihood": Bernoulli(dynamic=True)}, "needs a likelihood whose mean may look like a record"),
        ({"likelihood": Categorical(n_categories=3)}, "needs a likelihood whose mean may look like a record"),
    ],
    ids=str,
)
def test_parts_that_do_not_go_with_the_adversary_of_records_are_named(parts, message):
    with pytest.raises(InvalidParameterError, match=message):
        Records().discriminator(make(Records(), **parts), noise())


def test_a_penalty_may_bring_the_prior():
    part = Records()
    assert part.discriminator(make(part, Plain(), penalties=(MMD(),)), noise()) is not None


def test_a_discriminator_has_at_least_one_layer_of_features():
    with pytest.raises(InvalidParameterError, match="'channels' of Records must have at least one entry"):
        Records(kind="convolutional", channels=())


def test_images_are_needed_for_convolutions():
    part = Records(kind="convolutional")
    parts = Parts(2, Dense(), Gaussian(), Normal(), adversary=part)
    chain = Chain(parts, (6,), np.dtype(np.float64), noise())
    with pytest.raises(InvalidParameterError, match="needs images"):
        part.discriminator(chain, noise())
