"""Programs: the same integers for any batch, thread count and carrier; what files may not say."""

import json
import threading

import numpy as np
import pytest
import torch

from narrows.codec.operations import (
    Convolution,
    Dense,
    Lookup,
    Rectify,
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
    layers = [dense(rng, 33, 12), curve(), dense(rng, 40, 33), Rectify(), dense(rng, 21, 40), curve(), Reshape((3, 7))]
    return Program((12,), [Rescale(rng.integers(1, 2**20, 12).astype(np.int32), 18), *layers])


@pytest.fixture
def convolutional_program(rng):
    bias = rng.integers(-(2**28), 2**28, 9)
    return Program(
        (6,),
        [
            dense(rng, 4 * 3 * 9, 6),
            Rectify(),
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


def test_every_carrier_gives_the_same_integers(program):
    x = records(program)
    wanted = program.run(x, carrier="int64")
    np.testing.assert_array_equal(program.run(x), wanted)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            np.testing.assert_array_equal(program.run(x, carrier="torch:cpu"), wanted)
        finally:
            torch.set_num_threads(1)


def test_batches_and_windows_of_any_size_give_the_same_integers(program, monkeypatch):
    """Large records are computed a few rows at a time."""
    x = records(program, 40)
    wanted = program.run(x)
    for values in (1, 1000, 20_000):
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
        (np.array([[0, 32768]]), DataError, "of 16 bits. Got 0 to 32768"),
        (np.array([[-32769, 0]]), DataError, "of 16 bits. Got -32769 to 0"),
    ],
)
def test_what_cannot_go_in(x, error, message):
    with pytest.raises(error, match=message):
        Program((2,), []).run(x)


def test_carriers_that_there_are_not(program):
    with pytest.raises(InvalidParameterError, match="carrier must be 'float64', 'int64', 'torch'"):
        program.run(records(program, 1), carrier="float32")


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
    with pytest.raises(ModelFileError, match="would make records of shape"):
        Program((1, 2**13, 1), [kernel])
