"""Converts records to one layout for drawing: images with the colour last, or vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narrows.errors import DataError, InvalidParameterError, NonFiniteDataError, ShapeMismatchError

__all__ = ["as_records", "check_count", "check_same_shape", "finite", "is_images", "value_range"]


def as_records(name: str, value: ArrayLike) -> NDArray[Any]:
    """Return the records of one row in the layout for drawing.

    Parameters
    ----------
    name : str
        Name of the row, for messages.
    value : array-like
        ``(n, d)`` vectors; ``(n, H, W)``, ``(n, H, W, 1)`` or ``(n, 1, H, W)`` grey images; ``(n, H, W, 3 | 4)`` or
        ``(n, 3 | 4, H, W)`` colour images. If both fit, the colour is last.

    Returns
    -------
    array of shape (n, d), (n, H, W), (n, H, W, 3) or (n, H, W, 4), dtype as given

    Raises
    ------
    DataError
        Another shape, no records, or values that are not numbers.
    NonFiniteDataError
        NaN or infinity.
    """
    x = finite(name, value)
    if x.ndim == 4:
        if x.shape[3] not in {1, 3, 4} and x.shape[1] in {1, 3, 4}:
            x = np.moveaxis(x, 1, 3)
        if x.shape[3] == 1:
            x = x[..., 0]
    if x.ndim not in {2, 3} and not (x.ndim == 4 and x.shape[3] in {3, 4}):
        raise DataError(
            f"'{name}' has shape {np.shape(value)}. Pictures show vectors (n, d), grey images (n, H, W), "
            "or colour images (n, H, W, 3) or (n, 3, H, W)."
        )
    if 0 in x.shape:
        raise DataError(f"'{name}' must have at least one record with at least one value. Got the shape {x.shape}.")
    return x


def finite(name: str, value: ArrayLike) -> NDArray[Any]:
    """Return `value` as an array of real, finite numbers, or raise an error.

    Raises
    ------
    DataError
        The values are not real numbers.
    NonFiniteDataError
        NaN or infinity; the message gives the position of the first.
    """
    x = np.asarray(value)
    if x.dtype.kind not in "biuf":
        raise DataError(f"'{name}' must hold real numbers. Got dtype {x.dtype}.")
    bad = ~np.isfinite(x)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise NonFiniteDataError(
            f"The values of '{name}' must be finite. Got {int(bad.sum()):,} of {x.size:,} that are NaN or infinite, "
            f"the first at index {where}."
        )
    return x


def check_same_shape(records: Mapping[str, NDArray[Any]]) -> None:
    """Raise `ShapeMismatchError` unless all rows have the same number of records, of one shape."""
    (first, x), *others = records.items()
    for name, other in others:
        if other.shape != x.shape:
            raise ShapeMismatchError(
                f"'{first}' and '{name}' must have the same shape. Got {x.shape} and {other.shape}."
            )


def check_count(name: str, owner: str, value: int, *, least: int) -> None:
    """Raise `InvalidParameterError` unless `value` is a whole number and at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InvalidParameterError(f"The '{name}' of {owner} must be a whole number ≥ {least}. Got {value!r}.")


def is_images(x: NDArray[Any]) -> bool:
    """Return whether records in the layout of `as_records` are images."""
    return x.ndim > 2


def value_range(x: NDArray[Any]) -> tuple[float, float]:
    """Return the values drawn as black and as white.

    These are 0 and 255 for bytes, 0 and 1 for booleans and floats within [0, 1], otherwise the extreme values.
    """
    if x.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (low, high) if high > low else (low, low + 1.0)
