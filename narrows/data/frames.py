"""Data frames of pandas and polars: their columns as one array of numbers, and the names of the columns."""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.data.arrays import REAL_KINDS, check_values, describe
from narrows.data.source import Source
from narrows.errors import DataError, DataWarning, warn

__all__ = [
    "as_frame_like",
    "check_columns",
    "columns_of",
    "has_typed_columns",
    "has_unique_columns",
    "is_frame",
    "is_missing",
    "open_frame",
    "with_words",
]

_MOST_NAMED = 5


def is_frame(data: Any) -> bool:
    """Return whether data are a data frame of pandas or polars, or an object with the same interface."""
    return all(hasattr(type(data), name) for name in ("columns", "dtypes", "to_numpy"))


def has_unique_columns(frame: Any) -> bool:
    """Return whether no two columns of a data frame have the same name."""
    return len(set(frame.columns)) == len(frame.columns)


def has_typed_columns(frame: Any) -> bool:
    """Return whether a data frame has columns of texts, categories, dates or times, which are no numbers."""
    for column in _columns(frame):
        if hasattr(column, "cat") and type(column).__module__.startswith("pandas"):
            return True
        if hasattr(column, "sparse"):
            continue
        values = np.asarray(column.to_numpy())
        if values.dtype.kind in "MmUST":
            return True
        if values.dtype.kind == "O" and any(
            isinstance(one, str | bytes | datetime.date | datetime.time) for one in values
        ):
            return True
    return False


def with_words(frame: Any) -> Any:
    """Return a data frame of pandas whose categories are texts; others unchanged."""
    if not type(frame).__module__.startswith("pandas"):
        return frame
    changed = {}
    for name, column in zip(frame.columns, _columns(frame), strict=True):
        if hasattr(column, "cat") and not all(isinstance(one, str) for one in column.cat.categories):
            changed[name] = column.cat.rename_categories([str(one) for one in column.cat.categories])
    return frame.assign(**changed) if changed and all(isinstance(name, str) for name in changed) else frame


def open_frame(frame: Any) -> Source:
    """Return the rows of a data frame as records.

    Parameters
    ----------
    frame : DataFrame
        Of pandas or polars, with columns of numbers or booleans; missing values become NaN.

    Returns
    -------
    Source
        One array (n, n_columns) of the smallest dtype that holds all columns. Columns that are all bytes become int16:
        narrows treats uint8 values as pixels, and the columns of a data frame are none.

    Raises
    ------
    DataError
        If a column does not hold numbers, or the frame is empty.

    Examples
    --------
    >>> import pandas
    >>> source = open_frame(pandas.DataFrame({"size": [1.5, 2.0], "is_new": [True, False]}))
    >>> source.columns, source.values.tolist()
    (('size', 'is_new'), [[1.5, 1.0], [2.0, 0.0]])
    """
    names = list(frame.columns)
    columns = [_numbers(name, column) for name, column in zip(names, _columns(frame), strict=True)]
    if columns:
        dtype = np.result_type(*(column.dtype for column in columns))
        dtype = np.dtype(np.int16) if dtype == np.uint8 else dtype
        values = np.empty((len(frame), len(columns)), dtype)
        rounded: list[Any] = []
        for name, column, stored in zip(names, columns, values.T, strict=True):
            with np.errstate(over="ignore"):
                stored[:] = column
            rounded += [] if _is_exact(column, stored) else [name]
    else:
        values, rounded = np.empty((len(frame), 0)), []
    check_values(values, "The data frame")
    warnings = _rounding_warnings(rounded, values.dtype)
    texts = tuple(names) if all(isinstance(name, str) for name in names) else None
    return Source(values, name=f"data frame {describe(values)}", kind="array", columns=texts, warnings=warnings)


def _is_exact(column: NDArray[Any], stored: NDArray[Any]) -> bool:
    """Return whether whole numbers (n,) are unchanged in the dtype of all columns."""
    if column.dtype.kind not in "iu" or stored.dtype.kind != "f" or column.itemsize < 8 or not len(column):
        return True
    # Beyond this number not every whole number is a float.
    most = 2 ** (np.finfo(stored.dtype).nmant + 1)
    large = (column > most) | (column < -most if column.dtype.kind == "i" else False)
    return all(int(float(new)) == int(old) for old, new in zip(column[large], stored[large], strict=True))


def _rounding_warnings(names: list[Any], dtype: np.dtype[Any]) -> tuple[DataWarning, ...]:
    """Warn of columns with whole numbers that the dtype of all columns cannot hold."""
    if not names:
        return ()
    what = (
        f"The column '{names[0]}' has"
        if len(names) == 1
        else f"{len(names):,} columns (the first is '{names[0]}') have"
    )
    warning = DataWarning(
        f"{what} whole numbers that are rounded: a model takes one dtype for all columns, {dtype}, which does not hold "
        "every whole number beyond 2^53. Leave identifiers out, or subtract the smallest value.",
        kind="precision",
        count=len(names),
        first=str(names[0]),
    )
    warn(warning)
    return (warning,)


