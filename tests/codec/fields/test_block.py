"""Blocks of fields: within the bound whatever the values are, the same bytes with and without compiled kernels."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.codec import kernels
from narrows.codec.fields.adaptive import BitCoder, new_states, start_decoder, start_encoder, take_bytes
from narrows.codec.fields.block import decode_block, encode_block
from narrows.codec.fields.interpolated import decode_interpolated, encode_interpolated
from narrows.codec.fields.passes import four_axes, orders_of, passes_of
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.errors import CorruptArchiveError

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("bool", "int8", "uint8", "int16", "uint32", "int64", "uint64")


def smooth(*shape, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    waves = [np.sin(np.arange(n) * rng.uniform(0.05, 0.5) + rng.uniform(0, 6)) for n in shape]
    values = np.ones(())
    for wave in waves:
        values = np.multiply.outer(values, wave)
    return (100 * values + rng.normal(0, 0.5, shape)).astype(dtype)


def assert_restored(records, max_error, coded, *, decode=decode_block):
    grid = ErrorBound(records.dtype, max_error)
    restored = decode(coded.kind, coded.data, grid, records.shape)
    assert restored.dtype == records.dtype
    assert restored.tobytes() == coded.restored.tobytes()
    if max_error == 0:
        assert restored.tobytes() == records.tobytes()
        return
    special = ~np.isfinite(records) if records.dtype.kind == "f" else np.zeros(records.shape, bool)
    assert restored[special].tobytes() == records[special].tobytes()
    wide = object if records.dtype.kind in "iu" and records.itemsize == 8 else np.longdouble
    distance = np.abs(restored[~special].astype(wide) - records[~special].astype(wide))
    assert (distance <= max_error).all()


@st.composite
def arrays(draw):
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    dtype = np.dtype(draw(st.sampled_from(FLOATS + INTEGERS)))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    kind = draw(st.sampled_from(["smooth", "noise", "constant", "bits"]))
    if kind == "bits":  # huge and tiny values, NaNs of every kind, infinities, zeros of both signs
        data = rng.bytes(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(data, np.uint8 if dtype.kind == "b" else dtype).astype(dtype).reshape(shape)
    scale = 10.0 ** draw(st.integers(-30, 30)) if dtype.kind == "f" else 1.0
    values = {"smooth": np.cumsum, "noise": lambda x: x, "constant": lambda x: np.full_like(x, x.flat[0])}[kind](
        rng.normal(size=int(np.prod(shape)))
    )
    with np.errstate(over="ignore", invalid="ignore"):
        array = (values * (scale if dtype.kind == "f" else 40)).reshape(shape).astype(dtype)
    if dtype.kind == "f" and draw(st.booleans()):
        array.flat[:: draw(st.integers(1, 5))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return array


@settings(max_examples=40, deadline=None)
@given(arrays(), st.sampled_from([0.0, 1e-300, 1e-30, 1e-3, 0.7, 5.0, 1e30, 1e300]), st.booleans())
def test_no_value_of_any_array_is_further_from_its_original_than_the_bound(array, bound, as_records):
    records = array if as_records and array.ndim > 1 else array[None]
    coded = encode_block(records, ErrorBound(records.dtype, bound))
    assert_restored(records, bound, coded)
    assert len(coded.data) <= records.nbytes


@settings(max_examples=25, deadline=None)
@given(arrays(), st.sampled_from([0.0, 1e-3, 0.7, 1e30]))
def test_interpolation_alone_keeps_the_bound(array, bound):
    coded = encode_interpolated(array[None], ErrorBound(array.dtype, bound))
    if coded is not None:
        assert_restored(array[None], bound, coded)


@pytest.mark.parametrize("shape", [(40,), (6, 7), (3, 4, 5), (3, 2, 3, 2), (2, 3, 1, 3, 2), (1, 1), (1, 17, 1)])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_numpy_and_the_kernels_write_and_read_the_same_bytes(shape, dtype, monkeypatch):
    if kernels.compiled is None:
        pytest.skip("needs the compiled kernels")
    records, grid = smooth(2, *shape, dtype=dtype), ErrorBound(np.dtype(dtype), 1.5)
    compiled = encode_interpolated(records, grid)
    monkeypatch.setattr(kernels, "compiled", None)
    written = encode_interpolated(records, grid)
    if compiled is None:  # too few values to be worth a header
        assert written is None
        return
    assert written.data == compiled.data
    assert decode_interpolated(compiled.data, grid, records.shape).tobytes() == compiled.restored.tobytes()


def test_numpy_and_the_kernels_agree_on_values_whose_sums_wrap_around(monkeypatch):
    if kernels.compiled is None:
        pytest.skip("needs the compiled kernels")
    records = np.random.default_rng(0).integers(-(1 << 63), 1 << 63, (1, 6, 7), dtype=np.int64)
    grid = ErrorBound(records.dtype, 1e5)
    compiled = encode_interpolated(records, grid)
    monkeypatch.setattr(kernels, "compiled", None)
    written = encode_interpolated(records, grid)
    assert (compiled is None) == (written is None)
    if compiled is not None:
        assert written.data == compiled.data


def test_missing_values_cost_next_to_nothing_where_they_form_regions():
    field = smooth(60, 80)
    holes = field.copy()
    holes[20:40, 10:50] = np.nan
    grid = ErrorBound(field.dtype, 0.5)
    whole, with_holes = (encode_block(one[None], grid) for one in (field, holes))
    assert_restored(holes[None], 0.5, with_holes)
    assert len(with_holes.data) < len(whole.data) + 100


def test_a_fill_value_is_kept_exactly():
    field = smooth(20, 30)
    field[3:9, 4:8] = -9999
    grid = ErrorBound(field.dtype, 0.5, fill_value=-9999)
    restored = encode_block(field[None], grid).restored[0]
    assert ((restored == -9999) == (field == -9999)).all()


def test_smooth_fields_take_a_small_part_of_what_prediction_from_one_side_takes():
    from narrows.codec.residual.predicted import encode_predicted

    field = np.sin(np.arange(150)[:, None] / 9) * np.cos(np.arange(150) / 13)
    grid = ErrorBound(field.dtype, 0.01)
    assert len(encode_block(field[None], grid).data) < 0.5 * len(encode_predicted(field[None], None, grid).data)


def test_noise_takes_no_more_than_its_own_size():
    noise = np.frombuffer(np.random.default_rng(0).bytes(8 * 4000), np.float64).reshape(1, 40, 100)
    coded = encode_block(noise, ErrorBound(noise.dtype, 0))
    assert coded.kind in {Kind.PLAIN, Kind.INTERPOLATED}
    assert len(coded.data) <= noise.nbytes


@pytest.mark.parametrize("shape", [(7,), (6, 9), (4, 5, 3), (2, 3, 2, 3)])
def test_every_value_but_the_first_has_exactly_one_pass(shape):
    sides = four_axes(shape)
    for order in orders_of(sides):
        seen = np.zeros(sides, int)
        seen[0, 0, 0, 0] = 1
        for part in passes_of(sides, order):
            starts = [first * part.stride for first in part.first]
            gaps = [gap * part.stride for gap in part.spacing]
            places = [start + gap * np.arange(n) for start, gap, n in zip(starts, gaps, part.counts, strict=True)]
            for offset in part.stencil(3).pairs:
                for sign in (1, -1):
                    moved = zip(places, offset, sides, strict=True)
                    near = [_mirrored(place // part.stride, sign * o, n, part.stride) for place, o, n in moved]
                    assert seen[np.ix_(*near)].all()  # all neighbours are known
            seen[np.ix_(*places)] += 1
        assert (seen == 1).all()


def _mirrored(index, offset, length, stride):
    last = (length - 1) // stride
    moved = np.abs(index + offset)
    return np.maximum(np.minimum(moved, 2 * last - moved), 0) * stride


def test_bits_come_back_from_their_bytes():
    rng = np.random.default_rng(0)
    bits = (rng.random(3000) < np.repeat([0.001, 0.5, 0.97], 1000)).astype(int).tolist()
    state, buffer = start_encoder(4000)
    coder, states = BitCoder(state, buffer, is_decoding=False), new_states(2)
    for bit in bits:
        coder.adaptive(states, (0, 1), bit)
        coder.bit(65_000, bit)
    coder.store(state)
    data = take_bytes(state, buffer)
    state, buffer = start_decoder(data)
    coder, states = BitCoder(state, buffer, is_decoding=True), new_states(2)
    assert [(coder.adaptive(states, (0, 1), 0), coder.bit(65_000, 0)) for _ in bits] == [(bit, bit) for bit in bits]


def test_damaged_data_give_an_error_by_name_or_other_values():
    records = smooth(1, 12, 15)
    grid = ErrorBound(records.dtype, 0.5)
    data = encode_interpolated(records, grid).data
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[at] = rng.integers(0, 256)
        cut = bytes(damaged[: rng.integers(0, len(data) + 1)])
        for one in (bytes(damaged), cut):
            with contextlib.suppress(CorruptArchiveError):
                assert decode_interpolated(one, grid, records.shape).shape == records.shape
