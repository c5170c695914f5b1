"""What is kept brings records back: bit for bit, or within the bound, whatever they are."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from narrows.codec.residual.chunk import decode_chunk, encode_chunk
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.predicted import encode_predicted
from narrows.errors import CorruptArchiveError, InvalidParameterError

DTYPES = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
SHAPES = [(1,), (9,), (3, 4), (2, 3, 2), (2, 1, 2, 3)]


def bits(values):
    return np.ascontiguousarray(values).view(np.uint8).tolist()


def brought_back(records, decoded, grid):
    """What comes back of what was kept; the linear kinds with and without code too, smallest or not."""
    for code in (decoded, None):
        kept = encode_predicted(records, code, grid)
        back = decode_chunk(Kind.LINEAR, kept.data, code, grid, records.shape)
        assert bits(back) == bits(kept.restored)
        yield back
    kept = encode_chunk(records, decoded, 10, grid)
    assert len(kept.data) + 10 * kept.needs_code <= records.nbytes
    back = decode_chunk(kept.kind, kept.data, decoded if kept.needs_code else None, grid, records.shape)
    assert bits(back) == bits(kept.restored)
    yield back


@st.composite
def records(draw, dtypes=DTYPES):
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = (draw(st.sampled_from([1, 2, 7])), *draw(st.sampled_from(SHAPES)))
    values = draw(npst.arrays(dtype, shape))
    decoded = draw(npst.arrays(dtype, shape, elements=npst.from_dtype(dtype, allow_nan=False, allow_infinity=False)))
    return values, decoded


@settings(max_examples=12, deadline=None)
@given(records())
def test_lossless_is_bit_for_bit(drawn):
    """NaNs with their payloads, infinities, signed zeros, the ends of every range."""
    values, decoded = drawn
    for back in brought_back(values, decoded, ErrorBound(values.dtype, 0)):
        assert back.dtype == values.dtype
        assert bits(back) == bits(values)


@settings(max_examples=12, deadline=None)
@given(records(["f2", "f4", "f8"]), st.floats(1e-320, 1e300))
def test_floats_stay_within_the_bound(drawn, max_error):
    values, decoded = drawn
    for back in brought_back(values, decoded, ErrorBound(values.dtype, max_error)):
        finite = np.isfinite(values)
        assert bits(back[~finite]) == bits(values[~finite])
        with np.errstate(over="ignore"):
            assert (np.abs(back[finite].astype("g") - values[finite].astype("g")) <= max_error).all()


@settings(max_examples=12, deadline=None)
@given(records(["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]), st.one_of(st.floats(0.5, 99), st.floats(1, 1e19)))
def test_whole_numbers_stay_within_the_bound(drawn, max_error):
    values, decoded = drawn
    for back in brought_back(values, decoded, ErrorBound(values.dtype, max_error)):
        worst = max(abs(int(a) - int(b)) for a, b in zip(back.ravel(), values.ravel(), strict=True))
        assert worst <= max_error


def smooth(rng, n=100):
    """Records of 20×20 that neighbours and a rough code say much about."""
    y, x = np.mgrid[:20, :20] / 20
    phase = rng.uniform(0, 6, (n, 1, 1))
    fine = 100 * np.sin(3 * x + phase) * np.cos(2 * y + phase)
    return fine.astype(np.float32), (fine + rng.normal(0, 1, fine.shape)).astype(np.float32)


def test_smooth_records_take_little_and_less_with_a_looser_bound(rng):
    records, decoded = smooth(rng)
    sizes = [
        len(encode_chunk(records, decoded, 0, ErrorBound(records.dtype, bound)).data) for bound in (0, 0.001, 0.1, 3)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < records.nbytes / 16
    assert sizes[3] < records.nbytes / 100


def test_a_code_that_says_everything_leaves_next_to_nothing(rng):
    records = rng.normal(0, 1, (500, 6, 6)).astype(np.float32)
    kept = encode_chunk(records, records, 0, ErrorBound(records.dtype, 0))
    assert (kept.kind, kept.needs_code) == (Kind.LINEAR, True)
    assert len(kept.data) < records.nbytes / 100


def test_noise_takes_no_more_than_itself(rng):
    records = rng.integers(0, 256, (64, 9, 9)).astype(np.uint8)
    kept = encode_chunk(records, np.zeros_like(records), 50, ErrorBound(records.dtype, 0))
    assert (kept.kind, kept.needs_code, len(kept.data)) == (Kind.PLAIN, False, records.nbytes)


def test_what_repeats_goes_to_zstd(rng):
    records = np.tile(rng.integers(0, 256, (1, 20, 20)).astype(np.uint8), (300, 1, 1))
    kept = encode_chunk(records, np.zeros_like(records), 50, ErrorBound(records.dtype, 0))
    assert kept.kind == Kind.ZSTD


def test_low_bits_that_are_noise_are_kept_as_they_are(rng):
    noise = rng.normal(0, 1, (100, 30))
    kept = encode_predicted(noise, None, ErrorBound(noise.dtype, 0))
    assert len(kept.data) < noise.nbytes * 1.03


@pytest.mark.parametrize("kind", list(Kind))
def test_damage_is_an_error_or_other_records(rng, kind):
    """Checksums find it before; but nothing crashes, hangs, or comes back in another shape."""
    records, decoded = smooth(rng, 40)
    grid = ErrorBound(records.dtype, 0.01)
    data = encode_predicted(records, decoded, grid).data if kind == Kind.LINEAR else bytes(range(200)) * 9
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        damaged = damaged[: rng.integers(len(damaged)) if rng.random() < 0.2 else None]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                back = decode_chunk(kind, bytes(damaged), decoded, grid, records.shape)
        except CorruptArchiveError:
            continue
        assert back.shape == records.shape
        assert back.dtype == records.dtype


@pytest.mark.parametrize("bound", [-1.0, float("nan"), float("inf")])
def test_bounds_that_are_none_are_refused(bound):
    with pytest.raises(InvalidParameterError, match="max_error"):
        ErrorBound(np.dtype("f4"), bound)


def smooth_field():
    y, x = np.mgrid[:96, :96] / 15
    noise = np.random.default_rng(0).normal(0, 0.003, x.shape)
    return (np.sin(x) * np.cos(y) + 0.3 * np.sin(3 * x + y) + noise).astype(np.float32)[None]


@pytest.mark.parametrize("missing", [np.nan, np.inf, -9999.0])
def test_what_is_missing_costs_little_and_spoils_nothing_around_it(missing):
    whole, grid = smooth_field(), ErrorBound(np.dtype("f4"), 0.01)
    holed = whole.copy()
    holed[0, 30:60, 20:70] = missing
    sizes = []
    for records in (whole, holed):
        kept = encode_predicted(records, None, grid)
        back = decode_chunk(Kind.LINEAR, kept.data, None, grid, records.shape)
        finite = np.isfinite(records)
        assert bits(back[~finite]) == bits(records[~finite])
        assert np.abs(back[finite].astype("f8") - records[finite]).max() <= 0.01
        sizes.append(len(kept.data))
    edge = 2 * (30 + 50)
    assert sizes[1] < sizes[0] + 16 * edge


def test_a_single_nan_does_not_make_a_lossless_field_larger():
    whole, grid = smooth_field(), ErrorBound(np.dtype("f4"), 0)
    one = whole.copy()
    one[0, 40, 40] = np.nan
    sizes = [len(encode_predicted(records, None, grid).data) for records in (whole, one)]
    assert sizes[1] < 1.02 * sizes[0]


def test_values_far_beyond_all_others_do_not_spoil_what_is_learned_of_these():
    """Squares of these are 10^36 times those of the others: more than a float can add up with them."""
    walk = np.cumsum(np.random.default_rng(0).integers(-3, 4, (40, 30, 30)), axis=2)
    wild = walk.copy()
    wild[::9, 7, 11] = 2**62
    sizes = []
    for records in (walk, wild):
        grid = ErrorBound(records.dtype, 0)
        kept = encode_predicted(records, None, grid)
        np.testing.assert_array_equal(decode_chunk(Kind.LINEAR, kept.data, None, grid, records.shape), records)
        sizes.append(len(kept.data))
    assert sizes[1] < 1.1 * sizes[0]
