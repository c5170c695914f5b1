"""Sums of squares of values of any magnitude."""

import math
import sys

import numpy as np
import pytest

from narrows.numerics.psnr import psnr_db
from narrows.numerics.squares import SquaredSum, exponent_of


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-160, 1.0, 1e160, 1e300])
def test_the_signal_to_noise_ratio_does_not_depend_on_the_unit(unit):
    errors = np.random.default_rng(0).normal(size=1000)
    found = SquaredSum.of(errors * unit).psnr_db(1000, peak=5 * unit)
    assert found == pytest.approx(psnr_db(np.square(errors).mean(), 5.0))


def test_ordinary_sums_have_the_same_bits_as_without_scaling():
    errors = np.random.default_rng(0).normal(size=1000) * 1e-9
    total = SquaredSum.of(errors[:300]) + SquaredSum.of(errors[300:])
    assert float(total) == np.square(errors[:300]).sum() + np.square(errors[300:]).sum()
    assert total.psnr_db(1000, 2.0) == psnr_db(float(total) / 1000, 2.0)


def test_sums_of_very_different_magnitude_are_added():
    tiny, one, huge = (SquaredSum.of(np.array([value])) for value in (1e-250, 1.0, 1e250))
    assert float(tiny + one) == 1
    assert (huge + tiny).psnr_db(1, 1e250) == pytest.approx(0)
    assert float(SquaredSum() + tiny) == float(tiny) == math.ulp(0.0)
    assert SquaredSum() < tiny < one < huge
    assert not any([huge < one, one < one + SquaredSum(), tiny < SquaredSum()])


def test_a_sum_is_zero_only_without_an_error():
    assert float(SquaredSum.of(np.zeros(3))) == 0
    assert float(SquaredSum.of(np.array([5e-324]))) > 0
    assert float(SquaredSum.of(np.array([1e308]))) == sys.float_info.max
    assert float(SquaredSum.of(np.array([np.inf, 1.0]))) == sys.float_info.max
    assert float(SquaredSum.of(np.array([np.nan, 1.0]))) == sys.float_info.max


def test_ordinary_magnitudes_are_not_scaled():
    assert [exponent_of(value) for value in (0.0, 1e-30, 255.0, 1e30, math.inf)] == [0] * 5
    assert exponent_of(1e-100) < -300
