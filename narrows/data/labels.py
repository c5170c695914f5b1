"""Labels of every container as arrays of NumPy's own dtypes."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.data.frames import is_missing
from narrows.errors import DataError

__all__ = ["missing_labels", "plain_labels"]


def plain_labels(y: Any) -> NDArray[Any]:
    """Return labels as an array that keeps their type.

    Parameters
    ----------
    y : array_like
        Labels. Nullable columns and arrays of objects that are all booleans, or all numbers, become arrays of these,
        and text of variable length becomes text of fixed length.

    Raises
    ------
    DataError
        If a label is missing, masked, or bytes.

    Examples
    --------
    >>> import pandas
    >>> plain_labels(pandas.Series([True, False], dtype="boolean"))
    array([ True, False])
    """
    if isinstance(y, np.ma.MaskedArray) and np.ma.is_masked(y):
        _refuse_missing(int(np.ma.getmaskarray(y).argmax()), "masked")
    labels = np.asarray(y)
    if labels.dtype.kind == "T":
        labels = labels.astype(object)
    if labels.dtype.kind == "S" or (labels.dtype == object and any(isinstance(one, bytes) for one in labels.flat)):
        raise DataError("The labels must be numbers or text. Got bytes. Decode them: numpy.char.decode(y.astype('S')).")
    if labels.dtype.kind == "M" and np.isnat(labels).any():
        _refuse_missing(int(np.isnat(labels).argmax()), "NaT")
    if labels.dtype != object:
        return labels if labels.dtype.isnative else labels.astype(labels.dtype.newbyteorder("="))
    found = labels.ravel().tolist()
    for position, one in enumerate(found):
        if is_missing(one) or (isinstance(one, float) and math.isnan(one)):
            _refuse_missing(position, str(one))
    if all(isinstance(one, bool | np.bool_) for one in found):
        return labels.astype(bool)
    are_numbers = all(isinstance(one, Real) and not isinstance(one, bool) for one in found)
    return np.array(found).reshape(labels.shape) if are_numbers else labels


def missing_labels(y: Any) -> NDArray[np.bool_]:
    """Return which labels (n,) are missing: None, NaN, NaT, pandas' NA, or masked.

    Examples
    --------
    >>> missing_labels(["cat", None, "dog"])
    array([False,  True, False])
    """
    labels = np.asarray(y)
    masked = np.ma.getmaskarray(y).copy() if isinstance(y, np.ma.MaskedArray) else np.zeros(labels.shape, bool)
    if labels.dtype.kind == "f":
        return np.asarray(masked | np.isnan(labels))
    if labels.dtype.kind == "M":
        return np.asarray(masked | np.isnat(labels))
    if labels.dtype != object:
        return np.asarray(masked)
    found = [is_missing(one) or (isinstance(one, float) and math.isnan(one)) for one in labels.ravel().tolist()]
    return np.asarray(masked | np.array(found, bool).reshape(labels.shape))


def _refuse_missing(position: int, label: str) -> None:
    raise DataError(
        f"Each record needs one label. Got {label} for record {position} (counted from 0). Leave out records without a "
        "label."
    )
