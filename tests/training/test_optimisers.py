"""Each optimiser against its formula, written a second way in NumPy."""

import numpy as np
import pytest
import torch

from narrows.bottlenecks import Plain
from narrows.chain import Chain, Parts
from narrows.likelihoods import Normal
from narrows.networks import Dense
from narrows.training import SGD, Adadelta, Adam, AdamW, Constant, Optimiser, Records, Stage, Training, train

STEPS = 12
START = np.array([[1.0, -2.0, 0.5], [0.3, 3.0, -0.1]])
TARGET = np.array([[0.5, 1.0, -1.0], [0.0, 2.0, 2.0]])


def slope(w):
    """Return the gradient of Σ (w − target)⁴ / 4 + sin w."""
    return (w - TARGET) ** 3 + np.cos(w)


def adam(part):
    w, mean, square = START.copy(), 0.0, 0.0
    for t in range(1, STEPS + 1):
        g = slope(w)
        w = w - part.learning_rate * part.weight_decay * w
        mean = part.beta1 * mean + (1 - part.beta1) * g
        square = part.beta2 * square + (1 - part.beta2) * g**2
        unbiased, spread = mean / (1 - part.beta1**t), np.sqrt(square / (1 - part.beta2**t))
        w = w - part.learning_rate * unbiased / (spread + part.epsilon)
    return w


def sgd(part):
    w, velocity = START.copy(), 0.0
    for _ in range(STEPS):
        g = slope(w) + part.weight_decay * w
        velocity = part.momentum * velocity + g
        w = w - part.learning_rate * (g + part.momentum * velocity if part.nesterov else velocity)
    return w


def adadelta(part):
    w, square, moved = START.copy(), 0.0, 0.0
    for _ in range(STEPS):
        g = slope(w)
        square = part.rho * square + (1 - part.rho) * g**2
        step = np.sqrt(moved + part.epsilon) / np.sqrt(square + part.epsilon) * g
        moved = part.rho * moved + (1 - part.rho) * step**2
        w = w - part.learning_rate * step
    return w


@pytest.mark.parametrize(
    ("part", "formula"),
    [
        (Adam(learning_rate=0.05), adam),
        (Adam(learning_rate=0.05, beta1=0.5, beta2=0.9, epsilon=0.1), adam),
        (Adam(learning_rate=0.05, weight_decay=0.3), adam),
        (Adam(learning_rate=0.05, beta1=0), adam),
        (AdamW(learning_rate=0.05), adam),
        (SGD(learning_rate=0.02), sgd),
        (SGD(learning_rate=0.02, momentum=0.9), sgd),
        (SGD(learning_rate=0.02, momentum=0.9, nesterov=True), sgd),
        (SGD(learning_rate=0.02, weight_decay=0.5), sgd),
        (Adadelta(), adadelta),
        (Adadelta(learning_rate=0.5, rho=0.8, epsilon=1e-3), adadelta),
    ],
    ids=lambda one: getattr(one, "__name__", None) or repr(one),  # no addresses, which differ between processes
)
def test_an_optimiser_takes_the_steps_of_its_formula(part, formula):
    w = torch.nn.Parameter(torch.from_numpy(START.copy()))
    optimiser = part.build([w])
    for _ in range(STEPS):
        optimiser.zero_grad()
        ((w - torch.from_numpy(TARGET)).pow(4) / 4 + w.sin()).sum().backward()
        optimiser.step()
    assert np.abs(w.detach().numpy() - START).max() > 0.001
    np.testing.assert_allclose(w.detach(), formula(part), rtol=1e-9)


def test_every_optimiser_is_tested_here_and_has_a_learning_rate():
    assert set(Optimiser.registry) == {"adam", "adamw", "sgd", "adadelta"}
    assert all(part().learning_rate > 0 for part in Optimiser.registry.values())


def test_the_loop_takes_plain_gradient_steps_on_the_mean_loss():
    """Two epochs of SGD on a linear autoencoder, every gradient by hand."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 4))
    parts = Parts(n_latent=2, network=Dense(widths=()), bottleneck=Plain(), likelihood=Normal(scale=0.5**0.5))
    chain = Chain(parts, (4,), np.dtype(np.float64), torch.Generator().manual_seed(0)).double()
    weights = {name: weight.detach().numpy().copy() for name, weight in chain.named_parameters()}
    (w, b), (v, c) = [
        (weights[f"{half}.layers.0.weight"], weights[f"{half}.layers.0.bias"]) for half in ("encoder", "decoder")
    ]
    settings = Training(
        epochs=2,
        batch_size=3,
        optimiser=SGD(learning_rate=0.05),
        schedule=Constant(),
        shuffle=False,
        precision="float64",
    )
    (history,) = train([Stage(chain, Records(x, torch.device("cpu")), None, settings)], chain, seed=0)

    sums = []
    for _ in range(2):
        total = 0.0
        for start in (0, 3, 6):
            batch = x[start : start + 3]
            h = batch @ w.T + b
            error = h @ v.T + c - batch
            total += np.square(error).sum()
            by_output = 2 * error / len(batch)
            by_code = by_output @ v
            v, c, w, b = (
                v - 0.05 * by_output.T @ h,
                c - 0.05 * by_output.sum(axis=0),
                w - 0.05 * by_code.T @ batch,
                b - 0.05 * by_code.sum(axis=0),
            )
        sums.append(total / 7)
    for ours, theirs in zip(
        (chain.encoder.layers[0].weight, chain.encoder.layers[0].bias, chain.decoder.layers[0].weight),
        (w, b, v),
        strict=True,
    ):
        np.testing.assert_allclose(ours.detach(), theirs, rtol=1e-9)
    constant = 4 * 0.5 * np.log(np.pi)
    np.testing.assert_allclose([row.loss for row in history], np.array(sums) + constant, rtol=1e-9)
