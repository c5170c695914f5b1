"""Coarser weights of a network of residuals: smaller models, at the cost of few bits of the records."""

import numpy as np
import pytest
import torch

from narrows.codec.freezing import coarse_network
from narrows.codec.freezing.coarse_network import coarser_network
from narrows.codec.parts.tensors import pack_tensor
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.predicted import encode_predicted
from narrows.lossless import CausalNetwork
from narrows.numerics.randomness import Stream, generator
from narrows.training import Records, Stage
from narrows.training.loop import train

EXACT = ErrorBound(np.dtype(np.uint8), 0)


def images(n, seed):
    rng = np.random.default_rng(seed)
    waves = np.sin(rng.uniform(0, 6, (n, 1, 1)) + np.arange(10)[:, None] / 2 + np.arange(8) / 3)
    return np.clip(128 + 90 * waves + rng.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def network():
    part, records = CausalNetwork(n_hidden=24, n_components=3, reach=2, epochs=6), images(400, 0)
    module = part.build((10, 8), records.dtype, generator(0, Stream.WEIGHTS))
    train([Stage(module, Records(records, torch.device("cpu")), None, part.training(400))], module, seed=0)
    return part.freeze(module, torch.from_numpy(records[:100]))


def n_bytes(network):
    return sum(len(pack_tensor(tensor)[1]) for tensor in network.to_tensors()[1].values())


def coded_bytes(network):
    return len(encode_predicted(images(300, 1), None, EXACT, network).data)


def test_the_model_is_much_smaller_and_other_records_are_hardly_larger(network):
    coarse = coarser_network(network, images(400, 0), 2_000)
    assert n_bytes(coarse) < 0.6 * n_bytes(network)
    assert coded_bytes(coarse) < 1.02 * coded_bytes(network)


def test_more_records_have_a_finer_network(network):
    few, many = (coarser_network(network, images(400, 0), n) for n in (200, 200_000))
    assert n_bytes(few) < n_bytes(many)
    assert coded_bytes(few) > coded_bytes(many)


def test_sums_that_fit_32_bits_still_do(network, monkeypatch):
    """Networks with larger sums cannot use the compiled kernels."""
    most = network.largest_sum(255)
    monkeypatch.setattr(type(network), "is_narrow", lambda self, highest: self.largest_sum(highest) <= most)
    monkeypatch.setattr(coarse_network, "_FACTORS", (1.4, 1.0, 0.7, 0.5))
    for n in (200, 2_000, 200_000):
        assert coarser_network(network, images(400, 0), n).largest_sum(255) <= most