def columns_of(data: Any) -> list[Any] | None:
    """Return the names of the columns of a data frame; None for other data."""
    return list(data.columns) if is_frame(data) else None


def as_frame_like(frame: Any, values: NDArray[Any], columns: Sequence[Any] | None) -> Any:
    """Return records as a data frame of the kind of another, with these columns; as they are if there is none.

    Parameters
    ----------
    frame : DataFrame or any other data
        What the records were made from. A frame of pandas passes its index on.
    values : ndarray of shape (n, *shape)
        The records.
    columns : sequence of str or None
        The names of the values of a record. None, or for records with several axes: an array is returned.

    Examples
    --------
    >>> import pandas
    >>> given = pandas.DataFrame({"a": [1, 2]}, index=["first", "second"])
    >>> as_frame_like(given, np.array([[0.5], [1.5]]), ["b"])
              b
    first   0.5
    second  1.5
    """
    package = type(frame).__module__.partition(".")[0]
    if columns is None or not is_frame(frame) or values.ndim != 2 or package not in {"pandas", "polars"}:
        return values
    kind = getattr(sys.modules[package], "DataFrame")  # noqa: B009  mypy knows no such module
    if package == "pandas":
        return kind(values, index=frame.index, columns=list(columns))
    return kind(values, schema=[str(name) for name in columns])


def check_columns(given: Sequence[str], trained_on: Sequence[str] | None) -> None:
    """Raise DataError if columns are not those of the training data, in their order; None: these had no names.

    The text begins as scikit-learn's, by which its tests recognise it.
    """
    if trained_on is None or list(given) == list(trained_on):
        return
    lines = ["The feature names should match those that were passed during fit."]
    unknown, missing = sorted(set(given) - set(trained_on)), sorted(set(trained_on) - set(given))
    for title, names in (
        ("Feature names unseen at fit time:", unknown),
        ("Feature names seen at fit time, yet now missing:", missing),
    ):
        if names:
            lines += [title, *(f"- {name}" for name in names[:_MOST_NAMED]), *["- ..."] * (len(names) > _MOST_NAMED)]
    if not unknown and not missing:
        lines.append("Feature names must be in the same order as they were in fit.")
    if not missing and len(set(trained_on)) == len(trained_on):
        lines.append("Select the columns of the training data by name: x[list(model.feature_names_in_)].")
    raise DataError("\n".join(lines) + "\n")


def _columns(frame: Any) -> Iterator[Any]:
    """Return the columns of a frame in their order; names may repeat."""
    positions = range(frame.shape[1])
    if hasattr(frame, "iloc"):
        return (frame.iloc[:, position] for position in positions)
    return (frame.to_series(position) for position in positions)


def _numbers(name: Any, column: Any) -> NDArray[Any]:
    """Return a column (n,) as an array of a real dtype, with NaN for missing values."""
    if hasattr(column, "sparse"):
        column = column.sparse.to_dense()
    is_category = hasattr(column, "cat") and type(column).__module__.startswith("pandas")
    values: NDArray[Any] = np.asarray(column.to_numpy())
    if values.dtype.kind in REAL_KINDS and not is_category:
        return values
    if values.dtype != object or is_category:
        raise _not_numbers(name, column.dtype, None)
    missing = np.fromiter((is_missing(one) for one in values), bool, len(values))
    present = values[~missing]
    for one in present:
        if not isinstance(one, Real | np.bool_ | Decimal):
            raise _not_numbers(name, column.dtype, one)
    if missing.any():
        numbers = np.full(len(values), math.nan)
        numbers[~missing] = present.astype(np.float64)
        return numbers
    numbers = np.array([float(one) if isinstance(one, Decimal) else one for one in present])
    stored = getattr(column.dtype, "numpy_dtype", numbers.dtype)  # of nullable columns of pandas: Int8, boolean
    return numbers.astype(stored if np.dtype(stored).kind in REAL_KINDS else np.float64)


def is_missing(value: Any) -> bool:
    """Return whether a value stands for a missing one in a column of objects."""
    return value is None or type(value).__name__ in {"NAType", "NaTType"}


def _not_numbers(name: Any, dtype: Any, value: Any) -> DataError:
    found = f"of {dtype}" if value is None else f"with the value {value!r:.40} ({type(value).__name__})"
    return DataError(
        f"The columns of a data frame must hold numbers. Got '{name}' {found}. Turn text and categories into numbers "
        "first, for example by pandas.get_dummies, dates by subtracting the first one, or leave the column out."
    )
