"""Networks for images that have few of the values of their dtype: they predict positions in the list of these."""

import numpy as np
import pytest
import torch

import narrows
from narrows.codec.residual.chunk import decode_chunk, encode_chunk
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.levels import Levels
from narrows.codec.residual.predicted import encode_predicted
from narrows.errors import CorruptArchiveError, InvalidParameterError, ModelFileError
from narrows.estimators.value_counts import few_levels
from narrows.lossless import CausalNetwork
from narrows.networks import Dense
from narrows.training import Records

LEVELS = (0, 5, 90, 91, 255)
EXACT = ErrorBound(np.dtype(np.uint8), 0)


def images(n=40, seed=0, levels=LEVELS):
    """Return smooth images that have these levels only."""
    rng = np.random.default_rng(seed)
    waves = np.sin(rng.uniform(0, 6, (n, 1, 1)) + np.arange(8)[:, None] / 2 + np.arange(6) / 3)
    places = np.clip((waves + 1) / 2 * len(levels) + rng.normal(0, 0.1, waves.shape), 0, len(levels) - 1)
    return np.array(levels, np.uint8)[places.astype(int)]


@pytest.fixture(scope="module")
def model():
    part = CausalNetwork(n_hidden=8, n_components=2, reach=2, epochs=4)
    fitted = narrows.Autoencoder(2, network=Dense(widths=(4,)), residual=part, random_state=0)
    return fitted.set_params(training__epochs=1).fit(images(300))


@pytest.fixture(scope="module")
def network(model):
    return model.codec_.causal


def test_the_network_has_the_values_of_the_training_records(network):
    assert network.levels.tolist() == list(LEVELS)
    assert (network.lowest, network.highest) == (0, len(LEVELS) - 1)


def test_values_are_replaced_by_positions():
    grid = Levels(np.dtype(np.uint8), 0, levels=LEVELS)
    values = images()
    assert (grid.units(values) <= 4).all()
    np.testing.assert_array_equal(grid.values(grid.units(values)), values)


def test_records_come_back_in_fewer_bytes_than_without_levels(network):
    records = images(60, seed=1)
    coded = encode_predicted(records, None, EXACT, network)
    assert coded.kind == Kind.CAUSAL_LEVELS
    back = decode_chunk(coded.kind, coded.data, None, EXACT, records.shape, causal=network)
    np.testing.assert_array_equal(back, records)
    assert len(coded.data) < 0.8 * len(encode_predicted(records, None, EXACT).data)


@pytest.mark.parametrize("value", [0, 1, 89, 92, 254])
def test_values_that_are_no_levels_come_back_too(network, value):
    records = images(9, seed=2)
    records[3, 2:5, 1] = value
    coded = encode_predicted(records, None, EXACT, network)
    back = decode_chunk(coded.kind, coded.data, None, EXACT, records.shape, causal=network)
    np.testing.assert_array_equal(back, records)


def test_noise_comes_back(network):
    noise = np.random.default_rng(3).integers(0, 256, (5, 8, 6), np.uint8)
    coded = encode_predicted(noise, None, EXACT, network)
    np.testing.assert_array_equal(decode_chunk(coded.kind, coded.data, None, EXACT, noise.shape, causal=network), noise)


def test_within_a_bound_the_network_is_lossless(network):
    records, bound = images(20), ErrorBound(np.dtype(np.uint8), 3)
    coded = encode_predicted(records, None, bound, network)
    assert coded.data == encode_predicted(records, None, EXACT, network).data
    back = decode_chunk(coded.kind, coded.data, None, bound, records.shape, causal=network)
    np.testing.assert_array_equal(back, records)


def test_the_network_is_used_where_it_is_smallest(network):
    records = images(400, seed=5)
    coded = encode_chunk(records, np.zeros_like(records), 10_000, EXACT, network)
    smallest = min(len(encode_predicted(records, None, EXACT, one).data) for one in (None, network))
    assert len(coded.data) <= smallest


def test_a_chunk_of_another_kind_of_network_is_refused(network):
    records = images(4)
    coded = encode_predicted(records, None, EXACT, network)
    for kind, decoded in ((Kind.CAUSAL, None), (Kind.CAUSAL_LEVELS, records)):
        with pytest.raises(CorruptArchiveError, match="another kind"):
            decode_chunk(kind, coded.data, decoded, EXACT, records.shape, causal=network)


@pytest.mark.parametrize(
    "levels", [[0, 5, 90, 91], [0, 5, 5, 91, 255], [5, 0, 90, 91, 255], [-1, 5, 90, 91, 255], [0, 5, 90, 91, 65536]]
)
def test_levels_that_do_not_fit_the_network_are_refused(network, levels):
    settings, tensors = network.to_tensors()
    with pytest.raises(ModelFileError, match="levels"):
        type(network).from_tensors(settings, tensors | {"levels": np.array(levels, np.int64)})


def test_levels_that_are_no_values_of_the_records_are_refused(model, network):
    settings, tensors = network.to_tensors()
    other = type(network).from_tensors(settings, tensors | {"levels": np.array([0, 5, 90, 91, 256])})
    with pytest.raises(ModelFileError, match="does not fit"):
        model.codec_.with_causal(other)


def test_a_saved_model_writes_the_same_archive(model, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "narrows.archive.chunk_encoding.encode_chunk",
        lambda records, _decoded, _n_code, grid, causal, **_: encode_predicted(records, None, grid, causal),
    )
    model.save(tmp_path / "m.safetensors")
    records = images(50, seed=4)
    for name, maker in (("a", model), ("b", narrows.load(tmp_path / "m.safetensors"))):
        made = narrows.compress(records, tmp_path / name, model=maker, lossless=True)
        assert set(made.chunks_kept) == {"network"}
        np.testing.assert_array_equal(narrows.restore(tmp_path / name, model=maker), records)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def records_of(values):
    return Records(values, torch.device("cpu"))


def test_few_levels_are_those_of_the_training_records():
    assert few_levels(records_of(images()), None) == LEVELS


@pytest.mark.parametrize(
    "values",
    [
        np.arange(256, dtype=np.uint8).reshape(4, 8, 8),  # many
        np.zeros((4, 8, 8), np.uint8),  # one
        images().astype(np.float32),  # not whole numbers
    ],
)
def test_no_levels_where_there_are_many_or_one_or_no_bytes(values):
    assert few_levels(records_of(values), None) is None


def test_no_levels_where_held_out_records_have_others():
    held_out = images()
    assert few_levels(records_of(images()), records_of(held_out)) == LEVELS
    held_out[0, 0, 0] = 77
    assert few_levels(records_of(images()), records_of(held_out)) is None


@pytest.mark.parametrize("levels", [(0,), (3, 3), (9, 3), (-1, 4), (0, 256)])
def test_a_network_refuses_levels_that_are_not_ascending_bytes(levels):
    with pytest.raises(InvalidParameterError, match="ascending"):
        CausalNetwork(n_hidden=2).build((8, 8), np.dtype(np.uint8), torch.Generator(), levels)
