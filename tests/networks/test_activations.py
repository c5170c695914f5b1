"""The soft clipping function: between 0 and 1 for any float, and with a slope everywhere."""

import math

import numpy as np
import pytest
import torch

from narrows.networks.activations import INVERTIBLE, SoftClip, activation, inverse_activation

ANY = torch.cat([torch.linspace(-4, 5, 9001), torch.tensor([s * 10.0**k for k in range(1, 39, 4) for s in (-1, 1)])])


def test_it_is_a_difference_of_two_softplus():
    u = np.linspace(-3, 4, 1000)
    by_definition = (np.logaddexp(0, 8 * u) - np.logaddexp(0, 8 * (u - 1))) / 8
    np.testing.assert_allclose(SoftClip()(torch.from_numpy(u)), by_definition, rtol=0, atol=1e-14)
    np.testing.assert_allclose(SoftClip()(torch.from_numpy(u).float()), by_definition, rtol=0, atol=5e-7)


def test_it_never_leaves_0_to_1():
    s = SoftClip()(torch.cat([ANY, torch.tensor([math.inf, -math.inf])]))
    assert float(s.min()) == 0
    assert float(s.max()) == 1


def test_it_nearly_leaves_what_is_between_alone():
    u = torch.linspace(0, 1, 101)
    assert float((SoftClip()(u) - u).abs().max()) < math.log(2) / 8 + 1e-6
    inside = u[(u >= 0.3) & (u <= 0.7)]
    torch.testing.assert_close(SoftClip()(inside), inside, rtol=0, atol=0.011)


def test_its_slope_is_finite_everywhere_and_that_of_the_definition():
    u = ANY.clone().requires_grad_()
    SoftClip()(u).sum().backward()
    assert bool(u.grad.isfinite().all())
    by_definition = torch.sigmoid(8 * ANY.double()) - torch.sigmoid(8 * (ANY.double() - 1))
    torch.testing.assert_close(u.grad.double(), by_definition, rtol=0, atol=1e-4)
    values = torch.linspace(-2, 3, 41, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SoftClip(), values)


def test_its_inverse_undoes_it():
    s = torch.linspace(0.001, 0.999, 999)
    torch.testing.assert_close(SoftClip()(inverse_activation("soft-clip", s)), s, rtol=0, atol=2e-6)


def test_its_inverse_solves_the_equation_of_the_definition():
    y = np.linspace(0.001, 0.999, 999)
    u = inverse_activation("soft-clip", torch.from_numpy(y)).numpy()
    np.testing.assert_allclose((1 + np.exp(8 * u)) / (1 + np.exp(8 * (u - 1))), np.exp(8 * y), rtol=1e-12)


@pytest.mark.parametrize("name", INVERTIBLE.values)
def test_every_inverse_is_finite_for_every_record(name):
    """Also for pixels that the activation function only approaches."""
    u = inverse_activation(name, torch.tensor([0.0, 0.5, 1.0]))
    assert bool(u.isfinite().all())
    torch.testing.assert_close(activation(name)(u), torch.tensor([0.0, 0.5, 1.0]), rtol=0, atol=2e-3)
