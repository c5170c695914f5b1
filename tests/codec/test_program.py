"""Programs: the same integers for any batch, thread count and backend; what files may not say."""

import json
import threading
import time
import tracemalloc

import numpy as np
import pytest
import torch

from narrows.codec.operations import (
    Convolution,
    Dense,
    Lookup,
    Relu,
    Rescale,
    Reshape,
    Transpose,
    TransposedConvolution,
    Upsample,
)
from narrows.codec.program import Program
from narrows.errors import DataError, InvalidParameterError, ModelFileError, ShapeMismatchError


def dense(rng, n_out, n_in):
    return Dense(rng.integers(-9000, 9000, (n_out, n_in)).astype(np.int16), rng.integers(-(2**30), 2**30, n_out), 19)


def kernel(rng, *shape):
    return rng.integers(-9000, 9000, shape).astype(np.int16)


def curve(points=65):
    return Lookup((np.tanh(np.linspace(-3, 3, points)) * 16384).astype(np.int16))


@pytest.fixture
def dense_program(rng):
    layers = [dense(rng, 33, 12), curve(), dense(rng, 40, 33), Relu(), dense(rng, 21, 40), curve(), Reshape((3, 7))]
    return Program((12,), [Rescale(rng.integers(1, 2**20, 12).astype(np.int32), 18), *layers])


@pytest.fixture
def convolutional_program(rng):
    bias = rng.integers(-(2**28), 2**28, 9)
    return Program(
        (6,),
        [
            dense(rng, 4 * 3 * 9, 6),
            Relu(),
            Reshape((9, 4, 3)),
            Transpose((1, 2, 0)),
            Convolution(kernel(rng, 9, 9, 3, 3), bias, 18, (1, 1)),
            curve(),
            Upsample((7, 6)),
            TransposedConvolution(kernel(rng, 9, 9, 3, 3), bias, 18, (2, 2), (1, 1), (0, 1)),
            curve(33),
            Convolution(kernel(rng, 1, 9, 3, 3), bias[:1], 18, (1, 1)),
            curve(),
            Reshape((13, 12)),
        ],
    )


@pytest.fixture(params=["dense_program", "convolutional_program"])
def program(request):
    return request.getfixturevalue(request.param)


def records(program, n=512):
    x = np.random.default_rng(1).integers(-32768, 32768, (n, *program.in_shape))
    return x.astype(np.int16)


def test_every_batch_gives_the_same_integers(program):
    x = records(program)
    wanted = program.run(x)
    assert wanted.dtype == np.int16
    assert wanted.shape == (512, *program.out_shape)
    assert len(np.unique(wanted)) > 100
    for size in (1, 7):
        parts = [program.run(x[start : start + size]) for start in range(0, 70, size)]
        np.testing.assert_array_equal(np.concatenate(parts), wanted[:70])


def test_every_backend_gives_the_same_integers(program):
    x = records(program)
    wanted = program.run(x, backend="int64")
    np.testing.assert_array_equal(program.run(x), wanted)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            np.testing.assert_array_equal(program.run(x, backend="torch:cpu"), wanted)
        finally:
            torch.set_num_threads(1)


def test_batches_and_windows_of_any_size_give_the_same_integers(program, monkeypatch):
    """Large records are computed a few rows at a time."""
    x = records(program, 40)
    wanted = program.run(x)
    for values in (1, 100, 1000, 20_000):
        monkeypatch.setattr("narrows.codec.program._BATCH_VALUES", values)
        monkeypatch.setattr("narrows.codec.operations.convolutions._WINDOW_VALUES", values)
        monkeypatch.setattr("narrows.codec.operations.contract._CACHED_VALUES", values)
        np.testing.assert_array_equal(program.run(x), wanted)


def test_what_goes_in_stays_as_it_is(program):
    x = records(program, 3)
    for given in (x, x.astype(np.int64), np.asfortranarray(x), x[::-1]):
        before = given.copy()
        program.run(given)
        np.testing.assert_array_equal(given, before)


