"""Arrays, and objects that NumPy can view as one: nested lists, data frames, tensors on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.source import Source
from narrows.errors import DataError

__all__ = [
    "as_array",
    "check_dtype",
    "check_has_records",
    "check_plain",
    "check_shape",
    "check_values",
    "describe",
    "open_array",
]

REAL_KINDS = "biuf"

_NOT_NUMBERS = " Turn text, dates and categories into numbers first."
_HINTS = {
    **dict.fromkeys("OSUMm", _NOT_NUMBERS),
    "c": " Keep both parts as numbers: numpy.stack([x.real, x.imag], axis=-1).",
    "V": " Turn fields into columns: numpy.lib.recfunctions.structured_to_unstructured(x).",
}
"""What to do with other dtypes, by their kind."""


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
        raise DataError(f"{name} must have a dtype of at most 64 bits. Got {dtype}. Convert it to float64 first.")
    if dtype.kind not in REAL_KINDS:
        raise DataError(f"{name} must have a bool, integer or float dtype. Got {dtype}.{_HINTS.get(dtype.kind, '')}")


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Raise DataError unless `shape` is ``(n, *shape)`` with at least one value."""
    if len(shape) < 2:
        raise DataError(
            f"{name} must have at least two axes, of which the first is the axis of records: (n, *shape). "
            f"Got the shape {shape}. Pass x[None] if it is one record, or x[:, None] if each value is a record."
        )
    if shape[0] == 0:
        raise _no_record(name, shape)
    if 0 in shape:
        raise DataError(f"{name} must have at least one value in each record. Got the shape {shape}.")


def check_has_records(values: Any) -> None:
    """Raise DataError if an array has an axis of records of length 0; other objects pass."""
    if isinstance(values, np.ndarray) and values.ndim == 2 and len(values) == 0:
        raise _no_record("The array", values.shape)


def _no_record(name: str, shape: tuple[int, ...]) -> DataError:
    return DataError(f"{name} must contain at least one record. Got the shape {shape}.")


def describe(values: npt.NDArray[Any]) -> str:
    """Return shape and dtype as text: ``(100, 8, 8) float32``."""
    return f"{values.shape} {values.dtype}"


def as_array(data: Any) -> npt.NDArray[Any]:
    """Return data as an array, or raise DataError if they cannot be one.

    Arrays of objects that are all real numbers become float64.
    """
    check_plain(data)
    try:
        values: npt.NDArray[Any] = np.asanyarray(data) if isinstance(data, np.memmap) else np.asarray(data)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists, and what NumPy cannot view as an array
        if isinstance(data, list | tuple) and (lengths := _lengths(data)) is not None:
            raise DataError(
                f"The data must be one array; all records must have the same shape. Got {type(data).__name__}: "
                f"record 0 has {lengths[0]}, and record {lengths[1]:,} has {lengths[2]}."
            ) from None
        raise DataError(
            f"The data must be one array; all records must have the same shape. Got {type(data).__name__}: {error}"
        ) from error
    if values.ndim == 0 and values.dtype == object:
        raise DataError(
            f"Data must be an array, a path or the name of a data set. Got {data!r:.80} ({type(data).__name__})."
        )
    if values.dtype == object and all(isinstance(one, Real | np.bool_) for one in values.flat):
        return _as_floats(values)
    return values


def _as_floats(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return an array of real objects as floats; refuse whole numbers that floats cannot hold."""
    try:
        floats = values.astype(np.float64)
    except OverflowError:
        raise DataError("The array of objects has a whole number that is larger than the largest float.") from None
    for one, rounded in zip(values.flat, floats.flat, strict=True):
        if isinstance(one, Integral) and int(rounded) != int(one):
            raise DataError(
                f"The array of objects has the whole number {int(one)}, which floats round to {int(rounded)}. Convert "
                "it to a dtype that holds its values, for example by X.astype('int64')."
            )
    return floats


def _lengths(records: Sequence[Any]) -> tuple[str, int, str] | None:
    """Return the size of the first record, and number and size of the first of another size, if there is one."""
    sizes = []
    for record in records:
        try:
            sizes.append(np.shape(record))
        except ValueError:  # ragged itself
            return None
    texts = [
        "the shape " + str(size) if len(size) > 1 else f"{size[0]} values" if size else "1 value" for size in sizes
    ]
    other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    return None if other is None else (texts[0], other, texts[other])


def check_plain(data: Any) -> None:
    """Raise DataError if data carry more than numbers, which NumPy would drop silently: a mask, units, columns."""
    if hasattr(data, "toarray"):  # scipy.sparse, which NumPy would wrap as a single object
        raise DataError(f"Sparse matrices are not supported. Got {type(data).__name__}; pass x.toarray().")
    if hasattr(data, "data_vars"):
        raise DataError("A Dataset of xarray has several variables. Pass one of them, or x.to_array().")
    if hasattr(data, "collect") and hasattr(type(data), "columns"):
        raise DataError(f"A {type(data).__name__} holds no values yet. Pass x.collect().")
    _check_tensors(data)
    parts = (
        data
        if isinstance(data, list | tuple)
        else [data, None if isinstance(data, np.ndarray) else getattr(data, "data", None)]
    )
    for part in parts:
        if isinstance(part, int | float):
            continue
        if isinstance(part, list | tuple):
            check_plain(part)
        elif isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part):
            raise DataError(
                "Masked arrays are not supported, since the mask would be lost. Mark masked values as missing by "
                "x.filled(numpy.nan), for whole numbers x.astype(float).filled(numpy.nan)."
            )
        elif hasattr(part, "units") and hasattr(part, "magnitude"):
            raise DataError("Quantities with units are not supported, since the units would be lost. Pass x.magnitude.")
        elif hasattr(part, "unit") and hasattr(part, "value"):
            raise DataError("Quantities with units are not supported, since the units would be lost. Pass x.value.")


def _check_tensors(data: Any) -> None:
    """Raise DataError if data are tensors of PyTorch, or a list of these, that NumPy cannot view as arrays."""
    for one in data if isinstance(data, list | tuple) else [data]:
        if not (hasattr(one, "requires_grad") and hasattr(one, "detach") and hasattr(one, "device")):
            return  # all records of a list are alike
        if one.requires_grad:
            raise DataError(
                "Tensors that require a gradient are not supported as data, since no gradient flows through arrays. "
                "Pass x.detach(), or use model.encoder_ and model.decoder_, which are differentiable."
            )
        if one.device.type != "cpu":
            raise DataError(f"Tensors must be on the CPU. Got one on {str(one.device)!r}. Pass x.cpu().")
