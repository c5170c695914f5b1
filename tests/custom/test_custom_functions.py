"""Losses and penalties of users."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import narrows
from narrows import Autoencoder, Training
from narrows.errors import InvalidParameterError, TrainingDivergedError
from narrows.networks import Dense


@pytest.fixture(autouse=True)
def _chain_only(chain_only):
    pass


def make(**params):
    return Autoencoder(4, **{"training": Training(epochs=3, batch_size=20), **params}, random_state=0)


def test_the_loss_of_a_record_is_that_of_the_function(x):
    def absolute(x_hat, x):
        return (x_hat - x).abs().flatten(1).sum(1)

    ours = make(likelihood=absolute, preprocessing=()).fit(x)
    assert -ours.score(x) == pytest.approx(np.abs(ours.reconstruct(x) - x).sum((1, 2)).mean(), rel=1e-5)
    squared = make(likelihood=lambda x_hat, x: (x_hat - x).square().flatten(1).sum(1), preprocessing=()).fit(x)
    assert np.abs(ours.reconstruct(x) - squared.reconstruct(x)).max() > 0.01
    evaluated = narrows.evaluate(ours, x)
    assert evaluated["nats_per_record"] == pytest.approx(-ours.score(x))


def test_the_same_loss_trains_the_same_model(x):
    """The Laplace likelihood at scale 1 is the absolute error and a constant."""
    network = Dense(widths=(9,))
    theirs = make(likelihood="laplace", network=network).fit(x)
    ours = make(likelihood=lambda x_hat, x: (x_hat - x).abs().flatten(1).sum(1), network=network).fit(x)
    np.testing.assert_allclose(ours.transform(x), theirs.transform(x), atol=1e-4)


def test_a_module_as_a_loss_is_not_trained(x):
    class Perceptual(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Linear(30, 7)

        def forward(self, x_hat, x):
            return (self.features(x_hat.flatten(1)) - self.features(x.flatten(1))).square().sum(1)

    loss = Perceptual()
    model = make(likelihood=loss, network=Dense(widths=(9,))).fit(x)
    seen = model.chain_.likelihood.functions[0].features.weight
    assert torch.equal(seen, loss.features.weight)
    assert not any("features" in name for name in model.chain_.state_dict())


def test_penalties_change_the_code_and_count_in_the_loss(x):
    long = Training(epochs=30, batch_size=20)

    def size(**params):
        return np.abs(make(network=Dense(widths=(9,)), **params).fit(x).transform(x)).mean()

    def large(z):
        return 300 * z.abs().sum(1)

    free = size(training=long)
    assert size(penalties=[large], training=long) < 0.7 * free
    assert size(penalties=large, training=long) < 0.7 * free
    both = make(penalties=["l1", lambda z, x: 0 * x.flatten(1).sum(1) + 7, lambda z: z.new_tensor(5.0)]).fit(x)
    without = make(penalties=["l1"]).fit(x)
    assert without.score(x) - both.score(x) == pytest.approx(12, abs=0.05), "a single number counts for each record"


def test_draws_of_functions_follow_from_the_random_state(x):
    model = make(likelihood=lambda x_hat, x: (x_hat - x + torch.rand_like(x)).square().flatten(1).sum(1),
                 penalties=[lambda z: (z * torch.rand(4)).sum(1)])  # fmt: skip
    torch.manual_seed(1)
    first = model.fit(x).transform(x)
    torch.manual_seed(2)
    np.testing.assert_array_equal(model.fit(x).transform(x), first)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"likelihood": nn.MSELoss()}, r"The loss MSELoss must return one number for each record: a Tensor of shape "
                                       r"\(20,\) for arguments of shape \(20, 6, 5\)\. Got the shape \(\)\. Sum over"),
        ({"likelihood": lambda x_hat, x: 3.0}, r"Got 3\.0"),
        ({"likelihood": int}, r"The likelihood must be a likelihood \(.* a likelihood object, or a function\)"),
        ({"penalties": [lambda z: z]}, r"The penalty <lambda> must return one number for each record, .*codes of shape "
                                       r"\(20, 4\)\. Got the shape \(20, 4\)"),
        ({"penalties": [lambda chain, x, h: 0]}, r"Got a function with the arguments \(chain, x, h\)"),
        ({"penalties": [lambda: 0]}, r"Got a function with the arguments \(\)"),
        ({"penalties": [int]}, "each a penalty"),
        ({"penalties": [3]}, "each a penalty"),
        ({"likelihood": lambda x_hat, x: x, "fill_value": -9.0}, "does not support a 'fill_value'"),
    ],
)  # fmt: skip
def test_functions_that_do_not_fit_are_refused(x, params, message):
    with pytest.raises(InvalidParameterError, match=message):
        make(**params).fit(x)


def test_records_are_not_drawn_from_a_loss(x, mine):
    model = make(likelihood=mine.absolute).fit(x)
    with pytest.raises(InvalidParameterError, match="cannot be drawn from the loss absolute"):
        model.chain_.likelihood.sample(torch.zeros(2, 6, 5), torch.Generator())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"likelihood": lambda a: a}, r"The loss <lambda> must be .* arguments \(x_hat, x\)\. Got .* \(a\)\."),
        ({"network": lambda shape: None}, r"The network must be .* arguments \(shape, n_latent\)\. Got .* \(shape\)"),
        ({"penalties": [lambda z, *, weight: z]}, r"The penalty <lambda> must be .* arguments \(z\)\. Got"),
        ({"likelihood": nn.Flatten()}, r"The loss Flatten must be .* \(x_hat, x\)\. Got .*\(input: "),
    ],
    ids=["loss", "network", "penalty", "module"],
)
def test_functions_with_other_arguments_are_refused_before_they_are_called(x, params, message):
    with pytest.raises(InvalidParameterError, match=message):
        make(**params).fit(x)


def test_a_module_as_a_penalty_gets_what_its_forward_takes(x):
    class Far(nn.Module):
        def forward(self, z, x):
            assert x.shape[1:] == (6, 5)
            return z.square().sum(1)

    assert make(penalties=[Far()]).fit(x).history_


@pytest.mark.parametrize(
    "loss",
    [
        lambda x_hat, x: (x_hat - x).square().flatten(1).sum(1).detach(),
        lambda x_hat, x: (x_hat > x).flatten(1).sum(1),
        lambda x_hat, x: torch.from_numpy((x_hat - x).detach().numpy()).flatten(1).sum(1),
    ],
    ids=["detached", "comparison", "NumPy"],
)
def test_a_loss_without_a_gradient_is_refused(x, loss):
    with pytest.raises(InvalidParameterError, match=r"The loss <lambda> must be differentiable .* x_hat"):
        make(likelihood=loss).fit(x)


@pytest.mark.parametrize(
    "penalty",
    [
        lambda z: z.abs().sum(1).detach(),
        lambda z: (z > 0).sum(1).float(),
        lambda z: torch.from_numpy(z.detach().numpy()).square().mean(),
    ],
    ids=["detached", "comparison", "NumPy"],
)
def test_a_penalty_without_a_gradient_is_refused(x, penalty):
    with pytest.raises(InvalidParameterError, match=r"The penalty <lambda> must be differentiable .* argument, z"):
        make(penalties=[penalty]).fit(x)


def test_a_gradient_to_weights_of_the_function_alone_is_none(x):
    class Features(nn.Linear):
        def forward(self, z):
            return super().forward(z.detach().flatten(1)).square().sum(1)

    with pytest.raises(InvalidParameterError, match=r"The penalty .*Features must be differentiable"):
        make(penalties=[Features(4, 2)]).fit(x)
    loss = nn.Linear(30, 2)
    with pytest.raises(InvalidParameterError, match=r"The loss .* must be differentiable"):
        make(likelihood=lambda x_hat, x: loss((x_hat.detach() - x).flatten(1)).square().sum(1)).fit(x)


def test_a_penalty_without_a_gradient_is_measured_where_none_is_needed(x):
    model = make(penalties=[lambda z: z.abs().sum(1)]).fit(x)
    assert model.score_samples(x).shape == (len(x),)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"likelihood": lambda x_hat, x: (x_hat - x).flatten(1).sum(1) / 0.0 * 0}, "the loss <lambda>"),
        ({"penalties": [lambda z: z.sum(1) * float("nan")]}, "the penalty <lambda>"),
    ],
    ids=["loss", "penalty"],
)
def test_a_function_that_returns_nan_in_the_first_step_is_named_and_the_learning_rate_is_not(x, params, code):
    with pytest.raises(TrainingDivergedError, match=f"before any weight was changed. Check that {code} of") as error:
        make(**params).fit(x)
    assert "learning rate" not in str(error.value)


def test_a_function_with_a_gradient_that_is_not_finite_is_named_besides_the_learning_rate(x):
    def distance(x_hat, x):
        return (x_hat - x_hat.detach()).square().flatten(1).sum(1).sqrt()  # its gradient at 0 is NaN

    with pytest.raises(TrainingDivergedError, match=r"learning rate of .* Also check the loss .*distance of the model"):
        make(likelihood=distance).fit(x)


def test_without_code_of_users_the_first_step_blames_the_data_alone(x, monkeypatch):
    monkeypatch.setattr(
        "narrows.likelihoods.normal.NormalModule.log_prob", lambda self, y, x: y.flatten(1).sum(1) * math.nan
    )
    with pytest.raises(TrainingDivergedError, match=r"was changed\. Look for extreme values in the data\.$"):
        make(network=Dense(widths=(9,), activation="silu"), likelihood="normal").fit(x)
