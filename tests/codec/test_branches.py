"""Branches within a program: the integers of each list of operations added up, the same everywhere; what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.codec.operations import (
    Branches,
    Clip,
    Codebook,
    Convolution,
    Dense,
    Lookup,
    Operation,
    Relu,
    Reshape,
    Transpose,
    Upsample,
)
from narrows.codec.program import Program
from narrows.errors import ModelFileError

BACKENDS = ("float64", "int64", "torch")
ENDS = (-32768, 32767)


def int16(seed, *shape):
    """Return 16-bit integers, many of them at the ends."""
    rng = np.random.default_rng(seed)
    anything = rng.integers(-32768, 32768, shape)
    return np.where(rng.random(shape) < 0.3, rng.choice(ENDS, shape), anything).astype(np.int16)


def dense(seed, n_out, n_in, shift=19):
    return Dense(int16(seed, n_out, n_in), np.random.default_rng(seed).integers(-(2**30), 2**30, n_out), shift)


def added_up(x, branches, shifts, shift):
    """Return what the definition says, in Python's whole numbers; each branch is a program of its own."""
    made = [Program(x.shape[1:], branch).run(x, backend="int64").astype(object) for branch in branches]
    sums = sum(y * 2**s for y, s in zip(made, shifts, strict=True))
    rounded = sums if shift == 0 else (sums + 2 ** (shift - 1)) // 2**shift
    return np.clip(rounded, *ENDS).astype(np.int16)


LISTS = {
    "a linear path beside a network": [
        [dense(1, 6, 5)],
        [Clip(-9000, 9000), dense(2, 9, 5), Relu(), dense(3, 6, 9)],
    ],
    "one that changes its input in place": [[Relu()], [Clip(-5, 5)], []],
    "one that leaves it": [[], [Lookup(int16(4, 9))], [Relu(), Clip(3, 8)], []],
    "eight": [[dense(k, 3, 5)] for k in range(8)],
    "maps": [
        [Reshape((5, 1, 1)), Upsample((5, 4)), Convolution(int16(1, 2, 1, 3, 3), np.zeros(2, np.int64), 17, (1, 1))],
        [dense(2, 40, 5), Lookup(int16(5, 33)), Reshape((2, 5, 4)), Transpose((1, 2, 0))],
        [dense(3, 20, 5), Reshape((5, 4)), Codebook(int16(6, 40, 2))],
    ],
}


@pytest.mark.pairs
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shift", [0, 1, 7, 20])
@pytest.mark.parametrize("name", LISTS)
def test_branches_are_added_up(name, shift, backend):
    branches, x = LISTS[name], int16(9, 30, 5)
    shifts = [0, 32, 5, 1, 17, 0, 3, 12][: len(branches)]
    operation = Branches(tuple(map(tuple, branches)), tuple(shifts), shift)
    given_x = x.copy()
    found = Program((5,), [operation]).run(x, backend=backend)
    np.testing.assert_array_equal(found, added_up(x, branches, shifts, shift))
    np.testing.assert_array_equal(x, given_x)


def test_a_branch_does_not_see_what_another_did_to_the_record():
    """Activation functions work in place."""
    operation = Branches(((Clip(0, 0),), (Relu(), Clip(0, 1)), ()), (0, 0, 0), 0)
    for backend in BACKENDS:
        found = Program((2,), [operation]).run(np.array([[-7, 9]]), backend=backend)
        assert found.tolist() == [[-7, 10]]


