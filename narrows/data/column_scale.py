"""Detects columns of a table that are on another scale than in the training data, such as grams instead of kilograms.

Known of each training column are the smallest and largest value, the median magnitude μ, and about how many values are
below μ / 10. M and m are the largest magnitudes of a column in the training data and in the records. From 8 records on
a warning is given

=================  =====================================================================================================
column too large   m > 10 M, and more than half of its values are beyond 4 M
column too small   m < μ / 10, and no training value is as small, or the records are more than twice as many as the
                   training values below μ / 10, so that they cannot be a part of the training data
=================  =====================================================================================================

and never if all values of the column are 0. At most a thousand records are looked at, evenly spaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from narrows.data.fill import is_fill
from narrows.data.finite import ranges_of_columns
from narrows.data.source import Source

__all__ = ["ColumnScales", "OtherColumns", "columns_on_another_scale"]

_ORDER, _FAR, _FEWEST_RECORDS = 10.0, 4.0, 8
_MOST_COLUMNS = 4096
_SOME = 1000
_PREFIX = "columns."


@dataclass(frozen=True, eq=False)
class ColumnScales:
    """The scale of each of d columns of the training data.

    Attributes
    ----------
    low, high : ndarray of shape (d,), float64
        Smallest and largest value; both 0 in a column without values.
    magnitude : ndarray of shape (d,), float64
        Median magnitude.
    n_small : ndarray of shape (d,), float64
        About how many values are smaller than a tenth of it.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    magnitude: npt.NDArray[np.float64]
    n_small: npt.NDArray[np.float64]

    @classmethod
    def of(cls, source: Source, *, fill_value: float | None = None) -> Self | None:
        """Measure a table; None for other records, and for values of one unit: booleans and bytes."""
        if len(source.shape) != 1 or not 1 < source.shape[0] <= _MOST_COLUMNS or source.dtype.name in ("bool", "uint8"):
            return None
        low, high = ranges_of_columns(source, fill_value=fill_value)
        has_values = low <= high
        magnitude, n_small = np.zeros(len(low)), np.zeros(len(low))
        for position, values in enumerate(_columns(source, fill_value)):
            if len(values):
                magnitude[position] = np.median(np.abs(values))
                n_small[position] = (np.abs(values) < magnitude[position] / _ORDER).mean() * len(source)
        return cls(np.where(has_values, low, 0.0), np.where(has_values, high, 0.0), magnitude, n_small)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self | None:
        """Return the scales in a model file; None if it has none, as files of earlier versions."""
        names = [field.name for field in fields(cls)]
        if not all(_PREFIX + name in tensors for name in names):
            return None
        found = [np.asarray(tensors[_PREFIX + name], np.float64) for name in names]
        if any(one.ndim != 1 or one.shape != found[0].shape for one in found):
            raise ValueError("the arrays 'columns.*' must have one axis and the same length")
        return cls(*found)

    def to_tensors(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the arrays for a model file, by name."""
        return {_PREFIX + field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class OtherColumns:
    """Columns on another scale: their positions, and a sentence on the first."""

    positions: tuple[int, ...]
    text: str


def columns_on_another_scale(
    source: Source, trained: ColumnScales, names: npt.NDArray[Any] | None = None, *, fill_value: float | None = None
) -> OtherColumns | None:
    """Return the columns of a table that are on another scale than in the training data; None if there are none.

    ``names`` are those of the columns, if they have any.
    """
    if source.shape != trained.low.shape or len(source) < _FEWEST_RECORDS:
        return None
    columns = _columns(source, fill_value)
    found = [
        position
        for position, values in enumerate(columns)
        if len(values) >= _FEWEST_RECORDS and _is_on_another_scale(np.abs(values), trained, position, len(source))
    ]
    if not found:
        return None
    first, values = found[0], columns[found[0]]
    name = f"column {first}" if names is None else f"column {str(names[first])!r}"
    if len(found) > 1:
        name = f"{len(found):,} columns are on another scale than in the training data. The first, {name},"
    factor = np.abs(values).max() / _largest(trained, first)
    advice = f"Divide it by about {factor:.2g}" if factor > 1 else f"Multiply it by about {1 / factor:.2g}"
    text = (
        f"{source.name}: {name} has values from {values.min():.4g} to {values.max():.4g}, but the model was trained on "
        f"values from {trained.low[first]:.4g} to {trained.high[first]:.4g} in this column. Results on a different "
        f"scale are poor. {advice}."
    )
    return OtherColumns(tuple(found), text)


def _is_on_another_scale(
    magnitudes: npt.NDArray[np.float64], trained: ColumnScales, position: int, n_records: int
) -> bool:
    most, largest = float(magnitudes.max()), _largest(trained, position)
    if most == 0 or largest == 0:
        return False
    if most > _ORDER * largest:
        return bool(2 * np.count_nonzero(magnitudes > _FAR * largest) > len(magnitudes))
    low, high = float(trained.low[position]), float(trained.high[position])
    is_smaller_than_all = most < max(low, -high)
    are_too_many = n_records > 2 * trained.n_small[position] + _FEWEST_RECORDS
    return most < trained.magnitude[position] / _ORDER and bool(is_smaller_than_all or are_too_many)


def _largest(trained: ColumnScales, position: int) -> float:
    return float(max(abs(trained.low[position]), abs(trained.high[position])))


def _columns(source: Source, fill_value: float | None) -> list[npt.NDArray[np.float64]]:
    """Return the finite values of some records, without a fill value, in an array for each column."""
    some = _some(source)
    there = np.isfinite(some)
    if fill_value is not None:
        there &= ~is_fill(some, fill_value)
    return [column[known] for column, known in zip(some.astype(np.float64).T, there.T, strict=True)]


def _some(source: Source) -> npt.NDArray[Any]:
    return np.asarray(source.values[:: -(-len(source) // _SOME)])
