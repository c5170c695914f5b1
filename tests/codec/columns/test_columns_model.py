"""The model of rows: the same columns back, from C and from Python, for any columns and any coded bytes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.codec import kernels
from narrows.codec.columns.contract import Ids, Numbers, Texts
from narrows.codec.columns.model import ColumnsModel
from narrows.codec.columns.plan import Lookup
from narrows.codec.columns.texts import TextModel
from narrows.codec.columns.trees import Leaves, nodes_of
from narrows.codec.fields.leb128 import NumberReader
from narrows.errors import CorruptArchiveError, NarrowsError

needs_kernels = pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")


@needs_kernels
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_trees_are_the_same_from_c_and_from_python(weights):
    n = len(weights)
    leaves = Leaves(np.arange(n) * 3 - 5, np.ones(n, np.int64), np.array(weights, np.uint8))
    found = nodes_of(leaves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "compiled", None)
        np.testing.assert_array_equal(found, nodes_of(leaves))
    assert found.shape == (n - 1, 5)


def table(n, seed=0):
    """Return columns with a clock, a sum of two others, a function of another, noise, gaps and texts."""
    rng = np.random.default_rng(seed)
    start = np.sort(rng.integers(0, 1440, n))
    delay = rng.geometric(0.1, n) - 5
    end = (start + delay) % 1440
    missing = rng.random(n) < 0.1
    kind = rng.integers(0, 5, n)
    words = [b"w%d" % (k * k) for k in kind]
    return [
        Numbers(start // 60 * 100 + start % 60, None),
        Ids(kind, None, 5),
        Numbers(kind * 7 + 3, missing),
        Numbers(end // 60 * 100 + end % 60, None),
        Numbers(delay, missing),
        Texts([word + (b"/%d" % i if i % 9 == 0 else b"") for i, word in enumerate(words)], missing),
        Numbers(rng.integers(-(1 << 62), 1 << 62, n), None),
    ]


def rows(columns, first, last):
    def cut(one):
        missing = None if one.missing is None else one.missing[first:last]
        if isinstance(one, Ids):
            return Ids(one.values[first:last], missing, one.n_known)
        return type(one)(one.values[first:last], missing)

    return [cut(one) for one in columns]


def plain(columns):
    """Return the values of columns, None where one is missing."""
    found = []
    for one in columns:
        missing = [False] * len(one.values) if one.missing is None else one.missing.tolist()
        values = one.values if isinstance(one, Texts) else one.values.tolist()
        found.append([None if no else value for no, value in zip(missing, values, strict=True)])
    return found


@pytest.fixture(scope="module")
def model():
    if kernels.compiled is None:
        pytest.skip("needs the compiled kernels")
    return ColumnsModel.of(table(600), group=200)


def test_all_rows_come_back_in_groups(model):
    columns, read = table(600), ColumnsModel.from_bytes(model.to_bytes())
    for first in range(0, 600, 200):
        group = rows(columns, first, first + 200)
        assert plain(read.decode(model.encode(group), 200)) == plain(group)


def test_rows_that_the_model_has_not_seen_come_back(model):
    columns = table(50, seed=1)
    columns[0] = Numbers(np.arange(50) * 1000 - 99, np.arange(50) % 3 == 0)
    columns[1] = Ids(np.full(50, 5), None, 5)
    columns[2] = Numbers(np.full(50, np.iinfo(np.int64).min), None)
    columns[4] = Numbers(np.full(50, np.iinfo(np.int64).max), None)
    columns[5] = Texts([b"\xff\x00\n" * i for i in range(50)], None)
    assert plain(model.decode(model.encode(columns), 50)) == plain(columns)


def test_a_sum_of_two_clock_columns_is_found(model):
    assert any(plan.modulus == 1440 and len(plan.terms) == 2 for plan in model.plans)


def test_what_a_column_determines_is_stored_once_and_read_back():
    keys = np.random.default_rng(0).permutation(np.arange(60000) % 600)
    values = np.random.default_rng(1).integers(0, 1 << 20, 600)[keys]
    columns = [Numbers(keys), Numbers(values)]
    model = ColumnsModel.of(columns, group=100)
    assert [plan.lookup is not None for plan in model.plans] == [False, True]
    read, group = ColumnsModel.from_bytes(model.to_bytes()), rows(columns, 0, 100)
    assert plain(read.decode(model.encode(group), 100)) == plain(group)


def test_kernels_code_as_python_does(model, monkeypatch):
    lookup = Lookup(0, np.arange(0, 300, 2), np.arange(150) % 4)
    plans = [*model.plans[:-1], replace(model.plans[-1], lookup=lookup)]
    model = ColumnsModel(model.schemas, model.texts, model.order, plans, model.bits)
    group, found = rows(table(600), 200, 225), []
    for compiled in [None, kernels.compiled]:
        monkeypatch.setattr(kernels, "compiled", compiled)
        coded = model.encode(group)
        assert plain(model.decode(coded, 25)) == plain(group)
        found.append(coded)
    assert found[0] == found[1]


def test_the_format_never_changes(model):
    read = ColumnsModel.from_bytes(model.to_bytes())
    assert read.to_bytes() == model.to_bytes()


@st.composite
def tables(draw):
    n = draw(st.integers(1, 12))
    columns = []
    for _ in range(draw(st.integers(1, 4))):
        missing = draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n).map(lambda one: np.array(one, bool)))
        kind = draw(st.sampled_from(["small", "any", "ids", "texts"]))
        if kind == "texts":
            columns.append(Texts(draw(st.lists(st.binary(max_size=5), min_size=n, max_size=n)), missing))
            continue
        limits = {"small": (-3, 300), "any": (-(1 << 63), (1 << 63) - 1), "ids": (0, 4)}[kind]
        values = np.array(draw(st.lists(st.integers(*limits), min_size=n, max_size=n)), np.int64)
        columns.append(Ids(values, missing, 4) if kind == "ids" else Numbers(values, missing))
    return columns


@needs_kernels
@given(tables())
@settings(max_examples=10, deadline=None)
def test_any_table_comes_back(columns):
    n = len(columns[0].values)
    model = ColumnsModel.of(columns, group=n)
    assert plain(ColumnsModel.from_bytes(model.to_bytes()).decode(model.encode(columns), n)) == plain(columns)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_damaged_groups_give_rows_or_a_named_error(model, data):
    group = rows(table(600), 0, 60)
    coded = bytearray(model.encode(group))
    at = data.draw(st.integers(0, len(coded) - 1))
    coded[at] ^= data.draw(st.integers(1, 255))
    try:
        found = model.decode(bytes(coded[: data.draw(st.sampled_from([len(coded), at]))]), 60)
    except CorruptArchiveError:
        return
    assert [len(one.values) for one in found] == [60] * len(group)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_damaged_models_read_or_give_a_named_error(model, data):
    packed = bytearray(model.to_bytes())
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    try:
        read = ColumnsModel.from_bytes(bytes(packed))
        read.decode(model.encode(rows(table(600), 0, 20)), 20)
    except NarrowsError:
        return
    assert read.to_bytes()


@pytest.mark.parametrize("n", [0, 1])
def test_tables_of_few_rows_work(n):
    columns = table(n)
    model = ColumnsModel.of(columns, group=10)
    assert plain(model.decode(model.encode(columns), n)) == plain(columns)


def test_columns_of_another_table_are_refused(model):
    with pytest.raises(ValueError, match="Columns must be"):
        model.encode(table(5)[:2])
    with pytest.raises(ValueError, match="as many values"):
        model.encode([*table(5)[:-1], table(6)[-1]])


@pytest.mark.parametrize(
    ("texts", "n_rows", "limit"),
    [
        ([b"short", b"texts"], None, None),
        ([b"short", bytes(1 << 17)], None, 1 << 16),
        ([b"short", b"some of many rows"], 100, 1 << 16),
        ([b"%d" % i + bytes(1 << 12) for i in range(100)], 10_000, 0),
    ],
)
def test_long_texts_and_much_text_are_left_to_zstandard(texts, n_rows, limit):
    model = TextModel.of(texts, None, n_rows)
    assert model.limit == limit
    coded = model.encode(texts)
    assert model.decode(NumberReader(coded), len(texts)) == texts
    if max(map(len, texts)) > 1 << 16:
        with pytest.raises(CorruptArchiveError):
            model.decode(NumberReader(coded), 1)
