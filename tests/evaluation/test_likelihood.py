"""Bounds on the likelihood of variational models, against a model whose likelihood is known."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import narrows
from narrows import Autoencoder, Training
from narrows.bottlenecks import Gaussian
from narrows.errors import DataError, InvalidParameterError
from narrows.evaluation.likelihood import bounds
from narrows.likelihoods import Bernoulli, Normal
from narrows.networks import Convolutional, Dense
from narrows.training import Callback

NOISE = 0.7


@pytest.fixture(scope="module")
def factors():
    """Return a linear variational model with weights of factor analysis, records of it, and the true mean −log p(x)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    model = Autoencoder(
        2,
        network=Dense(widths=()),
        bottleneck="gaussian",
        likelihood=Normal(scale=NOISE),
        preprocessing=(),
        training=Training(epochs=1, precision="float64"),
        random_state=0,
    ).fit(x)
    w, b = rng.normal(size=(3, 2)), rng.normal(size=3)
    covariance = np.linalg.inv(np.eye(2) + w.T @ w / NOISE**2)  # of the true posterior
    to_mean = covariance @ w.T / NOISE**2
    # The encoder says the true mean, and independent numbers with the true variances: good, but not exact.
    with torch.no_grad():
        decoder, encoder = model.chain_.decoder.layers[0], model.chain_.encoder.layers[0]
        decoder.weight.copy_(torch.from_numpy(w))
        decoder.bias.copy_(torch.from_numpy(b))
        encoder.weight.copy_(torch.from_numpy(np.concatenate([to_mean, np.zeros((2, 3))])))
        log_variance = np.log(np.diag(covariance))
        encoder.bias.copy_(torch.from_numpy(np.concatenate([-to_mean @ b, 12 * np.arctanh(log_variance / 12)])))
    x = rng.normal(size=(500, 2)) @ w.T + b + NOISE * rng.normal(size=(500, 3))
    truth = -stats.multivariate_normal(b, w @ w.T + NOISE**2 * np.eye(3)).logpdf(x).mean()
    return model, x, truth


def test_the_bounds_are_below_the_truth_and_close_in_on_it(factors):
    model, x, truth = factors
    found = [bounds(model.chain_, x, 0, importance_samples=k) for k in (1, 10, 1000)]
    nll = [one["nll_nats_per_record"] for one in found]
    elbo = -found[0]["elbo_nats_per_record"]
    assert elbo > truth
    assert nll[0] == pytest.approx(elbo, abs=0.1), "one sample is the ELBO"
    assert nll[0] > nll[1] > nll[2]
    assert nll[2] == pytest.approx(truth, abs=0.01)


def test_the_elbo_lacks_what_the_posterior_lacks(factors):
    """log p(x) − ELBO = KL(q(z | x) ‖ p(z | x)): here q has no covariances, and the true posterior has."""
    model, x, truth = factors
    w = model.chain_.decoder.layers[0].weight.detach().numpy()
    precision = np.eye(2) + w.T @ w / NOISE**2
    independent = np.diag(np.diag(np.linalg.inv(precision)))
    kl = 0.5 * (np.trace(precision @ independent) - 2 - np.linalg.slogdet(precision @ independent)[1])
    elbo = np.mean([bounds(model.chain_, x, seed)["elbo_nats_per_record"] for seed in range(100)])
    assert -elbo - truth == pytest.approx(kl, abs=0.015)


def test_the_bound_is_the_sum_of_its_parts(factors):
    found = bounds(factors[0].chain_, factors[1], 0)
    parts = found["reconstruction_nats_per_record"] + found["kl_nats_per_record"]
    assert found["elbo_nats_per_record"] == pytest.approx(-parts)
    assert "nll_nats_per_record" not in found


def test_samples_are_taken_a_few_at_a_time(factors, monkeypatch):
    model, x = factors[0], factors[1][:100]
    whole = bounds(model.chain_, x, 0, importance_samples=300)
    monkeypatch.setattr("narrows.evaluation.likelihood._BATCH", 50)
    again = bounds(model.chain_, x, 0, importance_samples=300)
    assert again["nll_nats_per_record"] == pytest.approx(whole["nll_nats_per_record"], abs=0.02)


def test_a_seed_gives_the_same_numbers_and_another_gives_others(factors):
    model, x, _ = factors
    assert bounds(model.chain_, x, 3) == bounds(model.chain_, x, 3)
    assert bounds(model.chain_, x, 3) != bounds(model.chain_, x, 4)


def test_units_that_say_nothing_are_not_active(factors):
    model, x, _ = factors
    assert bounds(model.chain_, x, 0)["active_units"] == 2
    weight = model.chain_.encoder.layers[0].weight
    kept = weight[0].clone()
    with torch.no_grad():
        weight[0] = 0
        assert bounds(model.chain_, x, 0)["active_units"] == 1
        weight[0] = kept


