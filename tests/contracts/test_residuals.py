"""Residuals: what is learned says what values cost, and frozen it says the same."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone

import narrows
from narrows.archive import inspect
from narrows.archive.chunks import read_chunk
from narrows.codec.residual.causal import as_image
from narrows.codec.residual.contract import Lattice, encode
from narrows.errors import InvalidParameterError, ModelFileError
from narrows.lossless import CausalNetwork
from narrows.numerics.randomness import Stream, generator
from narrows.training import Records, Stage
from narrows.training.loop import train


def blobs(rng, n, shape=(12, 10)):
    """Images of a soft blob each, on black; in colour if the shape has channels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    cy, cx, size = rng.uniform(3, 8, (3, n, 1, 1))
    gray = np.clip(300 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / size) - 20, 0, 255)
    if len(shape) == 3:
        gray = gray[..., None] * np.array([1, 0.7, 0.4])
    return gray.astype(np.uint8)


@pytest.fixture(scope="module", params=[(12, 10), (12, 10, 3)], ids=str)
def learned(request):
    """A part, its trained module, and records that it was not trained on."""
    rng = np.random.default_rng(1)
    part = CausalNetwork(n_hidden=16, n_components=3, reach=2, epochs=10)
    records, test = blobs(rng, 300, request.param), blobs(rng, 100, request.param)
    module = part.build(request.param, records.dtype, generator(0, Stream.WEIGHTS))
    train([Stage(module, Records(records, torch.device("cpu")), None, part.training(300))], module, seed=0)
    return part, module, records, torch.from_numpy(test)


def test_every_value_has_a_share_and_all_together_make_one(learned):
    _, module, _, test = learned
    image = module.images(test[:1])
    parameters = module.parameters_of(*module.everywhere(module.padded(image), 0), 0)
    every = torch.arange(256.0)[:, None].expand(256, 12 * 10)
    with torch.no_grad():
        nats = torch.stack([module._nats(parameters, value) for value in every])
    assert torch.exp(-nats).sum(0).numpy() == pytest.approx(1, abs=1e-3)


def test_a_value_depends_on_nothing_that_comes_later(learned):
    _, module, _, test = learned
    later = test[:1].clone()
    later[0, 6, 5:] += 90
    later[0, 7:] += 90
    with torch.no_grad():
        before, after = (
            module.parameters_of(*module.everywhere(module.padded(module.images(records)), 0), 0)
            for records in (test[:1], later)
        )
    same = (before == after).all(1)
    assert same[: 6 * 10 + 6].all()  # the changed pixel itself included
    assert not same.all()


def test_values_of_0_that_see_only_0_cost_what_they_cost_alone(learned):
    """They share one evaluation of the network for each place."""
    _, module, _, test = learned
    sparse = torch.where(test > 200, test, 0)
    assert 0 < (sparse == 0).float().mean() < 1
    planes = module.padded(module.images(sparse))
    with torch.no_grad():
        shared = module.loss(sparse).total
        alone = 0
        for channel in range(module.grid[2]):
            parameters = module.parameters_of(*module.everywhere(planes, channel), channel)
            values = module.images(sparse)[..., channel].flatten().to(parameters.dtype)
            alone = alone + module._nats(parameters, values).reshape(len(test), -1).sum(1)
    torch.testing.assert_close(shared, alone, rtol=1e-4, atol=1e-2)


def test_in_whole_numbers_it_costs_what_it_said_in_floats(learned):
    part, module, records, test = learned
    frozen = part.freeze(module, torch.from_numpy(records[:100]))
    values = test.numpy().reshape(len(test), -1).T[as_image(module.shape)[1]].astype(np.int64)
    lattice = Lattice(np.zeros_like(values), 1, 0, 255, has_code=False)
    n_bits = 8 * encode(frozen.start(lattice), values).n_bytes
    with torch.no_grad():
        expected = float(module.loss(test).total.sum()) / math.log(2)
    assert n_bits == pytest.approx(expected, rel=0.03)


