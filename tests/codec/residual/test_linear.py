"""Linear prediction: whole numbers that are what they are defined to be, on every machine and in every batch."""

import hashlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from narrows.codec import kernels, rans
from narrows.codec.entropy_models.contract import Coded
from narrows.codec.residual import chunk, predicted
from narrows.codec.residual.chunk import decode_chunk, encode_chunk
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.contract import (
    MOST_RAW_BITS,
    Lattice,
    Residual,
    decode,
    encode,
    in_sixteenths,
    pack_escapes,
)
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.linear import Linear
from narrows.codec.residual.linear_fit import fit_linear
from narrows.codec.residual.mixture import PRECISION
from narrows.codec.residual.neighbours import patterns_of
from narrows.codec.residual.predicted import encode_predicted
from narrows.errors import CorruptArchiveError

SHAPES = [(11,), (4, 5), (3, 2, 4)]


def noisy(dtype, shape, n=40):
    """Records, and what a code might make of them."""
    rng = np.random.default_rng(3)
    waves = 60 + 30 * np.sin(np.arange(np.prod(shape)) / 3 + rng.uniform(0, 6, (n, 1)))
    records = (waves + rng.normal(0, 2, waves.shape)).reshape(n, *shape)
    return records.astype(dtype), waves.reshape(n, *shape).astype(dtype)


@settings(max_examples=100, deadline=None)
@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(1, 1 << 58))
@example((1 << 63) - 1, 1)
@example(-(1 << 63), 16)
def test_sixteenths_are_those_of_whole_numbers_without_limit(distance, step):
    exact = max(-(1 << 60), min(16 * distance // step, 1 << 60))
    assert in_sixteenths(np.array([distance]), step).tolist() == [exact]


@pytest.mark.skipif(kernels.compiled is None, reason="narrows was installed without a compiler")
@pytest.mark.parametrize(
    ("shape", "n", "dtype", "bound"),
    [
        *[((4, 5), 20, dtype, 0) for dtype in ("?", "u1", "i2", "f4", "f8")],
        *[((4, 5), 20, dtype, bound) for dtype, bound in [("u1", 2.5), ("i8", 3), ("f8", 0.1)]],
        ((11,), 20, "u1", 0),
        ((3, 2, 4), 20, "f4", 0.5),
        ((4, 5), 1, "f8", 0),
        ((2, 3), 300, "u1", 0),  # more than are worked on together
        ((3,), 300, "f8", 0),
    ],
)
def test_both_loops_keep_the_same_bytes(monkeypatch, shape, n, dtype, bound):
    records, decoded = noisy(dtype, shape, n)
    grid = ErrorBound(records.dtype, bound)
    for code in (decoded, None):
        data = encode_predicted(records, code, grid).data
        with monkeypatch.context() as patch:
            patch.setattr(kernels, "compiled", None)
            assert encode_predicted(records, code, grid).data == data
            back = decode_chunk(Kind.LINEAR, data, code, grid, records.shape)
        assert back.tobytes() == decode_chunk(Kind.LINEAR, data, code, grid, records.shape).tobytes()
        assert (np.abs(back.astype("g") - records.astype("g")) <= bound).all()


def wild_lattices(draw):
    """Weights, a lattice and steps (V, n) of any size, as only a file that lies has them."""
    shape = draw(st.sampled_from([(1,), (9,), (2, 3), (2, 2, 2)]))
    size = (int(np.prod(shape)), draw(st.sampled_from([1, 3, 257])))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))

    def numbers(size):
        most = draw(st.sampled_from([300, 1 << 40, 1 << 62, (1 << 63) - 1]))
        return rng.integers(-most - 1, most, size, endpoint=True)

    step = draw(st.sampled_from([1, 3, 16, 48, (1 << 49) + 1]))
    raw_bits = draw(st.integers(0, min(MOST_RAW_BITS, 58 - step.bit_length())))
    has_code = draw(st.booleans())
    anchors = numbers(size) if has_code else np.zeros(size, np.int64)
    ends = draw(st.sampled_from([(0, 1), (0, 255), (-(1 << 51), 1 << 51), (-(1 << 63), (1 << 63) - 1)]))
    lattice = Lattice(anchors, step, *ends, has_code, raw_bits)
    n_inputs = [len(p.before) + has_code * (1 + len(p.before) + len(p.after)) for p in patterns_of(shape)]
    weights = [np.clip(numbers(n + 1), -(1 << 62), 1 << 62) for n in n_inputs]
    scales, kinds = rng.integers(0, 64, 96).astype(np.uint8), rng.integers(0, 8, 96).astype(np.uint8)
    model = Linear(shape, weights, scales, kinds, draw(st.integers(0, 7)))
    return model, lattice, numbers(size)