@pytest.mark.usefixtures("chain_only")
def test_evaluate_has_the_bounds_of_variational_models_only(digits):
    model = Autoencoder(2, bottleneck=Gaussian(beta=0.2), training=Training(epochs=4), random_state=0).fit(digits[0])
    usual = narrows.evaluate(model, digits[1])
    assert {"elbo_nats_per_record", "kl_nats_per_record", "active_units"} < set(usual)
    assert "nll_nats_per_record" not in usual
    with_samples = narrows.evaluate(model, digits[1], importance_samples=20)
    assert with_samples["nll_nats_per_record"] < -with_samples["elbo_nats_per_record"]
    assert set(with_samples) - set(usual) == {"nll_nats_per_record"}
    kl = model.chain_.bottleneck(model.chain_.encoder(model.chain_.prepare(torch.from_numpy(digits[1])))).cost / 0.2
    assert usual["kl_nats_per_record"] == pytest.approx(float(kl.detach().mean()), rel=1e-5), "whatever β was"
    plain = Autoencoder(2, training=Training(epochs=1)).fit(digits[0])
    assert "elbo_nats_per_record" not in narrows.evaluate(plain, digits[1])
    with pytest.raises(
        InvalidParameterError, match=r"'importance_samples' of evaluate need a variational model.*'plain'"
    ):
        narrows.evaluate(plain, digits[1], importance_samples=5)
    with pytest.raises(InvalidParameterError, match="The 'importance_samples' of evaluate must be"):
        narrows.evaluate(model, digits[1], importance_samples=-1)


@pytest.mark.usefixtures("chain_only")
def test_bits_per_dimension_are_for_values_that_the_likelihood_is_a_probability_of(digits):
    def bits(likelihood, preprocessing):
        settings = {"likelihood": likelihood, "preprocessing": preprocessing, "training": Training(epochs=1)}
        found = narrows.evaluate(Autoencoder(2, bottleneck="gaussian", **settings).fit(digits[0]), digits[1])
        return found["bits_per_dimension"], -found["elbo_nats_per_record"]

    for settings in (("bernoulli", ("unit-scale", "binarise")), (Bernoulli(dynamic=True), "unit-scale")):
        found, nats = bits(*settings)
        assert found == pytest.approx(nats / 64 / math.log(2))
    assert bits("bernoulli", "unit-scale")[0] is None
    assert bits("normal", "unit-scale")[0] is None


@pytest.mark.usefixtures("chain_only")
@pytest.mark.parametrize("settings", [{}, {"unpooling": "switches"}], ids=str)
def test_decoders_that_need_switches_get_those_of_the_record(settings, digits):
    network = Convolutional(channels=(6,), **settings)
    model = Autoencoder(2, network=network, bottleneck="gaussian", training=Training(epochs=1)).fit(digits[0])
    found = narrows.evaluate(model, digits[1], importance_samples=3)
    assert math.isfinite(found["nll_nats_per_record"])


BEYOND = r"'bernoulli' likelihood is not defined for preprocessed values outside \[0, 1\]. Got 0 to 1.5"


@pytest.mark.usefixtures("chain_only")
@pytest.mark.parametrize("bottleneck", ["plain", "gaussian"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_values_beyond_the_likelihood_are_named_wherever_they_come_in(bottleneck, dynamic, digits):
    settings = {"likelihood": Bernoulli(dynamic=dynamic), "preprocessing": "unit-scale", "training": Training(epochs=1)}
    model = Autoencoder(2, bottleneck=bottleneck, **settings).fit(digits[0] / 255)
    beyond = digits[1] / 170
    for measure in (
        model.score,
        lambda x: narrows.evaluate(model, x),
        lambda x: model.fit(digits[0] / 255, validation=x),
    ):
        with pytest.raises(DataError, match=BEYOND):
            measure(beyond)


@pytest.mark.usefixtures("chain_only")
def test_the_bounds_alone_name_values_beyond_the_likelihood_too(digits):
    settings = {"likelihood": Bernoulli(dynamic=True), "preprocessing": "unit-scale", "training": Training(epochs=1)}
    model = Autoencoder(2, bottleneck="gaussian", **settings).fit(digits[0] / 255)
    with pytest.raises(DataError, match=BEYOND):
        bounds(model.chain_, digits[1] / 170, 0)


def test_validation_data_beyond_the_likelihood_are_refused_before_training(digits):
    class Told(Callback):
        epochs = 0

        def epoch(self, row):
            self.epochs += 1

    told = Told()
    with pytest.raises(DataError, match=BEYOND):
        Autoencoder(2, likelihood="bernoulli", preprocessing="unit-scale", training=Training(epochs=1)).fit(
            digits[0] / 255, validation=digits[1] / 170, callback=told
        )
    assert told.epochs == 0


@pytest.mark.usefixtures("chain_only")
@pytest.mark.parametrize("dynamic", [False, True])
def test_what_rounding_leaves_above_1_is_1(dynamic, digits):
    """Scalers of tables end at 1.0000000000000002, which float32 trains on as 1."""
    x = np.where(digits[0] == 255, 1 + 2e-16, digits[0] / 255)
    assert x.max() > 1
    likelihood = Bernoulli(dynamic=dynamic)
    model = Autoencoder(2, likelihood=likelihood, preprocessing=(), training=Training(epochs=1)).fit(x, validation=x)
    assert model.score(x) == pytest.approx(model.score(x.clip(0, 1)), rel=1e-6)


@pytest.mark.usefixtures("chain_only")
def test_the_loss_that_is_validated_is_that_of_drawn_codes(digits):
    """Of the means alone it would be no bound, and favour codes that say little for certain."""
    model = Autoencoder(
        4, bottleneck="gaussian", likelihood="bernoulli", training=Training(epochs=8), random_state=0
    ).fit(digits[0], validation=digits[1])
    found = narrows.evaluate(model, digits[1])
    assert found["nats_per_record"] == pytest.approx(-found["elbo_nats_per_record"], rel=0.01)
    assert model.history_[-1]["validation_loss"] == pytest.approx(found["nats_per_record"], rel=0.01)
    assert model.score(digits[1]) == model.score(digits[1]), "the same draws each time"
