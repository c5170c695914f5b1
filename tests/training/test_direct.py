"""Steps without autograd compute what autograd computes."""

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, Training
from narrows.corruptions import Masking
from narrows.likelihoods import Bernoulli, Normal
from narrows.networks import Dense
from narrows.numerics.randomness import Stream, generator
from narrows.penalties import L1
from narrows.training import Records
from narrows.training.direct import direct_step
from narrows.training.squared_errors import SquaredErrors, squares_of

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 6, 5), dtype=np.uint8)
EXAMPLES = {
    "tied": {"network": Dense(widths=(7,), activation="tanh", code_activation="sigmoid", tied=True)},
    "free": {"network": Dense(widths=(7, 6), code_activation="relu", output_activation="sigmoid")},
    "one layer, tied": {"network": Dense(widths=(), tied=True, output_activation="tanh")},
    "cross-entropy": {"network": Dense(widths=(7,)), "likelihood": Bernoulli()},
    "corruption": {"network": Dense(widths=(7,)), "likelihood": Bernoulli(), "corruption": Masking()},
    "mean squared error": {"network": Dense(widths=(7,)), "likelihood": Normal(scale="mean")},
    "float64": {"network": Dense(widths=(7,)), "training": Training(epochs=1, precision="float64")},
}


def chain_of(**parts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.estimators.fitting.train_on", _no_training)
        with pytest.raises(InterruptedError) as caught:
            Autoencoder(
                **{"n_latent": 3, "bottleneck": "plain", "preprocessing": "unit-scale", **_defaults(parts)}
            ).fit(IMAGES)
    return caught.value.args[0].train()


def _defaults(parts):
    return {"likelihood": Normal(), "random_state": 0, "training": Training(epochs=1), **parts}


def _no_training(device, stages, *args, **kwargs):
    raise InterruptedError(stages[-1].learner)


def noise():
    return generator(0, Stream.NOISE, 0)


@pytest.mark.parametrize("example", EXAMPLES)
def test_loss_gradients_and_squared_errors_are_those_of_autograd(example):
    chain, records = chain_of(**EXAMPLES[example]), Records(IMAGES, CPU)
    direct = direct_step(chain, records)
    assert direct is not None
    for n in (30, 7, 30):  # the memory of a step is used again
        batch = records.take(torch.arange(n))
        terms, expected = chain.loss(batch, noise()), SquaredErrors(CPU)
        expected.add(squares_of(terms))
        wanted = torch.autograd.grad(terms.total.mean(), list(chain.parameters()))
        found = SquaredErrors(CPU)
        loss = direct.backward(batch, noise(), found)
        got = [weight.grad for weight in chain.parameters()]
        torch.testing.assert_close(loss, terms.total.mean().detach(), rtol=1e-6, atol=0)
        for one, other in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6 * float(other.abs().max()))
        assert found.mean() == pytest.approx(expected.mean(), rel=1e-6)


def test_the_cross_entropy_is_exact_for_extreme_logits():
    module = Bernoulli().build((17,)).double()
    a = (
        torch.tensor([-800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0], dtype=torch.float64)
        .repeat(17, 5)
        .T[:34]
        .contiguous()
    )
    x = torch.rand(a.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = a.clone().requires_grad_()
    exact = -module.log_prob(wanted, x).mean()
    loss, gradient = module.loss_and_gradient(a, x)
    torch.testing.assert_close(loss, exact.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, *torch.autograd.grad(exact, wanted), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize(
    "parts",
    [
        {"penalties": (L1(),)},
        {"likelihood": Normal(scale="learned")},
        {"likelihood": Bernoulli(dynamic=True)},
        {"bottleneck": "gaussian"},
        {"network": Dense(widths=(7,), activation="elu")},
        {"network": Dense(widths=(7,), linear_path=True)},
        {"network": "strided"},
    ],
    ids=str,
)
def test_autograd_computes_all_other_models(parts):
    assert direct_step(chain_of(**{"network": Dense(widths=(7,)), **parts}), Records(IMAGES, CPU)) is None


def test_autograd_computes_weighted_records():
    chain = chain_of(network=Dense(widths=(7,)))
    weighted = Records(IMAGES, CPU).weighted(np.arange(40.0), None, torch.float32)
    assert direct_step(chain, weighted) is None


def test_frozen_weights_are_left_to_autograd():
    chain = chain_of(network=Dense(widths=(7,)))
    chain.encoder.last_layer.weight.requires_grad_(False)
    assert direct_step(chain, Records(IMAGES, CPU)) is None


def test_a_run_is_that_of_autograd(monkeypatch):
    model = narrows.recipe(
        "deep-tied", training__epochs=2, random_state=0, artefacts=(), n_latent=3, network__widths=(8,)
    )
    direct = model.fit(IMAGES)
    losses, weights = [row["loss"] for row in direct.history_], direct.chain_.state_dict()
    monkeypatch.setattr("narrows.training.loop.direct_step", lambda *args: None)
    ordinary = model.fit(IMAGES)
    assert losses == pytest.approx([row["loss"] for row in ordinary.history_], rel=1e-5)
    for name, value in ordinary.chain_.state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-5)