@pytest.mark.skipif(kernels.compiled is None, reason="narrows was installed without a compiler")
@settings(max_examples=12, deadline=None)
@given(st.composite(wild_lattices)())
def test_both_loops_do_the_same_with_weights_and_steps_that_no_encoder_makes(drawn):
    """Sums leave 64 bits, and wrap around in both; low bits are kept, and much is escaped."""
    model, lattice, q = drawn
    values = np.clip(lattice.anchors + lattice.step * q, lattice.lowest, lattice.highest)
    told = []
    for loops in (kernels.compiled, None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "compiled", loops)
            errors, bins = model.start(lattice).errors(values)
            residual = encode(model.start(lattice), q)
            back = decode(model.start(lattice), residual)
        assert np.array_equal(back, values)
        message = residual.coded.message
        told.append((errors.tolist(), bins.tolist(), message.states.tolist(), message.words.tolist(),
                     residual.coded.escapes, residual.raw))  # fmt: skip
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("n_words", "n_escapes", "complaint"),
    [
        (-1, 0, "too few words"),
        (-(10**6), 0, "too few words"),
        (1, 0, r"has \d+ words, but"),
        (0, -1, "too few escaped"),
        (0, -(10**6), "too few escaped"),
        (0, 1, "escaped values. Its symbols use"),
    ],
)
def test_words_and_escapes_must_be_as_many_as_are_used(loops, n_words, n_escapes, complaint):
    values = noisy("i8", (4, 5))[0].reshape(40, -1).T.copy()
    values[3::5, ::7] += 10**6  # out of every window
    lattice = Lattice(np.zeros_like(values), 1, -(1 << 62), 1 << 62, has_code=False)
    model, lattice = fit_linear((4, 5), lattice, values)
    placed = model.start(lattice).intervals(values)
    assert len(placed.escapes) > 10
    message = rans.encode(placed.starts, placed.frequencies, n_lanes=2, precision=PRECISION)
    message = rans.Message(message.states, other_length(message.words, n_words))
    escapes = pack_escapes(other_length(placed.escapes, n_escapes))
    with pytest.raises(CorruptArchiveError, match=complaint):
        decode(model.start(lattice), Residual(Coded(message, escapes), b""))


def other_length(array, by):
    """An array with some more numbers, or without its last ones."""
    return np.resize(array, len(array) + by) if by > 0 else array[: max(0, len(array) + by)]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_any_number_of_threads_reads_the_same(n_threads):
    records, decoded = noisy("f4", (4, 5))
    grid = ErrorBound(records.dtype, 0.5)
    kept = encode_predicted(records, decoded, grid)
    with threadpool_limits(n_threads):
        assert decode_chunk(Kind.LINEAR, kept.data, decoded, grid, records.shape).tobytes() == kept.restored.tobytes()
        again = encode_predicted(records, decoded, grid)
    assert hashlib.sha256(again.data).digest() == hashlib.sha256(kept.data).digest()


@pytest.mark.pairs
@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("value", [0, 1, "highest"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (200, 1, 6, 1)])
def test_constants_take_next_to_nothing(dtype, value, shape):
    dtype = np.dtype(dtype)
    if value == "highest":
        value = 1 if dtype.kind == "b" else (np.finfo if dtype.kind == "f" else np.iinfo)(dtype).max
    records = np.full(shape, value, dtype)
    for bound in (0, 2.5):
        grid = ErrorBound(dtype, bound)
        for code in (records, None):
            kept = encode_predicted(records, code, grid)
            back = decode_chunk(Kind.LINEAR, kept.data, code, grid, shape)
            assert back.tobytes() == kept.restored.tobytes()
            assert (np.abs(back.astype("g") - records.astype("g")) <= bound).all()
            assert len(kept.data) < 400 or dtype.itemsize == 8  # b says no more than 2^45


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_denormals_and_huge_values_beside_each_other(dtype, rng):
    info = np.finfo(dtype)
    pool = np.array([info.smallest_subnormal, info.tiny, info.max, info.min, 0, -0.0, 1, info.eps], dtype)
    records = rng.choice(pool, (30, 3, 4))
    decoded = rng.choice(pool, (30, 3, 4))
    for bound in (0, 1e-30, 0.5, 1e30, 1e308):
        grid = ErrorBound(records.dtype, bound)
        for code in (decoded, None):
            back = decode_chunk(Kind.LINEAR, encode_predicted(records, code, grid).data, code, grid, records.shape)
            assert (np.abs(back.astype("g") - records.astype("g")) <= bound).all()


def test_records_with_too_many_values_are_not_predicted(monkeypatch):
    """It would take hours: an operation or more for each value."""
    records, decoded = noisy("u1", (4, 5))
    grid = ErrorBound(records.dtype, 0)
    data = encode_predicted(records, decoded, grid).data
    for module in (chunk, predicted):
        monkeypatch.setattr(module, "MOST_VALUES", 19)
    assert encode_chunk(records, decoded, 0, grid).kind in {Kind.ZSTD, Kind.PLAIN}
    with pytest.raises(CorruptArchiveError, match="sizes that are not allowed for its records"):
        decode_chunk(Kind.LINEAR, data, decoded, grid, records.shape)


@pytest.mark.parametrize(
    ("at", "value"),
    [(4, 0), (4, 5000), (8, 10**6), (20, 57), (0, 10**9), (12, 1), (16, 1)],
    ids=["no-lanes", "lanes", "words", "low-bits", "weights", "escapes", "exceptions"],
)
def test_sizes_that_cannot_be(at, value):
    records, decoded = noisy("u1", (4, 5))
    data = bytearray(encode_predicted(records, decoded, ErrorBound(records.dtype, 0)).data)
    data[at : at + (1 if at == 20 else 4)] = value.to_bytes(1 if at == 20 else 4, "little")
    with pytest.raises(CorruptArchiveError):
        decode_chunk(Kind.LINEAR, bytes(data), decoded, ErrorBound(records.dtype, 0), records.shape)


def test_too_few_lanes_for_many_values_are_refused():
    """Each row takes time of its own."""
    shape = (4096, 1000)
    head = predicted.SIZES.pack(0, 1, 0, 0, 0, 0) + bytes(4)
    with pytest.raises(CorruptArchiveError, match="sizes that are not allowed for its records"):
        decode_chunk(Kind.LINEAR, head, None, ErrorBound(np.dtype("u1"), 0), shape)


def test_coarse_steps_beyond_what_is_summed_in_64_bits_are_refused():
    head = predicted.SIZES.pack(0, 1, 0, 0, 0, 50) + bytes(4 + 7)
    with pytest.raises(CorruptArchiveError, match="sizes that are not allowed for its records"):
        decode_chunk(Kind.LINEAR, head, None, ErrorBound(np.dtype("i8"), 1e12), (1, 1))