def test_threads_do_not_disturb_each_other(program):
    x = records(program)
    wanted, wrong = program.run(x), []

    def work(start):
        for _ in range(5):
            if not np.array_equal(program.run(x[start : start + 100]), wanted[start : start + 100]):
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_records_are_no_records(program):
    assert program.run(records(program, 0)).shape == (0, *program.out_shape)


def test_no_operations_change_nothing():
    x = np.array([[1, -2], [32767, -32768]])
    np.testing.assert_array_equal(Program((2,), []).run(x), x)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((2, 3), np.int16), ShapeMismatchError, r"takes records of shape \(2,\). Got \(3,\)"),
        (np.zeros((2, 2)), DataError, "takes integers. Got float64"),
        (np.array([[0, 32768]]), DataError, "16-bit integers. Got 0 to 32768"),
        (np.array([[-32769, 0]]), DataError, "16-bit integers. Got -32769 to 0"),
    ],
)
def test_what_cannot_go_in(x, error, message):
    with pytest.raises(error, match=message):
        Program((2,), []).run(x)


def test_backends_that_do_not_exist(program):
    with pytest.raises(InvalidParameterError, match="backend must be 'float64', 'int64', 'torch'"):
        program.run(records(program, 1), backend="float32")


# Files


def test_to_tensors_and_back(program):
    described, tensors = program.to_tensors()
    again = Program.from_tensors(json.loads(json.dumps(described)), tensors | {"another": np.zeros(3)})
    assert again.shapes == program.shapes
    x = records(program, 9)
    np.testing.assert_array_equal(again.run(x), program.run(x))


def test_equal_tables_are_kept_once(dense_program):
    _, tensors = dense_program.to_tensors()
    assert sum(name.endswith("table") for name in tensors) == 1


@pytest.mark.parametrize(
    "settings",
    [
        None,
        [],
        {},
        {"in_shape": [2]},
        {"in_shape": [2], "operations": {}},
        {"in_shape": [2], "operations": [None]},
        {"in_shape": [2], "operations": ["rectify"]},
        {"in_shape": [2], "operations": [{"kind": "rectify"}] * 1001},
        {"operations": []},
        {"in_shape": 2, "operations": []},
        {"in_shape": [2.0], "operations": []},
        {"in_shape": [0], "operations": []},
        {"in_shape": [-2, -2], "operations": []},
        {"in_shape": [1] * 9, "operations": []},
        {"in_shape": [2**13, 2**14], "operations": []},
        {"in_shape": [2], "operations": [{"kind": "reshape", "shape": [3]}]},
        {"in_shape": [1, 1, 1], "operations": [{"kind": "upsample", "size": [2**14, 2**13]}]},
        {"in_shape": [2], "operations": [{"kind": "dense", "weights": "w", "biases": "b", "shift": 0}]},
    ],
    ids=repr,
)
def test_files_that_lie(settings):
    tensors = {"w": np.full((1, 2), -32768, np.int16), "b": np.array([2**53 - 1])}
    with pytest.raises(ModelFileError):
        Program.from_tensors(settings, tensors)


def test_a_kernel_cannot_make_a_small_file_take_much_memory():
    """Zeros around a map count as well."""
    kernel = Convolution(np.ones((1, 1, 2**14, 1), np.int16), np.zeros(1, np.int64), 0, (2**14 - 1, 0))
    with pytest.raises(ModelFileError, match="must have records of 1 to"):
        Program((1, 2**13, 1), [kernel])


# Small files that ask for much


def measured(work):
    """Return what a function returns or raises, the most bytes it took, and the seconds."""
    tracemalloc.start()
    started = time.perf_counter()
    try:
        result = work()
    except ModelFileError as error:
        result = error
    seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, peak, seconds


SUMS = {"shift": 12, "weights": "w", "biases": "b"}
DENSE = {**SUMS, "kind": "dense"}
CONVOLUTION = {**SUMS, "kind": "convolution", "padding": [0, 0]}
TRANSPOSED = {**SUMS, "kind": "transposed-convolution", "stride": [1, 1], "padding": [0, 0], "output_padding": [0, 0]}


def up(height, width):
    return {"kind": "upsample", "size": [height, width]}


