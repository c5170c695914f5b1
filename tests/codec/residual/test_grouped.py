"""Groups of records that a causal network codes one by one."""

import numpy as np
import pytest

import narrows
from narrows.codec import kernels
from narrows.codec.residual.chunk import decode_chunk, encode_chunk
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.grouped import encode_groups
from narrows.codec.residual.predicted import encode_predicted
from narrows.errors import CorruptArchiveError
from narrows.lossless import CausalNetwork
from narrows.networks import Dense

EXACT = ErrorBound(np.dtype(np.uint8), 0)


def images(n, seed=0, levels=256):
    """Return smooth images with some noise."""
    rng = np.random.default_rng(seed)
    waves = np.sin(rng.uniform(0, 6, (n, 1, 1)) + np.arange(8)[:, None] / 2 + np.arange(6) / 3)
    places = np.clip((waves + 1) / 2 * levels + rng.normal(0, 0.02 * levels, waves.shape), 0, levels - 1)
    return (places.astype(int) * (255 // (levels - 1))).astype(np.uint8)


@pytest.fixture(scope="module", params=[256, 4], ids=["values", "levels"])
def trained(request):
    """A network and records, with values and with levels."""
    part = CausalNetwork(n_hidden=8, n_components=2, reach=2, epochs=2)
    model = narrows.Autoencoder(2, network=Dense(widths=(4,)), residual=part, random_state=0)
    model.set_params(training__epochs=1).fit(images(200, levels=request.param))
    return model.codec_.causal, images(37, 1, request.param)


def decode(coded, n, network, wanted=None, grid=EXACT, decoded=None, size=8):
    known = {"causal": network, "group_records": size, "records": wanted}
    return decode_chunk(coded.kind, coded.data, decoded, grid, (n, 8, 6), **known)


@pytest.mark.parametrize("size", [1, 8, 64])
def test_every_group_comes_back_alone(trained, size):
    network, records = trained
    coded = encode_groups(records, None, EXACT, network, size)
    assert coded.kind == (Kind.CAUSAL_GROUPS if network.levels is None else Kind.CAUSAL_LEVELS_GROUPS)
    np.testing.assert_array_equal(decode(coded, 37, network, size=size), records)
    for first in range(0, 37, size):
        group = slice(first, min(first + size, 37))
        np.testing.assert_array_equal(decode(coded, 37, network, group, size=size), records[group])


def test_groups_are_those_of_chunks_of_their_own(trained):
    network, records = trained
    whole = encode_groups(records, None, EXACT, network, 8)
    alone = [encode_groups(records[first : first + 8], None, EXACT, network, 8).data for first in range(0, 37, 8)]

    def bodies(data, n_groups):
        return data[4 + data[0] * n_groups :]  # behind the lengths, whose size is the first byte

    assert bodies(whole.data, 5) == b"".join(bodies(data, 1) for data in alone)


def test_numpy_computes_the_same_as_the_kernels(trained, monkeypatch):
    network, records = trained
    coded = encode_groups(records, None, EXACT, network, 8)
    monkeypatch.setattr(kernels, "compiled", None)
    assert encode_groups(records, None, EXACT, network, 8).data == coded.data
    np.testing.assert_array_equal(decode(coded, 37, network, slice(8, 24)), records[8:24])


@pytest.mark.parametrize("trained", [256], indirect=True)
def test_a_bound_holds_with_and_without_a_code(trained):
    network, records = trained
    grid, decoded = ErrorBound(records.dtype, 5), np.clip(records.astype(int) + 9, 0, 255).astype(np.uint8)
    for code in (None, decoded):
        coded = encode_groups(records, code, grid, network, 8)
        wanted = slice(16, 32)
        back = decode(coded, 37, network, wanted, grid, None if code is None else code[wanted])
        np.testing.assert_array_equal(back, coded.restored[wanted])
        assert np.abs(back.astype(int) - records[wanted]).max() <= 5


def test_values_that_are_no_levels_come_back(trained):
    network, records = trained
    records = records.copy()
    records[11, 2:5, 1] = 77
    coded = encode_groups(records, None, EXACT, network, 8)
    np.testing.assert_array_equal(decode(coded, 37, network), records)
    np.testing.assert_array_equal(decode(coded, 37, network, slice(8, 16)), records[8:16])


def test_groups_take_few_more_bytes_than_a_chunk(trained):
    network, records = trained
    together = len(encode_predicted(records, None, EXACT, network).data)
    assert len(encode_groups(records, None, EXACT, network, 8).data) <= together + 6 * 5


def test_the_smallest_method_is_chosen_among_groups_too(trained):
    network, _ = trained
    many = images(600, 2, 256 if network.levels is None else 4)
    coded = encode_chunk(many, np.zeros_like(many), 10_000, EXACT, network, group_records=32)
    assert len(coded.data) <= len(encode_groups(many, None, EXACT, network, 32).data)


def test_damage_is_found(trained):
    network, records = trained
    coded = encode_groups(records, None, EXACT, network, 8)
    for at in (0, 1, 4, 5, len(coded.data) // 2):
        data = bytearray(coded.data)
        data[at] ^= 0x55
        damaged = type(coded)(coded.kind, False, bytes(data), coded.restored)
        with pytest.raises(CorruptArchiveError):
            decode(damaged, 37, network)
    for data in (b"", coded.data[:3], coded.data[:9], coded.data[:-1], coded.data + b"\0"):
        damaged = type(coded)(coded.kind, False, data, coded.restored)
        with pytest.raises(CorruptArchiveError):
            decode(damaged, 37, network)


def test_a_damaged_group_leaves_the_others(trained):
    network, records = trained
    coded = encode_groups(records, None, EXACT, network, 8)
    data = bytearray(coded.data)
    data[-1] ^= 1
    damaged = type(coded)(coded.kind, False, bytes(data), coded.restored)
    np.testing.assert_array_equal(decode(damaged, 37, network, slice(0, 32)), records[:32])


def test_groups_need_the_number_of_their_records(trained):
    network, records = trained
    coded = encode_groups(records, None, EXACT, network, 8)
    with pytest.raises(CorruptArchiveError, match="declares none"):
        decode(coded, 37, network, size=None)
