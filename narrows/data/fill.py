"""Fill values, which stand for missing values: their places in records, and the check that a dtype can have them."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.source import Source
from narrows.errors import DataError, InvalidParameterError

__all__ = ["check_fill", "check_some_known", "is_fill", "same_fill"]

_ROWS = 1024


def is_fill(values: npt.NDArray[Any], fill_value: float) -> npt.NDArray[np.bool_]:
    """Return where values are the fill value, which is rounded to the dtype of the values first.

    Examples
    --------
    >>> is_fill(np.array([0.1, 0.5], np.float32), 0.1).tolist(), is_fill(np.array([1.0, np.nan]), np.nan).tolist()
    ([True, False], [False, True])
    """
    if values.dtype.kind != "f":
        return np.asarray(values == fill_value)
    if math.isnan(fill_value):
        return np.asarray(np.isnan(values))
    with np.errstate(over="ignore"):
        return np.asarray(values == np.array(fill_value).astype(values.dtype))


def same_fill(one: float, other: float) -> bool:
    """Return whether two fill values are the same; NaN is the same as NaN."""
    return one == other or (math.isnan(one) and math.isnan(other))


def check_fill(fill_value: Any, dtype: np.dtype[Any], *, allow_nan: bool) -> float:
    """Return a fill value as a float, if values of a dtype can be equal to it.

    Raises
    ------
    InvalidParameterError
        If it is no number, or no value of the dtype.
    """
    if isinstance(fill_value, bool | np.bool_) or not isinstance(fill_value, Real):
        raise InvalidParameterError(
            f"The 'fill_value' (--fill-value) must be a number such as -9999, or None. Got {fill_value!r}."
        )
    value = float(fill_value)
    if math.isnan(value) and allow_nan and dtype.kind == "f":
        return value
    if dtype.kind == "f":
        allowed = f"a finite value of the dtype {dtype}{', or nan' if allow_nan else ''}"
        is_value = math.isfinite(value) and abs(value) <= float(np.finfo(dtype).max)
    else:
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        whole = "0 or 1" if dtype.kind == "b" else f"a whole number from {low} to {high}"
        allowed = f"{whole}, since the records are of the dtype {dtype}"
        is_value = math.isfinite(value) and value == math.floor(value) and low <= int(value) <= high
    if not is_value:
        raise InvalidParameterError(f"The 'fill_value' (--fill-value) must be {allowed}. Got {value!r}.")
    return value


def check_some_known(source: Source, fill_value: float | None) -> None:
    """Raise DataError if all values of the training data are the fill value."""
    if fill_value is None:
        return
    values = source.values
    starts = range(0, len(values), _ROWS)
    if all(is_fill(np.asarray(values[start : start + _ROWS]), fill_value).all() for start in starts):
        raise DataError(
            f"{source.name}: all values are {fill_value:.17g}, the fill value, so there is nothing to learn from. "
            "Set another 'fill_value' (--fill-value), or None."
        )
