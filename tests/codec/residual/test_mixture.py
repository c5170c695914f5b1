"""Mixtures of logistics: frequencies that are what they are defined to be, and bits that are what they cost."""

from decimal import Decimal

import numpy as np
import pytest

from narrows.codec import kernels, rans
from narrows.codec.residual.mixture import N_SCALES, PRECISION, SIGMOID, SLOPES, TOTAL, Mixture, scale_of


def mixture_of(rng, n=500, n_components=3, window=40, wide=2000):
    weights = rng.integers(0, 1000, (n_components, n))
    weights = weights * TOTAL // np.maximum(weights.sum(0), 1)
    weights[0] += TOTAL - weights.sum(0)
    means, scales = rng.integers(-wide, wide, (n_components, n)), rng.integers(0, N_SCALES, (n_components, n))
    lows = means[0] // 16 - window // 2
    return Mixture(weights.astype(np.int32), means, scales.astype(np.int32), lows, window)


def by_definition(mixture, record, j):
    """F(j), one number at a time, in whole numbers of any size."""
    size = mixture.window
    if j in (0, size - 1, size):
        return {0: 0, size - 1: 65535, size: 65536}[j]
    mass = 0
    for weight, mean, scale in zip(
        mixture.weights[:, record].tolist(), mixture.means[:, record].tolist(), mixture.scales[:, record], strict=True
    ):
        distance = max(-(1 << 24), min(16 * (int(mixture.lows[record]) + j) - 8 - mean, 1 << 24))
        z = max(-2048, min(distance * int(SLOPES[scale]) >> 16, 2048))
        mass += weight * int(SIGMOID[2048 + z])
    return j + ((65536 - size) * mass >> 31)


def test_the_tables_are_what_their_formulas_say_in_forty_digits():
    for entry, found in zip(range(-2048, 2049, 7), SIGMOID[::7], strict=True):
        assert found == round(65536 / (1 + (-Decimal(entry) / 128).exp()))
    for scale, found in enumerate(SLOPES):
        assert found == round(65536 * 128 * Decimal(2) ** (2 - Decimal(scale) / 4))


@pytest.mark.parametrize("window", [2, 3, 40, 8192])
def test_frequencies_are_those_of_the_definition(rng, loops, window):
    mixture = mixture_of(rng, n=40, window=window)
    places = rng.integers(0, window - 1, 40)
    starts, frequencies, escaped = mixture.intervals(mixture.lows + places)
    assert not escaped.any()
    for record, j in enumerate(places.tolist()):
        start, end = by_definition(mixture, record, j), by_definition(mixture, record, j + 1)
        assert (starts[record], frequencies[record]) == (start, end - start)


@pytest.mark.parametrize("window", [40, 8192])
@pytest.mark.parametrize("n_lanes", [1, 7, 500])
def test_values_come_back_and_those_out_of_the_window_are_escapes(rng, loops, n_lanes, window):
    mixture = mixture_of(rng, window=window)
    values = mixture.lows + rng.integers(-5, window + 10, 500)
    values[:2] = (1 << 62), -(1 << 62)
    starts, frequencies, escaped = mixture.intervals(values)
    assert 0 < escaped.sum() < 200
    message = rans.encode(starts[None], frequencies[None], n_lanes=n_lanes, precision=PRECISION)
    decoder = rans.Decoder(message, precision=PRECISION)
    found, is_escape = mixture.values_of(decoder.pop_mixture(500, mixture))
    decoder.finish()
    assert np.array_equal(is_escape, escaped)
    assert np.array_equal(found[~escaped], values[~escaped])


@pytest.mark.skipif(kernels.compiled is None, reason="narrows was installed without a compiler")
def test_both_loops_write_the_same_words(rng, monkeypatch):
    mixture = mixture_of(rng)
    values = mixture.lows + rng.integers(-2, 41, 500)
    placed = mixture.intervals(values)
    monkeypatch.setattr(kernels, "compiled", None)
    for one, other in zip(placed, mixture.intervals(values), strict=True):
        assert np.array_equal(one, other)


def test_what_is_drawn_from_a_logistic_costs_its_entropy(rng):
    """A logistic of scale s has ln s + 2 nats."""
    n, width = 20_000, 40.0
    values = np.rint(rng.logistic(100.3, width, n)).astype(np.int64)
    means = np.full((1, n), round(100.3 * 16))
    scales = np.broadcast_to(scale_of(np.array(width * 16)), (1, n)).astype(np.int32)
    mixture = Mixture(np.full((1, n), TOTAL, np.int32), means, scales, np.full(n, 100 - 512), 1025)
    _, frequencies, _ = mixture.intervals(values)
    bits = (PRECISION - np.log2(frequencies)).mean()
    assert bits == pytest.approx((np.log(width) + 2) / np.log(2), abs=0.05)


def test_every_value_of_a_window_can_be_coded(rng, loops):
    """However sure a mixture is of another."""
    n = 41
    sure = Mixture(np.full((1, n), TOTAL, np.int32), np.zeros((1, n), np.int64), np.zeros((1, n), np.int32),
                   np.full(n, -20), n + 1)  # fmt: skip
    _, frequencies, escaped = sure.intervals(np.arange(n) - 20)
    assert frequencies.min() == 1
    assert not escaped.any()
    assert frequencies[20] > 65000
