"""Arrays, and objects that NumPy can view as one: nested lists, data frames, tensors on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.source import Source
from narrows.errors import DataError

__all__ = ["as_array", "check_dtype", "check_shape", "check_values", "describe", "open_array"]

REAL_KINDS = "biuf"


def open_array(data: Any) -> Source:
    """Return the records of an array, without a copy where possible.

    Parameters
    ----------
    data : array_like of shape (n, *shape)
        Any real dtype: booleans, integers, floats.

    Returns
    -------
    Source
        Read-only arrays and memory maps are not copied: nothing is ever written to records.

    Raises
    ------
    DataError
        If the dtype is not real, there is no axis of records, or the array is empty.

    Examples
    --------
    >>> open_array([[1, 2], [3, 4], [5, 6]]).shape
    (2,)
    """
    values = check_values(as_array(data), "The array")
    return Source(values, name=f"array {describe(values)}", kind="array")


def check_values(values: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return `values` in native byte order, or raise an error if they cannot be records.

    Parameters
    ----------
    values : ndarray
    name : str
        The subject of the error message.

    Returns
    -------
    ndarray of shape (n, *shape)
        The same array, or a copy if its bytes had to be swapped.

    Raises
    ------
    DataError
        If the dtype is not real, there is no axis of records, or the array is empty.
    """
    check_dtype(values.dtype, name)
    check_shape(values.shape, name)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def check_dtype(dtype: np.dtype[Any], name: str) -> None:
    """Raise DataError unless `dtype` is real."""
    if dtype.kind == "f" and dtype.itemsize > 8:
        raise DataError(f"{name} has dtype {dtype}, beyond 64 bits. Turn it into float64 first.")
    if dtype.kind not in REAL_KINDS:
        hint = " Turn text, dates and categories into numbers first." if dtype.kind in "OSUMmV" else ""
        raise DataError(
            f"{name} has dtype {dtype}, which is not a real number. Allowed: bool, integers and floats.{hint}"
        )


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Raise DataError unless `shape` is ``(n, *shape)`` with at least one value."""
    if len(shape) < 2:
        raise DataError(
            f"{name} has shape {shape}, but records are counted along the first axis: (n, *shape). "
            "Use x[None] if it is one record, x[:, None] if each value is a record."
        )
    if shape[0] == 0:
        raise DataError(f"{name} holds no records: its shape is {shape}.")
    if 0 in shape:
        raise DataError(f"{name} holds records without values: its shape is {shape}.")


def describe(values: npt.NDArray[Any]) -> str:
    """Return shape and dtype as text: ``(100, 8, 8) float32``."""
    return f"{values.shape} {values.dtype}"


def as_array(data: Any) -> npt.NDArray[Any]:
    """Return data as an array, or raise DataError if they cannot be one."""
    if hasattr(data, "toarray"):  # scipy.sparse, which NumPy would wrap as a single object
        raise DataError(f"Sparse matrices are not supported. Got {type(data).__name__}; pass x.toarray().")
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        raise DataError("Masked arrays are not supported, since the mask would be lost. Fill them: x.filled(value).")
    try:
        values: npt.NDArray[Any] = np.asanyarray(data) if isinstance(data, np.memmap) else np.asarray(data)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors on a GPU or with a gradient
        raise DataError(
            f"The data must be one array; all records must have the same shape. Got {type(data).__name__}: {error}"
        ) from error
    if values.ndim == 0 and values.dtype == object:
        raise DataError(
            f"Data must be an array, a path or the name of a data set. Got {data!r:.80} ({type(data).__name__})."
        )
    return values