@pytest.mark.parametrize(
    ("in_shape", "operations", "weights", "message"),
    [
        ([512], [DENSE] * 1000, (512, 512), r"have 262,656,000 weights. Allowed: 2\^27"),
        ([1, 1, 1], [up(4096, 4096), CONVOLUTION], (1, 1, 64, 64), r"multiplications and .* Allowed: 2\^36"),
        ([1, 1, 1], [up(100, 9000), CONVOLUTION], (1, 1, 100, 4096), "multiplications"),
        ([1, 1, 1], [TRANSPOSED], (1, 1, 700, 700), "multiplications"),
        ([1, 1, 1], [up(500, 500), TRANSPOSED], (1, 1, 400, 400), "multiplications"),
        ([64, 64, 8], [{**CONVOLUTION, "padding": [7, 7]}] * 400, (8, 8, 15, 15), "multiplications"),
        (
            [1, 1, 1],
            [up(8192, 8192)] * 4,
            (1, 1, 1, 1),
            r"values per record, summed over its operations. Allowed: 2\^28",
        ),
    ],
    ids=["weights", "convolution", "wide windows", "transposed", "large transposed", "many", "values"],
)
def test_absurd_work_is_refused_before_any_is_done(in_shape, operations, weights, message):
    tensors = {"w": np.ones(weights, np.int16), "b": np.zeros(weights[0], np.int64)}
    settings = {"in_shape": in_shape, "operations": operations}
    error, peak, seconds = measured(lambda: Program.from_tensors(settings, tensors))
    assert isinstance(error, ModelFileError)
    with pytest.raises(ModelFileError, match=message):
        raise error
    assert peak < 4 << 20
    assert seconds < 2


def test_the_bounds_leave_room_for_real_decoders():
    """Images of 1024 × 1024 in colour, from maps of 32 channels."""
    kernels = [np.ones(shape, np.int16) for shape in ((64, 32, 4, 4), (32, 3, 4, 4))]
    steps = [
        TransposedConvolution(one, np.zeros(one.shape[1], np.int64), 16, (2, 2), (1, 1), (0, 0)) for one in kernels
    ]
    program = Program((256, 256, 64), [*steps, Transpose((2, 0, 1))])
    assert program.out_shape == (3, 1024, 1024)


def test_wide_maps_and_large_kernels_take_little_memory():
    """The windows of one row of the result would be 132 MB."""
    program = Program(
        (1, 1, 1),
        [Upsample((64, 4096)), Convolution(np.ones((1, 1, 64, 64), np.int16), np.zeros(1, np.int64), 12, (0, 0))],
    )
    found, peak, _ = measured(lambda: program.run(np.ones((1, 1, 1, 1), np.int16)))
    np.testing.assert_array_equal(found, np.ones((1, 1, 4033, 1)))
    assert peak < 48 << 20


def heaviest(share):
    """Return programs of tiny files that take a share of the work that is allowed."""
    side = int(1020 * share**0.5)
    one, kernel = np.zeros(1, np.int64), np.ones((1, 1, 45, 45), np.int16)
    yield Program((1, 1, 1), [Upsample((side, side)), Convolution(kernel, one, 12, (22, 22))])
    kernel = np.ones((1, 1, *[int(210 * share**0.25)] * 2), np.int16)
    yield Program((1, 1, 1), [Upsample((3, 3)), TransposedConvolution(kernel, one, 12, (1, 1), (0, 0), (0, 0))])
    side = int(8190 * share**0.5)
    table = Lookup(np.zeros(2**16 + 1, np.int16))
    yield Program((1, 1, 1), [Upsample((side, side)), table, Relu(), table])


@pytest.mark.parametrize("share", [1 / 64, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_the_heaviest_files_take_no_more_time_and_memory_than_is_said(share):
    """As docs/format.md has it: a minute and 4 GiB for a record at the bound; on machines that are busy, three."""
    for program in heaviest(share):
        x = np.ones((1, *program.in_shape), np.int16)
        _, peak, seconds = measured(lambda program=program, x=x: program.run(x))
        assert peak < max(4 * share, 1 / 8) * 2**30
        assert seconds < 180 * share + 2