GOLDEN_PROGRAM = [
    Branches(
        (
            (Dense(np.array([[3000, -7000], [123, 32767]], np.int16), np.array([-5, 1 << 20]), 13),),
            (
                Clip(-2000, 3000),
                Dense(np.array([[-1000, 400], [77, 9000], [5, -6]], np.int16), np.array([1, 2, -(1 << 14)]), 10),
                Lookup(np.array([-32768, -1200, 0, 900, 32767], np.int16)),
                Dense(np.array([[1, -2, 3], [40, 50, -60]], np.int16), np.zeros(2, np.int64), 3),
            ),
        ),
        (0, 3),
        2,
    ),
    Lookup(np.array([0, 100, 32767], np.int16)),
]
GOLDEN_OUT = [[100, 148], [100, 133], [100, 1546], [67, 32766], [9728, 0], [45, 32766], [1195, 93]]
GOLDEN_IN = [[0, 0], [1, -1], [100, 200], [-3000, 3000], [32767, -32768], [-32768, 32767], [12345, -54]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_integers(backend):
    """Fixed for ever: archives hold what follows from them."""
    program = Program((2,), GOLDEN_PROGRAM)
    assert program.run(np.array(GOLDEN_IN), backend=backend).tolist() == GOLDEN_OUT


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_of_any_size_and_memory_given_back_change_nothing(backend, monkeypatch):
    program, x = Program((5,), [Branches(tuple(map(tuple, LISTS["maps"])), (3, 0, 9), 4), Relu()]), int16(1, 40, 5)
    wanted = program.run(x, backend=backend)
    for values in (1, 100, 1000):
        monkeypatch.setattr("narrows.codec.program._BATCH_VALUES", values)
        monkeypatch.setattr("narrows.codec.operations.branches._LARGE_VALUES", values)
        monkeypatch.setattr("narrows.codec.operations.contract._CACHED_VALUES", values)
        np.testing.assert_array_equal(program.run(x, backend=backend), wanted)


def test_batches_are_as_small_as_the_largest_record_within_a_branch_asks_for(monkeypatch):
    sizes = []
    up = (Reshape((1, 1, 1)), Upsample((64, 64)), Lookup(np.zeros(2, np.int16)))
    down = (Convolution(np.ones((1, 1, 64, 64), np.int16), np.zeros(1, np.int64), 0, (0, 0)), Reshape((1,)))
    program = Program((1,), [Branches(((*up, *down), ()), (0, 0), 0)])
    monkeypatch.setattr("narrows.codec.program._BATCH_VALUES", 2 * 64 * 64)
    carried, steps = program._steps("float64")
    program._prepared["float64"] = carried, [lambda x: sizes.append(len(x)) or x, *steps]
    program.run(np.ones((5, 1), np.int16))
    assert sizes == [2, 2, 1]


@given(
    data=st.data(),
    n=st.integers(2, 8),
    shift=st.integers(0, 52),
    follow=st.sampled_from([(), (Relu(),), (Lookup(int16(7, 5)),), (Clip(-3, 900), Relu())]),
)
@settings(max_examples=60, deadline=None)
def test_extreme_values_give_the_same_integers_everywhere(data, n, shift, follow):
    """Also where an activation function is done in one go with the sum."""
    shifts = data.draw(st.lists(st.integers(0, 32), min_size=n, max_size=n))
    branches = [data.draw(st.sampled_from([(), (Relu(),), (Clip(*ENDS),), (dense(1, 2, 2),)])) for _ in range(n)]
    value = st.sampled_from([*ENDS, 0, 1, -1]) | st.integers(*ENDS)
    x = np.array(data.draw(st.lists(value, min_size=6, max_size=6)), np.int16).reshape(3, 2)
    wanted = Program((2,), follow).run(added_up(x, branches, shifts, shift), backend="int64")
    program = Program((2,), [Branches(tuple(branches), tuple(shifts), shift), *follow])
    for backend in BACKENDS:
        np.testing.assert_array_equal(program.run(x, backend=backend), wanted)


# Proofs and bounds


def test_the_largest_sum_is_that_of_records_at_their_least():
    operation = Branches(((), (), ()), (0, 4, 32), 12)
    assert operation.largest_sum() == 2**15 * (1 + 2**4 + 2**32) + 2**11


@pytest.mark.parametrize("shift", [54, 62])
def test_the_rounding_of_a_sum_counts(shift):
    Program((1,), [Branches(((), ()), (32, 32), 53)])
    with pytest.raises(ModelFileError, match=r"Operation 0 of the decoder, branches, has sums that could reach 2\^53"):
        Program((1,), [Branches(((), ()), (32, 32), shift)])


def test_sums_within_a_branch_are_proved_as_well():
    too_large = Dense(np.ones((1, 1), np.int16), np.array([2**53 - 2**15]), 0)
    with pytest.raises(ModelFileError, match=r"Operation 1 of the decoder, dense in branches, has sums that could"):
        Program((1,), [Relu(), Branches(((), (too_large,)), (0, 0), 0)])


def test_work_and_values_within_branches_count():
    branch = (Dense(np.ones((7, 4), np.int16), np.zeros(7, np.int64), 0), Relu())
    program = Program((4,), [Branches((branch, branch), (0, 0), 0)])
    assert program.work == 2 * 28 + 64 * (4 + 7 + 2 * (4 + 7 + 7))


def test_branches_must_make_the_same_shape():
    with pytest.raises(ModelFileError, match=r"Operation 0 .* same shape. Got \(4,\), \(2, 2\)"):
        Program((4,), [Branches(((), (Reshape((2, 2)),)), (0, 0), 0)])


def test_an_operation_that_cannot_be_done_is_named():
    with pytest.raises(
        ModelFileError, match=r"Operation 1 of the decoder .* Operation 2 of branch 1 does not fit its input"
    ):
        Program((4,), [Relu(), Branches(((), (Relu(), Relu(), Reshape((5,)))), (0, 0), 0)])


@pytest.mark.parametrize(
    ("branches", "shifts"),
    [
        ((), ()),
        (((),), (0,)),
        (((),) * 9, (0,) * 9),
        (((), ()), (0,)),
        (((), (Branches(((), ()), (0, 0), 0),)), (0, 0)),
    ],
    ids=["none", "one", "nine", "another number of shifts", "within each other"],
)
def test_branches_that_there_cannot_be(branches, shifts):
    with pytest.raises(ModelFileError):
        Branches(branches, shifts, 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_clip(backend):
    x = np.array([[-32768, -8, -7, 0, 900, 901, 32767]])
    assert Program((7,), [Clip(-7, 900)]).run(x, backend=backend).tolist() == [[-7, -7, -7, 0, 900, 900, 900]]
    assert Program((7,), [Clip(3, 3)]).run(x, backend=backend).tolist() == [[3] * 7]


@pytest.mark.parametrize(("low", "high"), [(1, 0), (-32769, 0), (0, 32768)])
def test_clips_that_there_cannot_be(low, high):
    with pytest.raises(ModelFileError):
        Clip(low, high)


# Files


def test_to_tensors_and_back():
    program = Program((2,), GOLDEN_PROGRAM)
    described, tensors = program.to_tensors()
    again = Program.from_tensors(json.loads(json.dumps(described)), tensors)
    assert again.run(np.array(GOLDEN_IN)).tolist() == GOLDEN_OUT
    assert again.to_tensors()[0] == described


def test_tensors_are_named_by_their_branch_and_kept_once():
    layer, table = dense(1, 2, 2), Lookup(int16(2, 5))
    program = Program((2,), [table, Branches(((layer,), (table, layer, table)), (0, 1), 2)])
    described, tensors = program.to_tensors()
    assert sorted(tensors) == ["0.table", "1.0.0.biases", "1.0.0.weights"]
    kept = {"kind": "dense", "shift": 19, "weights": "1.0.0.weights", "biases": "1.0.0.biases"}
    shared = {"kind": "lookup", "table": "0.table"}
    branches = [[kept], [shared, kept, shared]]
    assert described["operations"][1] == {"kind": "branches", "shifts": [0, 1], "shift": 2, "branches": branches}


RECTIFY = {"kind": "rectify"}
BESIDE = {"kind": "branches", "shifts": [0, 0], "shift": 0, "branches": [[], []]}


@pytest.mark.parametrize(
    "changes",
    [
        *({key: wrong} for key in ("branches", "shifts", "shift") for wrong in (None, "x", True, 1.5, {}, [None] * 2)),
        {"branches": []},
        {"branches": [[]]},
        {"branches": [[]] * 9, "shifts": [0] * 9},
        {"branches": [[], {}]},
        {"branches": [[], [[]]]},
        {"branches": [[], [None]]},
        {"branches": [[], ["rectify"]]},
        {"branches": [[], [{}]]},
        {"branches": [[], [{"kind": "softmax"}]]},
        {"branches": [[], [{"kind": []}]]},
        {"branches": [[], [{**RECTIFY, "new": 1}]]},
        {"branches": [[], [{"kind": "lookup", "table": "none"}]]},
        {"branches": [[], [{"kind": "lookup", "table": "w"}]]},
        {"branches": [[], [{"kind": "lookup"}]]},
        {"branches": [[], [{"kind": "reshape", "shape": [1, 2]}]]},
        {"branches": [[], [{"kind": "reshape", "shape": [2**26, 2**26]}]]},
        {"branches": [[], [{"kind": "clip", "low": 1, "high": 0}]]},
        {"branches": [[], [BESIDE]]},
        {"branches": [[RECTIFY] * 500, [RECTIFY] * 500]},
        {"shifts": [0]},
        {"shifts": [0, 33]},
        {"shifts": [0, -1]},
        {"shifts": [0] * 3},
        {"shift": 63},
        {"shift": -1},
        {"shift": 54},
        {"new": 1},
        *({key: ...} for key in ("branches", "shifts", "shift")),
    ],
    ids=lambda changes: repr(changes)[:60],
)
def test_files_that_lie(changes):
    Program.from_tensors({"in_shape": [2], "operations": [BESIDE]}, {})
    wrong = {key: value for key, value in {**BESIDE, **changes}.items() if value is not ...}
    with pytest.raises(ModelFileError):
        Program.from_tensors({"in_shape": [2], "operations": [wrong]}, {"w": np.zeros((1, 2), np.int16)})


def test_branches_any_number_deep_are_refused_before_they_are_read():
    deep = BESIDE
    for _ in range(5000):
        deep = {**BESIDE, "branches": [[], [deep]]}
    with pytest.raises(ModelFileError, match="cannot be nested"):
        Operation.from_tensors(deep, {})


@pytest.mark.parametrize(
    ("in_shape", "operations", "message"),
    [
        (
            [2],
            [{**BESIDE, "branches": [[RECTIFY] * 30, [RECTIFY] * 30]}] * 20,
            "at most 1000 operations, including its branches",
        ),
        (
            [1, 1, 1],
            [{**BESIDE, "branches": [[{"kind": "upsample", "size": [8192, 8192]}] * 2] * 2}],
            r"values per record, summed over its operations. Allowed: 2\^28",
        ),
        (
            [512],
            [{**BESIDE, "branches": [[{"kind": "dense", "shift": 0, "weights": "w", "biases": "b"}] * 300] * 2}],
            r"have .* weights. Allowed: 2\^27",
        ),
        (
            [4096, 4096, 1],
            [
                {
                    **BESIDE,
                    "branches": [
                        [],
                        [{"kind": "convolution", "shift": 0, "padding": [15, 15], "weights": "k", "biases": "one"}],
                    ],
                }
            ],
            "multiplications",
        ),
    ],
    ids=["operations", "values", "weights", "multiplications"],
)
def test_absurd_work_within_branches_is_refused(in_shape, operations, message):
    tensors = {"w": np.ones((512, 512), np.int16), "b": np.zeros(512, np.int64), "one": np.zeros(1, np.int64)}
    tensors["k"] = np.ones((1, 1, 31, 31), np.int16)
    with pytest.raises(ModelFileError, match=message):
        Program.from_tensors({"in_shape": in_shape, "operations": operations}, tensors)
