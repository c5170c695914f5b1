"""The plan of interpolation: nearly the fewest bytes, also where values jump."""

import itertools

import numpy as np
import pytest

from narrows.codec.fields.interpolated import encode_interpolated
from narrows.codec.fields.interpolation import Targets
from narrows.codec.fields.passes import four_axes, orders_of
from narrows.codec.fields.plan import FINENESS, Plan, encode_passes
from narrows.codec.residual.error_bound import ErrorBound

N_HEAD = 9


@pytest.fixture(scope="module")
def shock():
    """Return a field (1, 260, 300) of two smooth parts with a jump between them, and a little noise."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:260, :300] / 100
    behind, ahead = 1 + 0.2 * np.sin(3 * x) * np.cos(2 * y), 4 + 0.1 * np.cos(5 * x - y)
    values = np.where(x + 0.3 * np.sin(2 * y) < 1.5, behind, ahead) + 0.001 * rng.standard_normal(x.shape)
    return values.astype(np.float32)[None]


def test_a_jump_takes_few_bytes(shock):
    grid = ErrorBound(shock.dtype, 0.01 * float(np.ptp(shock)))
    shape = four_axes(shock.shape[1:])
    targets = Targets(*grid.targets(shock.reshape(1, -1)))
    choices = itertools.product(range(len(orders_of(shape))), range(len(FINENESS)), (1, 2, 3))
    sizes = [encode_passes(shape, targets, grid, Plan(*one), most=shock.nbytes).n_bytes() for one in choices]
    found = len(encode_interpolated(shock, grid).data) - N_HEAD
    assert found < 1.1 * min(sizes)
    assert found < 0.7 * max(sizes), "and plans differ much"
