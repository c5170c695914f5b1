"""Smallest and largest value of a source, and the position of the first NaN or infinity, in bounded memory."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.fill import is_fill
from narrows.data.source import Source
from narrows.errors import DataError, NonFiniteDataError

__all__ = ["check_finite", "check_squares", "described", "finite_range", "range_of_finite", "ranges_of_columns"]

CHUNK_BYTES = 1 << 24
LARGEST_SQUARED = math.sqrt(sys.float_info.max)


def check_finite(source: Source, *, advice: str | None = None, fill_value: float | None = None) -> None:
    """Raise an error if values are not finite, with their number and the position of the first.

    Parameters
    ----------
    source : Source
        Read in chunks of about 16 MiB, so a memory-mapped file may be larger than memory. Integers and
        booleans are not read.
    advice : str, optional
        Last sentence of the error: what to do about such values. None: remove or fill them.
    fill_value : float, optional
        A value that stands for missing values and is not checked; may be NaN.

    Raises
    ------
    NonFiniteDataError
        If there is a NaN or an infinity.

    Examples
    --------
    >>> check_finite(Source(np.array([[1.0, 2.0], [3.0, np.nan]])))
    Traceback (most recent call last):
        ...
    narrows.errors.NonFiniteDataError: array: 1 of 4 values is NaN or infinite. The first is nan, in record 1 at [1]. \
Remove or fill such values first.
    """
    if source.dtype.kind == "f":
        finite_range(source, advice=advice, fill_value=fill_value)


def finite_range(source: Source, *, advice: str | None = None, fill_value: float | None = None) -> tuple[float, float]:
    """Return the smallest and the largest value in one pass, if all are finite.

    Parameters and errors are as for `check_finite`. If all values are the fill value, both results are 0.

    Examples
    --------
    >>> finite_range(Source(np.array([[3, 7], [-1, 4]])))
    (-1.0, 7.0)
    """
    lowest, highest, n_bad, first = np.inf, -np.inf, 0, ""
    for start, stored in _chunks(source):
        chunk = stored
        if fill_value is not None:
            known = ~is_fill(stored, fill_value)
            if not known.any():
                continue
            chunk = np.where(known, stored, stored[known][0])
        low, high = float(chunk.min()), float(chunk.max())  # NaN if there is one
        if np.isfinite(low) and np.isfinite(high):
            lowest, highest = min(lowest, low), max(highest, high)
            continue
        finite = np.isfinite(chunk)
        if not n_bad:
            record, *within = (int(i) for i in np.unravel_index(int(finite.argmin()), finite.shape))
            column = "" if source.columns is None else f", in the column '{source.columns[within[0]]}'"
            first = f"{chunk[(record, *within)]}, in record {start + record:,} at {within}{column}"
        n_bad += finite.size - int(np.count_nonzero(finite))
    if n_bad:
        verb = "is" if n_bad == 1 else "are"
        raise NonFiniteDataError(
            f"{source.name}: {n_bad:,} of {source.values.size:,} values {verb} NaN or infinite. The first is {first}. "
            f"{advice or 'Remove or fill such values first.'}"
        )
    return (lowest, highest) if lowest <= highest else (0.0, 0.0)


def check_squares(source: Source, low: float, high: float, *, fill_value: float | None = None) -> None:
    """Raise an error if the square of a value overflows float64, with the number of such values and the first place.

    Parameters
    ----------
    source : Source
        The records, all finite.
    low, high : float
        Their smallest and largest value.
    fill_value : float, optional
        A value that does not count.

    Raises
    ------
    DataError
        If there is such a value.
    """
    if max(-low, high) <= LARGEST_SQUARED:
        return
    n_bad, first = 0, ""
    for start, chunk in _chunks(source):
        bad = (chunk > LARGEST_SQUARED) | (chunk < -LARGEST_SQUARED)
        if fill_value is not None:
            bad &= ~is_fill(chunk, fill_value)
        if bad.any() and not n_bad:
            first = described(chunk, bad, start)
        n_bad += int(np.count_nonzero(bad))
    verb, have = ("is", "its square exceeds") if n_bad == 1 else ("are", "their squares exceed")
    raise DataError(
        f"{source.name}: {n_bad:,} of {source.values.size:,} values {verb} too large to train on: {have} the largest "
        f"float64, 1.8e+308. The first is {first}. Leave out such records, or divide the values by a constant."
    )


def described(values: npt.NDArray[Any], chosen: npt.NDArray[np.bool_], start: int) -> str:
    """Return the first chosen value of records (n, *shape) with its place; the first record has the number start.

    Examples
    --------
    >>> described(np.array([[1.0, 2.0], [3.0, 1e39]]), np.array([[False, False], [False, True]]), 10)
    '1e+39, in row 11, column 1'
    """
    record, *within = (int(i) for i in np.unravel_index(int(chosen.argmax()), chosen.shape))
    value = f"{float(values[(record, *within)]):g}"
    if len(within) == 1:
        return f"{value}, in row {start + record:,}, column {within[0]:,}"
    return f"{value}, in record {start + record:,} at {within}"


def range_of_finite(source: Source, *, fill_value: float | None = None) -> tuple[float, float] | None:
    """Return the smallest and the largest finite value; None if there are none.

    A fill value, which stands for missing values, does not count.

    Examples
    --------
    >>> range_of_finite(Source(np.array([[3.0, np.nan], [-1.0, np.inf]])))
    (-1.0, 3.0)
    """
    finite = (chunk[np.isfinite(chunk)] if chunk.dtype.kind == "f" else chunk for _, chunk in _chunks(source))
    if fill_value is not None:
        finite = (values[~is_fill(values, fill_value)] for values in finite)
    ranges = [(float(values.min()), float(values.max())) for values in finite if values.size]
    return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None


def ranges_of_columns(
    source: Source, *, fill_value: float | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the smallest and the largest finite value of each column of a table, both (n_columns,).

    A column without finite values besides the fill value has the range from infinity to minus infinity.

    Examples
    --------
    >>> low, high = ranges_of_columns(Source(np.array([[3.0, np.nan], [-1.0, 7.0]])))
    >>> low.tolist(), high.tolist()
    ([-1.0, 7.0], [3.0, 7.0])
    """
    lows, highs = np.full(source.shape, np.inf), np.full(source.shape, -np.inf)
    for _, chunk in _chunks(source):
        values = chunk.astype(np.float64)
        counts = np.isfinite(values) if fill_value is None else np.isfinite(values) & ~is_fill(chunk, fill_value)
        lows = np.minimum(lows, np.where(counts, values, np.inf).min(0))
        highs = np.maximum(highs, np.where(counts, values, -np.inf).max(0))
    return lows, highs


def _chunks(source: Source) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield the values in chunks of about 16 MiB, each with the number of its first record."""
    values = source.values
    n_rows = max(1, CHUNK_BYTES * len(values) // max(1, values.nbytes))
    return ((start, np.asarray(values[start : start + n_rows])) for start in range(0, len(values), n_rows))
