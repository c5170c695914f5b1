"""Channels come back, in the same bytes in C and in Python, and take fewer bytes if they resemble each other."""

import contextlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import narrows
from narrows.archive import inspect, series_stored
from narrows.codec import kernels
from narrows.codec.fields import channels
from narrows.codec.fields.block import decode_block, encode_block
from narrows.codec.fields.channels import decode_channels, encode_channels
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.errors import CorruptArchiveError, NarrowsError


def related(n, n_channels, seed=0, own=5):
    """Walks with a part in common, and an own one that is smaller."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 30, (n, 1)) + rng.normal(0, own, (n, n_channels))
    return np.cumsum(steps, axis=0).round().astype(np.int32)


def encoded(values):
    return encode_channels(values[None], ErrorBound(values.dtype, 0))


def decoded(data, values):
    return decode_channels(data, ErrorBound(values.dtype, 0), (1, *values.shape))[0]


def test_channels_come_back_from_the_same_bytes_with_and_without_kernels(monkeypatch):
    values = related(48, 2)
    data = encoded(values).data
    monkeypatch.setattr(kernels, "compiled", None)
    assert encoded(values).data == data
    np.testing.assert_array_equal(decoded(data, values), values)
    monkeypatch.setattr(channels, "_MOST_WITHOUT_KERNELS", 90)
    assert encoded(values) is None


@settings(max_examples=25)
@given(
    arrays.arrays(np.int64, st.tuples(st.integers(1, 30), st.integers(2, 4)), elements=st.integers(-(1 << 52), 1 << 52))
    | arrays.arrays(np.int16, st.tuples(st.integers(1, 30), st.integers(2, 4)))
    | arrays.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(2)))
)
def test_any_channels_come_back_or_are_refused(values):
    coded = encoded(values)
    assert coded is None or decoded(coded.data, values).tobytes() == values.tobytes()


def test_channels_take_fewer_bytes_by_about_what_they_have_in_common():
    values = related(1000, 4)
    apart = sum(len(encode_block(values[:, [k]][None], ErrorBound(values.dtype, 0)).data) for k in range(4))
    # Three of four channels are known within a deviation of about 5 · √1.5 instead of 30: log2 is 2.3 bits a value.
    assert (apart - len(encoded(values).data)) * 8 / 3000 > 1.8


def test_channels_of_other_units_predict_each_other():
    one = related(2000, 1)[:, 0].astype(np.int64)
    values = np.stack([one, 40 * one + np.random.default_rng(1).integers(0, 8, 2000), -(one // 7)], axis=1)
    alone = len(encoded(np.stack([one, one * 0], axis=1)).data)
    assert len(encoded(values).data) < alone + 2000 * (4 + 1.5) / 8


@pytest.mark.parametrize("shape", [(1, 40), (2, 20, 2), (1, 40, 1), (1, 10, 65), (1, 5, 2, 2)])
def test_other_shapes_are_refused(shape):
    records = np.zeros(shape, np.int16)
    assert encode_channels(records, ErrorBound(records.dtype, 0)) is None


def test_damaged_data_give_an_error_by_name_or_other_values():
    values, rng = related(50, 3), random.Random(0)
    data = encoded(values).data
    for _ in range(80):
        broken = bytearray(data)
        broken[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        with contextlib.suppress(NarrowsError):
            decoded(bytes(broken[: rng.choice((len(data), rng.randrange(len(data))))]), values)
    with pytest.raises(CorruptArchiveError, match="after its last channel"):
        decoded(data + b"\0", values)
    with pytest.raises(CorruptArchiveError, match="no channels"):
        decode_block(Kind.BISECTED_CHANNELS, data, ErrorBound(values.dtype, 0), (1, 150))


def test_a_source_with_values_too_far_apart_or_given_twice_is_refused():
    values = np.array([[0, 0], [1 << 40, 1]] * 20)
    assert decoded(encoded(values).data, values).tobytes() == values.tobytes()
    data = bytearray(encoded(values).data)
    first = 2 + data[1]
    assert data[first] == 0, "the second channel has no sources"
    forged = bytes(data[:first]) + bytes([1, 0, 2]) + bytes(data[first + 1 :])
    with pytest.raises(CorruptArchiveError, match="too large values"):
        decoded(forged, values)
    data = encoded(related(400, 3)).data
    twice = data.replace(bytes([2, 0, 1]), bytes([2, 0, 0])).replace(bytes([2, 1, 0]), bytes([2, 1, 1]))
    assert twice != data, "the third channel has two sources"
    with pytest.raises(CorruptArchiveError, match="occurs twice"):
        decoded(twice, related(400, 3))


@pytest.mark.parametrize(("distance", "is_near"), [((1 << 31) - 1, True), (1 << 31, False)])
@pytest.mark.parametrize("first", [0, 1 << 61])
def test_the_distance_of_a_source_is_exact_also_for_units_that_floats_round(first, distance, is_near):
    sources = channels._Sources()
    sources.add(np.array([first, first + distance, first - distance]))
    assert sources.have([0]) is is_near


def test_channels_with_the_mean_of_others_take_only_the_noise_of_rounding():
    rng = np.random.default_rng(2)
    two = rng.normal(0, 300, (1500, 2)).round()
    values = np.column_stack([two, np.floor(two.mean(axis=1) + rng.random(1500))]).astype(np.int16)
    alone = len(encoded(np.ascontiguousarray(values[:, :2])).data)
    assert len(encoded(values).data) - alone < 1.5 * 1500 / 8  # alone it takes 9.8 bits a value


@pytest.mark.parametrize(("lowest", "highest", "shape"), [(0, 2, (700, 2)), (-100, 100, (500, 5))])
def test_archives_of_unrelated_channels_are_never_larger_than_without_prediction(
    lowest, highest, shape, tmp_path, monkeypatch
):
    values = np.random.default_rng(3).integers(lowest, highest, shape, np.int16)
    source = narrows.data.open(values, window=50)
    found = narrows.compress(source, tmp_path / "s.narrows", lossless=True)
    monkeypatch.setattr(series_stored, "_over_channels", lambda *_: float("inf"))
    assert found.n_bytes <= narrows.compress(source, tmp_path / "before.narrows", lossless=True).n_bytes


def test_archives_of_series_predict_channels_from_each_other(tmp_path):
    values = related(800, 3)
    source = narrows.data.open(values, window=50)
    found = narrows.compress(source, tmp_path / "together.narrows", lossless=True)
    assert found.chunks_kept == {"bisection over channels": 1}
    assert inspect(tmp_path / "together.narrows").metadata["over_channels"] == 1
    np.testing.assert_array_equal(narrows.restore(tmp_path / "together.narrows"), values)
    each = [
        narrows.compress(narrows.data.open(values[:, k], window=50), tmp_path / f"{k}.narrows", lossless=True).n_bytes
        for k in range(3)
    ]
    assert found.n_bytes < 0.85 * sum(each)
    narrows.compress(source, tmp_path / "bounded.narrows", max_error=2)
    assert "over_channels" not in inspect(tmp_path / "bounded.narrows").metadata
