"""Weights with few bits: steps for rows of dense layers by what they matter, and for predictors of symbols."""

import numpy as np
import pytest
import torch
from torch import nn

from narrows.codec.entropy_models import Autoregressive, Predictor
from narrows.codec.entropy_models.coarse_predictor import coarser_predictor
from narrows.codec.freezing.row_gains import row_octaves
from narrows.codec.freezing.translation import Translation
from narrows.codec.parts.tensors import pack_tensor
from narrows.codec.program import Program

GAINS = np.repeat([1.0, 0.5, 1e-3, 0.0], 64)


@pytest.fixture(scope="module")
def stages():
    """Return a dense layer, and a layer that multiplies its outputs by `GAINS` and mixes them."""
    generator = torch.Generator().manual_seed(1)
    first, last = nn.Linear(32, 256), nn.Linear(256, 15)
    with torch.no_grad():
        for layer in (first, last):
            layer.weight.normal_(generator=generator).mul_(0.2)
        last.weight.mul_(torch.from_numpy(GAINS).float())
    return [first, last]


@pytest.fixture(scope="module")
def codes():
    return torch.randn((400, 32), generator=torch.Generator().manual_seed(2))


def whole(stages, octaves):
    """Return the stages in whole numbers."""
    translation = Translation((32,), 11, octaves=octaves)
    for stage, largest in zip(stages, (8.0, 40.0), strict=True):
        translation.add(stage, largest)
    return Program((32,), translation.operations), translation.shift


def test_rows_that_matter_less_are_divided_by_more(stages, codes):
    octaves = row_octaves(stages, codes)
    assert list(octaves) == [stages[0]], "the second layer has few weights"
    mean = octaves[stages[0]].reshape(4, -1).mean(1)
    assert mean[0] < 1.5
    assert mean[1] - mean[0] == pytest.approx(1, abs=0.5)
    assert (mean[2:] == 8).all(), "and no row by more than 2^8"


def test_a_decoder_of_divided_rows_restores_the_same_within_the_precision_of_its_numbers(stages, codes):
    with torch.no_grad():
        wanted = stages[1](stages[0](codes)).numpy()
    inputs = np.rint(codes.numpy() * 2**11).astype(np.int16)
    for octaves in ({}, row_octaves(stages, codes)):
        program, shift = whole(stages, octaves)
        assert [one.name for one in program.operations].count("rescale") == bool(octaves)
        restored = np.ldexp(program.run(inputs).astype(np.float64), -shift)
        assert np.abs(restored - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_rows_of_equal_importance_keep_one_step(codes):
    layer = nn.Linear(32, 256)
    assert row_octaves([layer], codes) == {}


def test_a_layer_that_is_used_twice_keeps_one_step(codes):
    layer = nn.Linear(32, 32)
    assert row_octaves([layer, layer], codes) == {}


@pytest.fixture(scope="module")
def symbols():
    """Return symbols (600, 12), each near the one before."""
    steps = np.random.default_rng(3).laplace(0, 1.5, (600, 12))
    return np.rint(steps.cumsum(1)).astype(np.int32)


def model_of(predictor, symbols):
    return Autoregressive.with_tables_counted(predictor, symbols, unit_scale=16)


@pytest.fixture(scope="module")
def predictor():
    """Return a predictor whose weights have all 16 bits, as those of a trained one have."""
    rng = np.random.default_rng(4)
    n, hidden = 12, 24
    biases_out = np.zeros((1, n, 2), np.int64)
    biases_out[..., 1] = 18 << 20
    return Predictor(
        weights_in=rng.integers(-9000, 9000, (n, hidden)).astype(np.int16),
        weights_near=np.zeros((0, hidden), np.int16),
        biases=rng.integers(-(2**14), 2**14, (1, hidden)),
        weights_out=rng.integers(-40, 40, (n, 2, hidden)).astype(np.int16),
        biases_out=biases_out,
        grid=(1, 1),
        shifts=(17, 20),
        n_scales=37,
        n_phases=8,
    )


def n_bytes(predictor):
    names = ("weights_in", "weights_out", "biases", "biases_out")
    return sum(len(pack_tensor(getattr(predictor, name))[1]) for name in names)


def test_a_coarser_predictor_takes_fewer_bytes_and_hardly_more_bits(predictor, symbols):
    coarse = coarser_predictor(predictor, symbols, model_of)
    assert n_bytes(coarse) < 0.8 * n_bytes(predictor)
    exact, now = (model_of(one, symbols).bits(symbols).sum() for one in (predictor, coarse))
    assert now < 1.0015 * exact


def test_with_few_records_a_predictor_stays(predictor, symbols):
    assert coarser_predictor(predictor, symbols[:100], model_of) is predictor
