"""Every operation against whole numbers in plain Python; what a file may say about one; how it proves its sums."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.codec.operations import (
    GRU,
    LSTM,
    Argmax,
    Branches,
    Clip,
    Codebook,
    Convolution,
    Dense,
    Lookup,
    Operation,
    Relu,
    Rescale,
    Reshape,
    Transpose,
    TransposedConvolution,
    Upsample,
)
from narrows.codec.program import Program
from narrows.errors import ModelFileError

ENDS = (-32768, 32767)
BACKENDS = ("float64", "int64", "torch")


def run(operation, x, **kwargs):
    return Program(x.shape[1:], [operation]).run(x, **kwargs)


def round_shift(v, shift):
    return (v + (1 << shift >> 1)) >> shift


def clip16(v):
    return min(max(v, ENDS[0]), ENDS[1])


def int16(seed, *shape):
    """Return 16-bit integers, many of them at the ends."""
    rng = np.random.default_rng(seed)
    anything = rng.integers(-32768, 32768, shape)
    return np.where(rng.random(shape) < 0.3, rng.choice(ENDS, shape), anything).astype(np.int16)


def biases(seed, n):
    return np.random.default_rng(seed).integers(-(2**40), 2**40, n)


# Each operation a second time, one value after the other in Python's whole numbers


def plain_dense(operation, x):
    rows = [[int(w) for w in row] for row in operation.weights]
    return [
        [
            clip16(round_shift(sum(w * int(v) for w, v in zip(row, record, strict=True)) + int(b), operation.shift))
            for row, b in zip(rows, operation.biases, strict=True)
        ]
        for record in x
    ]


def plain_convolution(operation, x):
    n_out, n_in, kh, kw = operation.weights.shape
    (n, h, w, _), (top, left) = x.shape, operation.padding
    y = np.zeros((n, h + 2 * top - kh + 1, w + 2 * left - kw + 1, n_out), int)
    for record, row, column, o in np.ndindex(y.shape):
        total = int(operation.biases[o])
        for c, i, j in np.ndindex(n_in, kh, kw):
            u, v = row + i - top, column + j - left
            if 0 <= u < h and 0 <= v < w:
                total += int(operation.weights[o, c, i, j]) * int(x[record, u, v, c])
        y[record, row, column, o] = clip16(round_shift(total, operation.shift))
    return y


def plain_transposed(operation, x):
    (n_in, n_out, kh, kw), (n, h, w, _) = operation.weights.shape, x.shape
    y = np.zeros((n, *operation.out_shape(x.shape[1:])), object) + operation.biases.astype(object)
    for record, u, v, c, o, i, j in np.ndindex(n, h, w, n_in, n_out, kh, kw):
        row = u * operation.stride[0] + i - operation.padding[0]
        column = v * operation.stride[1] + j - operation.padding[1]
        if 0 <= row < y.shape[1] and 0 <= column < y.shape[2]:
            y[record, row, column, o] += int(operation.weights[c, o, i, j]) * int(x[record, u, v, c])
    return np.vectorize(lambda v: clip16(round_shift(v, operation.shift)))(y)


def plain_lookup(operation, x):
    m = 16 - int(math.log2(len(operation.table) - 1))

    def look_up(v):
        u = int(v) + 32768
        i = u >> m
        here = int(operation.table[i])
        rise = int(operation.table[i + 1]) - here
        return round_shift((here << m) + rise * (u - (i << m)), m)

    return np.vectorize(look_up)(x)


def plain_rescale(operation, x):
    factors = operation.multipliers.reshape(x.shape[1:])
    return [
        [clip16(round_shift(int(v) * int(m), operation.shift)) for v, m in zip(r.ravel(), factors.ravel(), strict=True)]
        for r in x
    ]


@pytest.mark.pairs
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shift", [0, 1, 15, 24])
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (5, 3), (70, 9)])
def test_dense(n_in, n_out, shift, backend):
    operation, x = Dense(int16(1, n_out, n_in), biases(2, n_out), shift), int16(3, 4, n_in)
    assert run(operation, x, backend=backend).tolist() == plain_dense(operation, x)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("maps", "n_out", "kernel", "padding"),
    [
        ((4, 5, 3), 6, (3, 3), (1, 1)),
        ((4, 5, 12), 1, (3, 3), (1, 1)),
        ((6, 3, 20), 3, (5, 1), (2, 0)),
        ((5, 6, 2), 2, (3, 5), (0, 1)),
        ((3, 3, 9), 2, (3, 3), (2, 2)),
        ((1, 1, 1), 1, (1, 1), (0, 0)),
        ((2, 1, 40), 4, (5, 5), (2, 2)),
    ],
)
def test_convolution(maps, n_out, kernel, padding, backend):
    operation = Convolution(int16(1, n_out, maps[2], *kernel), biases(2, n_out), 19, padding)
    x = int16(3, 2, *maps)
    np.testing.assert_array_equal(run(operation, x, backend=backend), plain_convolution(operation, x))


@pytest.mark.pairs
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n_out", [1, 5])
@pytest.mark.parametrize(
    ("maps", "kernel", "stride", "padding", "extra"),
    [
        ((4, 3, 10), (3, 3), (2, 2), (1, 1), (1, 0)),
        ((3, 4, 2), (5, 5), (2, 2), (2, 2), (1, 1)),
        ((2, 3, 10), (1, 1), (2, 2), (0, 0), (1, 1)),
        ((3, 5, 10), (2, 4), (3, 1), (0, 3), (2, 0)),
        ((5, 1, 3), (3, 3), (1, 1), (2, 1), (0, 0)),
        ((1, 1, 1), (3, 3), (2, 2), (1, 1), (0, 0)),
    ],
)
def test_transposed_convolution(maps, n_out, kernel, stride, padding, extra, backend):
    weights = int16(1, maps[2], n_out, *kernel)
    operation = TransposedConvolution(weights, biases(2, n_out), 19, stride, padding, extra)
    x = int16(3, 2, *maps)
    np.testing.assert_array_equal(run(operation, x, backend=backend), plain_transposed(operation, x))


def test_convolutions_are_those_of_pytorch():
    x, weights = int16(1, 2, 5, 6, 3).astype(np.int64) >> 8, int16(2, 3, 4, 3, 3) >> 8
    maps = torch.from_numpy(x).movedim(3, 1).double()
    ours = TransposedConvolution(weights, np.zeros(4, np.int64), 6, (2, 2), (1, 1), (1, 0))
    theirs = torch.nn.functional.conv_transpose2d(
        maps, torch.from_numpy(weights).double(), stride=2, padding=1, output_padding=(1, 0)
    )
    np.testing.assert_allclose(run(ours, x).astype(int) * 64, theirs.movedim(1, 3).clamp(-(2**21), 2**21 - 64), atol=32)
    weights = weights.transpose(1, 0, 2, 3)
    theirs = torch.nn.functional.conv2d(maps, torch.from_numpy(weights.copy()).double(), padding=1)
    ours = Convolution(weights, np.zeros(4, np.int64), 6, (1, 1))
    np.testing.assert_allclose(run(ours, x).astype(int) * 64, theirs.movedim(1, 3).clamp(-(2**21), 2**21 - 64), atol=32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [0, 1, 5, 8, 15, 16])
def test_a_lookup_at_every_value_there_is(k, backend):
    operation = Lookup(int16(k, 2**k + 1))
    x = np.arange(-32768, 32768).reshape(-1, 1)
    np.testing.assert_array_equal(run(operation, x, backend=backend), plain_lookup(operation, x))


@pytest.mark.parametrize("backend", BACKENDS)
def test_rectify(backend):
    assert run(Relu(), np.array([[-32768, -1, 0, 1, 32767]]), backend=backend).tolist() == [[0, 0, 0, 1, 32767]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shift", [0, 1, 20, 47])
def test_rescale(shift, backend):
    multipliers = np.array([2**31 - 1, -(2**31), 1, -1, 0, 12_345_678], np.int32)
    operation, x = Rescale(multipliers, shift), int16(1, 20, 2, 3)
    got = run(operation, x, backend=backend).reshape(20, 6)
    assert got.tolist() == plain_rescale(operation, x)


def tanh_of(argument):
    """Return tanh in units of 2^-15 of an argument in units of 2^-16, from the table of every 1/64."""
    table = [min(round(32768 * math.tanh(i / 64)), 32767) for i in range(-512, 513)]
    u = min(max(argument, -(2**19)), 2**19 - 1) + 2**19
    i = u >> 10
    return round_shift((table[i] << 10) + (table[i + 1] - table[i]) * (u - (i << 10)), 10)


def gate_of(total, scale):
    return 32768 + tanh_of(round_shift(total, scale))  # the sigmoid is a tanh of half the argument


def plain_sums(operation, inputs, state):
    """Return the products of the state with all rows, biases included, and the inputs in the same units."""
    sums = [
        sum(int(w) * v for w, v in zip(row, state, strict=True)) + int(bias)
        for row, bias in zip(operation.weights, operation.biases, strict=True)
    ]
    return sums, [int(x) << (operation.weight_scale + 15 - operation.input_scale) for x in inputs]


def plain_gru(operation, record):
    n, scale, state, states = operation.n_hidden, operation.weight_scale, [0] * operation.n_hidden, []
    for inputs in record[0]:
        sums, outside = plain_sums(operation, inputs, state)
        r, u = ([gate_of(sums[i] + outside[i], scale) for i in range(g * n, g * n + n)] for g in (0, 1))
        parts = [min(max(round_shift(v, scale - 1), -(2**23)), 2**23 - 1) for v in sums[2 * n :]]
        after = []
        for i in range(n):
            total = r[i] * parts[i] + (int(inputs[2 * n + i]) << (32 - operation.input_scale))
            if len(parts) > n:
                total += parts[n + i] << 16
            candidate = tanh_of(round_shift(total, 16))
            after.append(candidate + round_shift(u[i] * (state[i] - candidate), 16))
        state = after
        states.append(state)
    return [states]


def plain_lstm(operation, record):
    n, scale, state, states = operation.n_hidden, operation.weight_scale, [0] * operation.n_hidden, []
    cells = [0] * n
    for inputs in record[0]:
        sums, outside = plain_sums(operation, inputs, state)
        totals = [a + b for a, b in zip(sums, outside, strict=True)]
        i, f, o = ([gate_of(v, scale) for v in totals[g * n : g * n + n]] for g in (0, 1, 3))
        g = [tanh_of(round_shift(v, scale - 1)) for v in totals[2 * n : 3 * n]]
        cells = [min(max(round_shift(f[d] * cells[d] + 2 * i[d] * g[d], 16), -(2**23)), 2**23 - 1) for d in range(n)]
        state = [round_shift(o[d] * tanh_of(cells[d]), 16) for d in range(n)]
        states.append(state)
    return [states]


@pytest.mark.pairs
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scales", [(14, 12), (1, 16), (20, 0), (17, 32)])
@pytest.mark.parametrize("rows", [3, 4, "lstm"])
def test_recurrent_layers(rows, scales, backend):
    kind, groups = (LSTM, 4) if rows == "lstm" else (GRU, rows)
    operation = kind(int16(1, groups * 3, 3), biases(2, groups * 3) >> 10, *scales)
    inputs = int16(3, 2, 1, 5, operation.n_gates * 3)
    inputs[1] >>= np.int16(4)  # gates that are neither open nor closed
    plain = plain_lstm if kind is LSTM else plain_gru
    assert run(operation, inputs, backend=backend).tolist() == [plain(operation, record) for record in inputs]


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_recurrent_layers_are_those_of_pytorch(kind):
    n = 8
    generator = torch.Generator().manual_seed(0)
    of_state = torch.randn(kind.n_gates * n, n, generator=generator, dtype=torch.float64) / 2
    bias = torch.randn(kind.n_gates * n, generator=generator, dtype=torch.float64) / 2
    x = torch.randn(6, 40, kind.n_gates * n, generator=generator, dtype=torch.float64)
    start = torch.zeros(1, 6, n, dtype=torch.float64)
    weights = [torch.eye(kind.n_gates * n, dtype=torch.float64), of_state, torch.zeros_like(bias), bias]
    if kind is GRU:
        theirs = torch.gru(x, start, weights, True, 1, 0.0, False, False, True)[0]
    else:
        theirs = torch.lstm(x, (start, start), weights, True, 1, 0.0, False, False, True)[0]
    whole = [torch.round(one.double() * 2.0**by).numpy() for one, by in ((of_state, 14), (bias, 29), (x, 12))]
    operation = kind(whole[0].astype(np.int16), whole[1].astype(np.int64), 14, 12)
    ours = run(operation, whole[2].astype(np.int16)[:, None])[:, 0] * 2.0**-15
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_the_state_of_the_first_step_is_zero_and_steps_follow_each_other():
    operation = GRU(int16(1, 6, 2) >> np.int16(3), biases(2, 6) >> 14, 14, 12)
    inputs = int16(3, 2, 1, 7, 6)
    whole, first = run(operation, inputs), run(operation, inputs[:, :, :4])
    np.testing.assert_array_equal(whole[:, :, :4], first)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("grid", "size"), [((7, 4), (14, 8)), ((4, 7), (7, 13)), ((1, 3), (1, 3)), ((2, 2), (5, 1))])
def test_upsample(grid, size, backend):
    x = int16(1, 2, *grid, 3)
    y = run(Upsample(size), x, backend=backend)
    for row, column in np.ndindex(size):
        np.testing.assert_array_equal(y[:, row, column], x[:, row * grid[0] // size[0], column * grid[1] // size[1]])
    theirs = torch.nn.Upsample(size, mode="nearest")(torch.from_numpy(x).movedim(3, 1).float())
    np.testing.assert_array_equal(y, theirs.movedim(1, 3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_changes_of_shape(backend):
    x = int16(1, 5, 2, 3, 4)
    np.testing.assert_array_equal(run(Reshape((4, 6)), x, backend=backend), x.reshape(5, 4, 6))
    np.testing.assert_array_equal(run(Transpose((2, 0, 1)), x, backend=backend), x.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n_codes", "dim"), [(1, 1), (7, 3), (300, 1), (1 << 15, 2)])
def test_a_codebook_at_every_value_there_is(n_codes, dim, backend):
    """Those beyond its ends are taken for the ends."""
    table = int16(3, n_codes, dim)
    x = np.arange(ENDS[0], ENDS[1] + 1, dtype=np.int16).reshape(-1, 4, 2)
    rows = [min(max(int(value), 0), n_codes - 1) for value in x.ravel()]
    np.testing.assert_array_equal(run(Codebook(table), x, backend=backend), table[rows].reshape(-1, 4, 2, dim))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lengths", [(1,), (4,), (3, 3), (1, 1, 5, 5, 2, 1), (32768,)])
def test_argmax_is_the_first_of_the_largest_and_a_segment_of_one_value_stays(lengths, backend):
    x = int16(4, 30, 2, sum(lengths)) // np.array(8192, np.int16)  # with many equal values
    starts = np.cumsum((0, *lengths))
    wanted = [
        [
            [int(row[a]) if b - a == 1 else row[a:b].tolist().index(max(row[a:b])) for a, b in pairwise(starts)]
            for row in record
        ]
        for record in x
    ]
    assert run(Argmax(np.array(lengths, np.int32)), x, backend=backend).tolist() == wanted


@given(data=st.data(), shift=st.integers(0, 40), n_in=st.integers(1, 40), follow=st.sampled_from(["", "relu", "curve"]))
@settings(max_examples=60, deadline=None)
def test_extreme_weights_give_the_same_integers_everywhere(data, shift, n_in, follow):
    """Also where an activation is done in one go with the sums."""
    value = st.sampled_from([*ENDS, 0, 1, -1]) | st.integers(*ENDS)
    draw = lambda *shape: np.array(  # noqa: E731
        data.draw(st.lists(value, min_size=math.prod(shape), max_size=math.prod(shape))), np.int16
    ).reshape(shape)
    dense = Dense(
        draw(2, n_in), np.array(data.draw(st.lists(st.integers(-(2**50), 2**50), min_size=2, max_size=2))), shift
    )
    after = {"": [], "relu": [Relu()], "curve": [Lookup(draw(5)), Lookup(draw(3))]}[follow]
    program, x = Program((n_in,), [dense, *after]), draw(3, n_in)
    wanted = np.array(plain_dense(dense, x))
    for operation in after:
        wanted = np.maximum(wanted, 0) if isinstance(operation, Relu) else plain_lookup(operation, wanted)
    for backend in BACKENDS:
        np.testing.assert_array_equal(program.run(x, backend=backend), wanted)


# Proofs


def just_below(bound):
    """Return a dense row with shift 0 and the largest sum below a bound."""
    weights = np.full((1, 3), -32768, np.int16)
    rest = bound - 3 * 2**30
    return Dense(weights, np.array([rest - 1]), 0)


def test_a_row_may_come_close_to_2_53_and_no_nearer():
    row = just_below(2**53)
    assert row.largest_sum() == 2**53 - 1
    x = np.full((1, 3), -32768, np.int16)
    Program((3,), [row]).run(x)
    with pytest.raises(ModelFileError, match=r"Operation 0 of the decoder, dense, has sums that could reach 2\^53"):
        Program((3,), [just_below(2**53 + 1)])


def test_only_the_worst_row_counts():
    weights = np.zeros((3, 3), np.int16)
    weights[1] = -32768
    with pytest.raises(ModelFileError, match="could reach"):
        Program((3,), [Dense(weights, np.array([0, 2**53 - 3 * 2**30, 0]), 0)])
    Program((3,), [Dense(weights, np.array([2**53 - 1, 0, 1 - 2**53]), 0)])


@pytest.mark.parametrize(
    ("operation", "in_shape"),
    [
        (Dense(np.ones((1, 1), np.int16), np.zeros(1, np.int64), 54), (1,)),
        (Rescale(np.ones(1, np.int32), 54), (1,)),
        (Convolution(np.ones((1, 1, 1, 1), np.int16), np.array([2**53 - 2**15]), 0, (0, 0)), (1, 1, 1)),
        (
            TransposedConvolution(
                np.ones((1, 1, 1, 1), np.int16), np.array([2**53 - 2**15]), 0, (1, 1), (0, 0), (0, 0)
            ),
            (1, 1, 1),
        ),
        (GRU(np.ones((3, 1), np.int16), np.array([0, 0, 2**53 - 2**16]), 1, 16), (1, 5, 3)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_rounding_and_biases_count_as_well(operation, in_shape):
    with pytest.raises(ModelFileError, match="could reach"):
        Program(in_shape, [operation])


# Files

EXAMPLES = [
    Dense(int16(1, 2, 3), biases(2, 2), 5),
    Rescale(np.array([3, 4], np.int32), 2),
    Convolution(int16(1, 2, 3, 3, 1), biases(2, 2), 7, (1, 0)),
    TransposedConvolution(int16(1, 3, 2, 3, 3), biases(2, 2), 7, (2, 2), (1, 1), (1, 0)),
    Lookup(int16(1, 9)),
    Relu(),
    Reshape((2, 3)),
    Transpose((1, 0, 2)),
    Upsample((4, 5)),
    Codebook(int16(1, 5, 2)),
    Clip(5, 40),
    Argmax(np.array([1, 3, 3, 2], np.int32)),
    GRU(int16(1, 6, 2), biases(2, 6), 14, 12),
    LSTM(int16(1, 8, 2), biases(2, 8), 14, 12),
    Branches(
        ((Dense(int16(1, 2, 3), biases(2, 2), 5), Clip(-7, 900)), (Dense(int16(3, 2, 3), biases(4, 2), 5),)), (0, 3), 1
    ),
]


def test_there_is_an_example_of_every_operation():
    assert {operation.name for operation in EXAMPLES} == set(Operation.registry)


@pytest.mark.parametrize("operation", EXAMPLES, ids=lambda operation: operation.name)
class TestFiles:
    def test_to_tensors_and_back(self, operation):
        described, tensors = operation.to_tensors()
        for read in (Operation.from_tensors, type(operation).from_tensors):
            again = read(described, tensors)
            assert type(again) is type(operation)
            assert again.settings() == operation.settings()
            assert all(np.array_equal(array, again.tensors()[name]) for name, array in tensors.items())

    def test_settings_that_are_none(self, operation):
        described, tensors = operation.to_tensors()
        for key in set(described) - {"kind"}:
            for wrong in (None, -1, 63, 2**40, True, 1.0, "x", [], [1], [-1, 1], [2**40] * 2, [1] * 9, [True, 1], {}):
                if isinstance(described[key], list) and isinstance(wrong, list) and key in ("shape", "axes"):
                    continue  # may be a shape; whether it fits is seen in a program
                if isinstance(operation, Clip) and (key, wrong) in (("low", -1), ("high", 63)):
                    continue  # limits that there may be
                with pytest.raises(ModelFileError):
                    Operation.from_tensors({**described, key: wrong}, tensors)
        with pytest.raises(ModelFileError, match="does not support: 'new'"):
            Operation.from_tensors({**described, "new": 1}, tensors)

    def test_tensors_of_another_kind(self, operation):
        described, tensors = operation.to_tensors()
        for name, array in tensors.items():
            for wrong in (array.astype(np.float64), array.astype(np.int8), array[..., None], array[:0], array[0]):
                with pytest.raises(ModelFileError):
                    Operation.from_tensors(described, {**tensors, name: wrong})
            with pytest.raises(ModelFileError, match="has no tensor"):
                Operation.from_tensors(described, {n: a for n, a in tensors.items() if n != name})


def test_unknown_operations():
    for wrong in ({"kind": "softmax"}, {"kind": 3}, {}, [], None, {"kind": []}):
        with pytest.raises(ModelFileError, match=r"An operation must be one of .*Got"):
            Operation.from_tensors(wrong, {})
    described, tensors = Relu().to_tensors()
    with pytest.raises(ModelFileError, match="must be one of dense"):
        Dense.from_tensors(described, tensors)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dense(int16(1, 2, 3), biases(2, 3), 5),
        lambda: Dense(int16(1, 1, 3), np.array([-(2**63)]), 5),
        lambda: Lookup(int16(1, 8)),
        lambda: Codebook(np.zeros(((1 << 15) + 1, 1), np.int16)),
        lambda: Argmax(np.array([3, 0], np.int32)),
        lambda: Argmax(np.array([3, (1 << 15) + 1], np.int32)),
        lambda: Convolution(int16(1, 2, 3, 3, 3), biases(2, 2), 7, (3, 1)),
        lambda: Convolution(int16(1, 2, 3, 3, 3), biases(2, 3), 7, (1, 1)),
        lambda: TransposedConvolution(int16(1, 3, 2, 3, 3), biases(2, 2), 7, (2, 2), (1, 1), (2, 0)),
        lambda: TransposedConvolution(int16(1, 3, 2, 3, 3), biases(2, 2), 7, (2, 2), (1, 3), (0, 0)),
        lambda: TransposedConvolution(int16(1, 3, 2, 3, 3), biases(2, 3), 7, (2, 2), (1, 1), (0, 0)),
        lambda: GRU(int16(1, 5, 2), biases(2, 5), 14, 12),
        lambda: GRU(int16(1, 10, 2), biases(2, 10), 14, 12),
        lambda: LSTM(int16(1, 6, 2), biases(2, 6), 14, 12),
        lambda: GRU(int16(1, 6, 2), biases(2, 5), 14, 12),
        lambda: GRU(int16(1, 6, 2), biases(2, 6), 4, 20),
    ],
)
def test_parts_that_do_not_fit(make):
    with pytest.raises(ModelFileError):
        make()


@pytest.mark.parametrize(
    ("operation", "in_shape"),
    [
        (EXAMPLES[0], (4,)),
        (EXAMPLES[0], (3, 1)),
        (EXAMPLES[1], (3,)),
        (EXAMPLES[2], (4, 4, 2)),
        (EXAMPLES[2], (4, 4)),
        (EXAMPLES[3], (4, 4, 2)),
        (Convolution(int16(1, 2, 3, 3, 3), biases(2, 2), 7, (0, 0)), (2, 4, 3)),
        (TransposedConvolution(int16(1, 3, 2, 1, 1), biases(2, 2), 7, (16, 16), (0, 0), (0, 0)), (2**12, 2**12, 3)),
        (Reshape((2, 3)), (7,)),
        (Transpose((0, 0)), (2, 2)),
        (Transpose((0, 1)), (2, 2, 2)),
        (Upsample((2**13, 2**13)), (1, 1, 2)),
        (Upsample((2, 2)), (4, 4)),
        (Argmax(np.array([2, 3], np.int32)), (2, 3)),
        (Argmax(np.array([2, 3], np.int32)), (5, 2)),
        (Argmax(np.full(1 << 17, 1 << 15, np.int32)), (1,)),
        (Codebook(np.zeros((1, 1 << 10), np.int16)), (1 << 9, (1 << 7) + 1)),
        (GRU(int16(1, 6, 2), biases(2, 6), 14, 12), (2, 5, 6)),
        (GRU(int16(1, 6, 2), biases(2, 6), 14, 12), (1, 5, 8)),
        (LSTM(int16(1, 8, 2), biases(2, 8), 14, 12), (5, 8)),
    ],
)
def test_records_that_do_not_fit(operation, in_shape):
    with pytest.raises(ModelFileError):
        operation.out_shape(in_shape)