@pytest.mark.pairs
@pytest.mark.parametrize(("shape", "dtype"), [((12, 10), "u1"), ((12, 10, 3), "u1"), ((12, 10), "?")], ids=str)
@pytest.mark.parametrize("n_hidden", [1, 7, 40])
@pytest.mark.parametrize("learning_rate", [1e-3, 0.1])
def test_what_is_frozen_needs_no_sums_of_more_than_32_bits(rng, shape, dtype, n_hidden, learning_rate):
    """So that the inner loop runs it: trained a little, or to where weights are wild."""
    records = blobs(rng, 64, shape)
    records = records > 90 if dtype == "?" else records
    part = CausalNetwork(n_hidden=n_hidden, reach=2, epochs=4, learning_rate=learning_rate)
    module = part.build(shape, records.dtype, generator(0, Stream.WEIGHTS))
    train([Stage(module, Records(records, torch.device("cpu")), None, part.training(64))], module, seed=0)
    assert part.freeze(module, torch.from_numpy(records)).is_narrow(module.highest)


def test_a_part_of_the_rows_says_about_what_all_say(learned):
    _, module, _, test = learned
    with torch.no_grad():
        whole = module.loss(test).total.mean()
        parts = torch.stack([module.loss(test, torch.Generator().manual_seed(seed)).total.mean() for seed in range(30)])
    assert float(parts.mean()) == pytest.approx(float(whole), rel=0.1)


def test_a_model_keeps_it_and_archives_use_it(rng, tmp_path):
    """Noise on blobs with hard edges, to which linear prediction has no answer."""
    records = np.where(blobs(rng, 400) > 90, rng.integers(200, 256, (400, 12, 10)), 0).astype(np.uint8)
    records, test = records[:300], records[300:]
    part = CausalNetwork(n_hidden=16, n_components=3, reach=2, epochs=25)
    model = narrows.Autoencoder(n_latent=4, residual=part, random_state=0).set_params(training__epochs=1).fit(records)
    path, archive = tmp_path / "m.safetensors", tmp_path / "a.narrows"
    model.save(path)
    for embed in (False, True):
        narrows.compress(test, archive, model=path, lossless=True, embed_model=embed, force=True)
        np.testing.assert_array_equal(narrows.restore(archive, model=None if embed else path), test)
        with narrows.open_archive(archive, model=None if embed else path) as opened:
            assert read_chunk(opened._source, opened.metadata, opened._index, 0).residual.kind.uses_network
    with_it = inspect(archive).records_bytes
    without = clone(model).set_params(residual=None).fit(records)
    narrows.compress(test, archive, model=without, lossless=True, force=True)
    assert with_it < inspect(archive).records_bytes


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_hidden", 4), ("n_components", 1), ("reach", 1), ("epochs", 2), ("learning_rate", 1e-3)],
)
def test_every_option_changes_the_result(rng, name, value):
    records = blobs(rng, 64)

    def nats(**options):
        part = CausalNetwork(**{"n_hidden": 8, "n_components": 2, "reach": 2, "epochs": 1} | options)
        module = part.build((12, 10), records.dtype, generator(0, Stream.WEIGHTS))
        train([Stage(module, Records(records, torch.device("cpu")), None, part.training(64))], module, seed=0)
        return module.loss(torch.from_numpy(records)).total.mean().item()

    assert nats() != nats(**{name: value})


@pytest.mark.parametrize(
    ("shape", "dtype"), [((7,), np.uint8), ((8, 8), np.float32), ((8, 8), np.int16), ((8, 8, 8), np.uint8)]
)
def test_records_that_it_is_of_no_use_for_are_refused_before_training(shape, dtype):
    model = narrows.Autoencoder(n_latent=2, residual="causal")
    with pytest.raises(InvalidParameterError, match="residual"):
        model.fit(np.zeros((20, *shape), dtype))


def test_a_network_of_other_records_is_no_part_of_a_codec(codec_model, learned):
    part, module, records, _ = learned
    with pytest.raises(ModelFileError, match="does not fit the model's records"):
        codec_model.codec_.with_causal(part.freeze(module, torch.from_numpy(records[:10])))
