"""New records: drawn, between, across; each against what its codes are said to be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.exceptions import NotFittedError

import narrows
from narrows.errors import InvalidParameterError, NotDecodableError, ShapeMismatchError
from narrows.likelihoods import Normal
from narrows.networks import Convolutional, Dense
from narrows.penalties import MMD
from narrows.uses.generate import between, manifold, traversals


def fit(x, n_latent=2, epochs=3, **params):
    training = narrows.Training(epochs=epochs, batch_size=64)
    params = {"network": Dense(widths=(16,)), "training": training, "random_state": 0, **params}
    return narrows.Autoencoder(n_latent, **params).fit(x)


@pytest.fixture(scope="module")
def plain(digits):
    return fit(digits[0], 4)


@pytest.fixture(scope="module")
def variational(digits):
    return fit(digits[0], 2, epochs=15, bottleneck="gaussian", likelihood="bernoulli")


# Samples


def test_samples_are_records_like_those_of_the_training_data(plain, digits):
    drawn = plain.sample(500, random_state=0)
    assert (drawn.shape, drawn.dtype) == ((500, 8, 8), np.uint8)
    assert len(np.unique(drawn.reshape(500, -1), axis=0)) > 400
    restored = plain.reconstruct(digits[0])
    np.testing.assert_allclose(drawn.mean(axis=0), restored.mean(axis=0), atol=0.1 * restored.max())
    assert drawn.std(axis=0).mean() == pytest.approx(restored.std(axis=0).mean(), rel=0.5)


def test_a_seed_gives_the_same_samples_and_touches_nobody_elses(plain):
    state = torch.get_rng_state()
    np.testing.assert_array_equal(plain.sample(5, random_state=3), plain.sample(5, random_state=3))
    assert not np.array_equal(plain.sample(5, random_state=3), plain.sample(5, random_state=4))
    assert torch.equal(torch.get_rng_state(), state)


def test_models_with_a_prior_draw_their_codes_from_it_and_others_from_the_density(plain, variational):
    assert variational.has_prior_
    assert not plain.has_prior_
    codes = variational.sample_codes(2000, random_state=0)
    assert all(stats.kstest(column, "norm").pvalue > 0.01 for column in codes.T)
    np.testing.assert_array_equal(
        variational.sample_codes(9, source="prior", random_state=1), variational.sample_codes(9, random_state=1)
    )
    for model, source in ((plain, "auto"), (plain, "density"), (variational, "density")):
        codes = model.sample_codes(5000, source=source, random_state=0)
        np.testing.assert_allclose(
            codes.mean(axis=0), model.latent_density_.mean, atol=0.1 * model.latent_density_.deviation.max()
        )
        np.testing.assert_allclose(codes.std(axis=0), model.latent_density_.deviation, rtol=0.1)


def test_samples_are_what_codes_stand_for(plain):
    codes = plain.sample_codes(7, random_state=np.random.RandomState(5))
    np.testing.assert_array_equal(plain.sample(7, random_state=5), plain.inverse_transform(codes))


def test_the_penalty_mmd_gives_a_prior(digits):
    assert fit(digits[0][:100], epochs=1, penalties=("mmd",)).has_prior_
    assert not fit(digits[0][:100], epochs=1, penalties=("l1", MMD(weight=0))).has_prior_


def test_noise_draws_from_the_likelihood(variational, rng):
    drawn = variational.sample(20, noise=True, random_state=0)
    assert set(np.unique(drawn)) == {0, 255}, "a Bernoulli likelihood draws black or white"
    np.testing.assert_array_equal(drawn, variational.sample(20, noise=True, random_state=0))
    model = fit(rng.normal(size=(50, 3)), likelihood=Normal(scale=0.5), preprocessing=())
    noise = model.sample(3000, noise=True, random_state=0) - model.sample(3000, random_state=0)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(noise.std(axis=0), 0.5, rtol=0.05)


@pytest.mark.parametrize("bottleneck", ["rounded", "top-k", "vector-quantised"])
def test_codes_are_such_as_the_bottleneck_makes(bottleneck, digits):
    model = fit(digits[0][:300], 6, bottleneck=bottleneck, epochs=1)
    codes = model.sample_codes(40, random_state=0)
    assert len(np.unique(codes, axis=0)) > 1
    if bottleneck == "rounded":
        np.testing.assert_array_equal(codes, np.rint(codes))
    elif bottleneck == "vector-quantised":
        codebook = model.chain_.bottleneck.codebook.numpy()
        vectors = codes.reshape(-1, codebook.shape[1])
        assert (np.abs(vectors[:, None] - codebook).max(axis=2).min(axis=1) == 0).all()
    else:
        assert (np.count_nonzero(codes, axis=1) == 2).all()


def test_what_cannot_be_drawn_is_refused(plain, variational, digits):
    with pytest.raises(InvalidParameterError, match="a model that was trained with a prior"):
        plain.sample(3, source="prior")
    with pytest.raises(InvalidParameterError, match="'source' of sample must be one of"):
        plain.sample(3, source="posterior")
    with pytest.raises(InvalidParameterError, match="'n' of sample must be"):
        plain.sample(0)
    old = fit(digits[0][:50], epochs=1)
    old.model_ = replace(old.model_, artefacts={}, pending={})
    with pytest.raises(InvalidParameterError, match=r"stored no density .* Train it again"):
        old.sample(3)
    switches = Convolutional(channels=(3,), unpooling="switches")
    with pytest.raises(NotDecodableError):
        fit(digits[0][:50], None, epochs=1, network=switches).sample(3)


# Between, across


def test_interpolation_goes_from_one_reconstruction_to_the_other(plain, digits):
    a, b = digits[1][:2]
    steps = between(plain, a, b, 5)
    np.testing.assert_array_equal(steps[[0, 4]], plain.reconstruct(digits[1][:2]))
    middle = plain.transform(digits[1][:2]).mean(axis=0, keepdims=True)
    np.testing.assert_array_equal(steps[2], plain.inverse_transform(middle)[0])
    with pytest.raises(InvalidParameterError, match="'n' of between must be"):
        between(plain, a, b, 1)
    with pytest.raises(ShapeMismatchError, match=r"training records, \(8, 8\)\. Got \(8,\)"):
        between(plain, a, b[0])


def test_interpolation_of_floats_ends_at_their_reconstructions(rng):
    x = rng.normal(size=(60, 5))
    model = fit(x, 2, epochs=1, preprocessing=())
    np.testing.assert_array_equal(between(model, *x[:2], 3)[[0, 2]], model.reconstruct(x[:2]))


@pytest.mark.parametrize(
    "make",
    [
        lambda model: model.sample(3),
        lambda model: model.sample_codes(3),
        lambda model: between(model, [1], [2]),
        manifold,
        traversals,
        lambda model: model.has_prior_,
    ],
)
def test_a_model_must_be_fitted(make):
    with pytest.raises(NotFittedError):
        make(narrows.Autoencoder(2))


def test_a_manifold_goes_through_the_quantiles_of_the_prior(variational):
    images = manifold(variational, 4)
    assert images.shape == (4, 4, 8, 8)
    levels = stats.norm.ppf([0.125, 0.375, 0.625, 0.875])
    for row, column in [(0, 0), (3, 1), (2, 3)]:
        code = [[levels[column], levels[3 - row]]]
        np.testing.assert_array_equal(images[row, column], variational.inverse_transform(code)[0])


def test_without_a_prior_it_goes_through_those_of_the_training_codes(digits):
    model = fit(digits[0])
    codes = model.transform(digits[0])
    corners = manifold(model, 2)
    low, high = np.quantile(codes, [0.25, 0.75], axis=0)
    expected = model.inverse_transform([[low[0], high[1]], [high[0], high[1]], [low[0], low[1]], [high[0], low[1]]])
    away = np.abs(corners.reshape(4, 8, 8).astype(float) - expected)
    assert away.mean() < 0.5, "of 16 grey levels"


def test_a_manifold_takes_two_numbers(plain):
    with pytest.raises(InvalidParameterError, match=r"latent dimension 2\. This model has latent dimension 4"):
        manifold(plain)


def test_traversals_vary_one_number_and_leave_the_others(variational, digits):
    found = traversals(variational, digits[1][0], n=5, span=2)
    assert found.records.shape == (2, 5, 8, 8)
    np.testing.assert_array_equal(found.deviations, [-2, -1, 0, 1, 2])
    assert sorted(found.numbers) == [0, 1]
    (own,) = variational.transform(digits[1][:1])
    for row, number in enumerate(found.numbers):
        codes = np.tile(own, (5, 1))
        codes[:, number] = found.deviations
        np.testing.assert_array_equal(found.records[row], variational.inverse_transform(codes))


def test_traversals_come_in_the_order_of_what_they_change(plain, rng):
    found = traversals(plain)
    assert found.records.shape == (4, 11, 8, 8)
    assert (np.diff(found.changes) <= 0).all()
    np.testing.assert_array_equal(found.records[0, 5], found.records[3, 5])  # the mean code
    assert traversals(plain, most=2).numbers == found.numbers[:2]


def test_around_the_mean_code_numbers_go_as_far_as_those_of_records(plain):
    found = traversals(plain, n=3, span=1)
    codes = np.tile(plain.latent_density_.mean, (3, 1)).astype(np.float32)
    first = found.numbers[0]
    codes[:, first] += np.array([-1, 0, 1]) * plain.latent_density_.deviation[first]
    away = found.records[0].astype(int) - plain.inverse_transform(codes)
    assert np.abs(away).max() <= 1, "but for the last bit before rounding"
