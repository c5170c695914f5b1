"""The denoising autoencoder of the Theano tutorial: its training costs, and the whole run a second way in NumPy.

Without corruption nothing in the run is random, so that the costs are those of the tutorial's program to its digits.
"""

import math

import numpy as np
import pytest

import narrows

FLOAT64 = {"training__precision": "float64"}


def costs_by_numpy(images, n_epochs, *, tied):
    """Return the mean cost of every epoch: one sigmoid layer and back, plain gradient steps of 0.1 on batches of 20."""
    x_all = images.reshape(len(images), -1) / 256
    state = np.random.RandomState(123)
    state.randint(2**30)  # the tutorial seeds Theano's generator of noise with it
    bound = 4 * math.sqrt(6 / (x_all.shape[1] + 500))
    w = state.uniform(-bound, bound, (x_all.shape[1], 500))
    v = w.T if tied else state.uniform(-bound, bound, (500, x_all.shape[1]))
    b, c = np.zeros(500), np.zeros(x_all.shape[1])
    means = []
    for _ in range(n_epochs):
        costs = []
        for x in np.split(x_all, len(x_all) // 20):
            h = 1 / (1 + np.exp(-(x @ w + b)))
            x_hat = 1 / (1 + np.exp(-(h @ v + c)))
            costs.append(-(x * np.log(x_hat) + (1 - x) * np.log(1 - x_hat)).sum(axis=1).mean())
            by_output = (x_hat - x) / len(x)
            by_code = by_output @ v.T * h * (1 - h)
            w_step, v_step = x.T @ by_code, h.T @ by_output
            w = w - 0.1 * (w_step + v_step.T if tied else w_step)
            v = w.T if tied else v - 0.1 * v_step
            b, c = b - 0.1 * by_code.sum(axis=0), c - 0.1 * by_output.sum(axis=0)
        means.append(np.mean(costs))
    return means


def costs(images, **changes):
    model = narrows.recipe("da", random_state=0, **changes).fit(images)
    return [row["loss"] for row in model.history_]


@pytest.mark.usefixtures("chain_only")
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "free"])
def test_two_epochs_on_400_images_cost_what_they_cost_in_numpy(tied, mnist_images):
    images = mnist_images[0][:400]
    ours = costs(images, network__tied=tied, corruption__level=0, training__epochs=2, **FLOAT64)
    np.testing.assert_allclose(ours, costs_by_numpy(images, 2, tied=tied), rtol=1e-6)


@pytest.mark.usefixtures("chain_only")
def test_corruption_untying_and_precision_change_the_cost(mnist_images):

    def cost(**changes):
        return costs(mnist_images[0][:200], training__epochs=1, **changes)[0]

    clean = cost(corruption__level=0)
    assert cost(corruption=None) == clean < cost(corruption__level=0.1) < cost()
    assert cost(corruption__level=0, network__tied=False) != clean
    exact = cost(corruption__level=0, **FLOAT64)
    assert exact != clean
    assert exact == pytest.approx(clean, rel=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_curve_of_the_tutorial_to_its_digits(mnist_images):
    found = costs(mnist_images[0][:50_000], corruption__level=0, **FLOAT64)
    np.testing.assert_allclose([found[0], found[1], found[14]], [63.289, 55.787, 52.440], atol=0.01)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_curve_under_masking(mnist_images):
    """The tutorial's masks came from another generator; the mean of so many records hardly depends on that."""
    found = costs(mnist_images[0][:50_000])
    np.testing.assert_allclose([found[0], found[14]], [81.75, 65.6], atol=0.3)
