"""Data frames of pandas and polars: numbers as columns, names that are kept, columns that cannot be records."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

import narrows.data
from narrows.data.image_losses import check_lossless
from narrows.errors import DataError, DataWarning

both = pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])


@both
def test_columns_become_one_array_and_keep_their_names(library):
    source = narrows.data.open(library.DataFrame({"size": [1.5, 2.0], "is_new": [True, False], "rooms": [3, 4]}))
    assert source.columns == ("size", "is_new", "rooms")
    assert source.values.tolist() == [[1.5, 1.0, 3.0], [2.0, 0.0, 4.0]]
    assert source.limit(1).columns == source.columns


@pytest.mark.parametrize(
    ("frame", "dtype", "expected"),
    [
        (pd.DataFrame({"a": pd.array([1, 2], "Int16")}), "int16", [[1], [2]]),
        (pd.DataFrame({"a": pd.array([1, None], "Int64")}), "float64", [[1], [np.nan]]),
        (pd.DataFrame({"a": pd.array([1.5, None], "Float64")}), "float64", [[1.5], [np.nan]]),
        (pd.DataFrame({"a": pd.array([True, False], "boolean")}), "bool", [[True], [False]]),
        (pd.DataFrame({"a": pd.array([True, None], "boolean")}), "float64", [[1], [np.nan]]),
        (pd.DataFrame({"a": [1, 2.5]}, dtype=object), "float64", [[1], [2.5]]),
        (pd.DataFrame({"a": [1, None]}, dtype=object), "float64", [[1], [np.nan]]),
        (pd.DataFrame({"a": [decimal.Decimal("1.25"), decimal.Decimal(2)]}), "float64", [[1.25], [2]]),
        (pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.5])}), "float64", [[0], [1.5]]),
        (pl.DataFrame({"a": [1, None]}), "float64", [[1], [np.nan]]),
        (pl.DataFrame({"a": [True, None]}), "float64", [[1], [np.nan]]),
        (pl.DataFrame({"a": [decimal.Decimal("1.25")]}), "float64", [[1.25]]),
        (pl.DataFrame({"a": [1, 2]}, schema={"a": pl.Int8}), "int8", [[1], [2]]),
    ],
)
def test_nullable_object_and_sparse_columns_are_numbers(frame, dtype, expected):
    source = narrows.data.open(frame)
    assert source.dtype == dtype
    np.testing.assert_array_equal(source.values, expected)


@both
def test_columns_of_bytes_are_a_table_and_not_pixels(library):
    x = np.array([[1, 255], [3, 4]], np.uint8)
    source = narrows.data.open(library.DataFrame({"a": x[:, 0], "b": x[:, 1]}))
    assert source.dtype == np.int16
    np.testing.assert_array_equal(source.values, x)


@pytest.mark.parametrize(
    ("frame", "kind", "values"),
    [
        (pd.DataFrame({"good": [1, 2, 3], "typed": ["x", "y", "x"]}), "category", [0, 1, 0]),
        (pd.DataFrame({"typed": pd.Categorical([1, 2])}), "category", [0, 1]),
        (pd.DataFrame({"typed": pd.to_datetime(["1970-01-01", "1970-01-02"]).date}), "date", [0, 1]),
        (pl.DataFrame({"good": [1, 2, 3], "typed": ["x", "y", "x"]}), "category", [0, 1, 0]),
        (pl.DataFrame({"typed": ["x", "y"]}, schema={"typed": pl.Categorical}), "category", [0, 1]),
    ],
)
def test_columns_of_other_kinds_make_rows_of_a_table(frame, kind, values):
    pytest.importorskip("pyarrow")
    source = narrows.data.open(frame)
    assert source.record == "columns"
    assert source.table.fields[-1].kind == kind
    assert source.values[:, -1].tolist() == values


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame({"bad": [1, "1"]}), pd.DataFrame({"bad": [1j, 2]}), pl.DataFrame({"bad": [[1], [2]]})],
)
def test_other_columns_are_refused_by_name(frame):
    with pytest.raises(DataError, match=r"bad"):
        narrows.data.open(frame)


def test_frames_without_values_are_refused():
    for frame in (pd.DataFrame(), pd.DataFrame({"a": []}, dtype=float), pl.DataFrame({"a": []})):
        with pytest.raises(DataError, match=r"at least one (record|value)|hold numbers"):
            narrows.data.open(frame)
    with pytest.raises(DataError, match="collect"):
        narrows.data.open(pl.LazyFrame({"a": [1]}))


def test_repeated_and_numbered_columns_are_taken():
    source = narrows.data.open(pd.DataFrame([[1, 2.5], [3, 4]], columns=["a", "a"]))
    assert source.values.tolist() == [[1, 2.5], [3, 4]]
    assert narrows.data.open(pd.DataFrame([[1, 2], [3, 4]])).columns is None


class Quantity:
    """As pint has it: numbers with units, which NumPy strips."""

    units = "metre"
    magnitude = np.ones((3, 2))

    def __array__(self, dtype=None, copy=None):
        return self.magnitude


class Labelled:
    """As xarray has it: an array inside an array."""

    def __init__(self, data):
        self.data = data

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.data)


masked = np.ma.masked_equal(np.arange(6.0).reshape(3, 2), 2.0)


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (masked, r"x\.filled\(numpy\.nan\)"),
        (list(masked), r"x\.filled\(numpy\.nan\)"),
        (Labelled(masked), r"x\.filled\(numpy\.nan\)"),
        (Quantity(), r"x\.magnitude"),
        (Labelled(Quantity()), r"x\.magnitude"),
        (np.ones((2, 2), complex), r"x\.real"),
        (np.zeros((2, 2), [("a", "f4"), ("b", "f4")]), "structured_to_unstructured"),
        (np.zeros((2, 2), "timedelta64[s]"), "into numbers first"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_arrays_that_carry_more_than_numbers_are_refused_with_the_way_on(data, advice):
    with pytest.raises(DataError, match=advice):
        narrows.data.open(data)


def test_masked_arrays_without_masked_values_and_labelled_arrays_are_arrays():
    assert narrows.data.open(np.ma.array([[1.0, 2.0]])).values.tolist() == [[1, 2]]
    assert narrows.data.open(Labelled(np.ones((3, 2)))).shape == (2,)
    assert narrows.data.open(np.array([[1, 2.5], [True, 3]], object)).values.tolist() == [[1, 2.5], [1, 3]]


def test_whole_numbers_that_no_common_dtype_holds_are_told_and_not_called_lossless():
    frame = pd.DataFrame({"id": [2**60 + i for i in range(100)], "x": np.arange(100.0)})
    with pytest.warns(DataWarning, match="column 'id' has whole numbers that are rounded") as caught:
        source = narrows.data.open(frame)
    assert (caught[0].message.kind, caught[0].message.count, caught[0].message.first) == ("precision", 1, "id")
    assert source.warnings == (caught[0].message,)
    small = narrows.data.open(pd.DataFrame({"id": [2**53, -(2**53), 7], "x": [0.5, 1.0, 2.0]}))
    assert small.values[:, 0].tolist() == [2**53, -(2**53), 7]
    with pytest.raises(DataError, match="--accept-loss precision"):
        check_lossless(source.name, source.warnings)


@pytest.mark.parametrize("number", [2**60 + 1, 2**2000])
def test_objects_that_are_too_large_for_floats_are_refused(number):
    with pytest.raises(DataError, match="The array of objects has"):
        narrows.data.open(np.array([[number], [1]], dtype=object))
