"""Detects records on another scale than the training data, such as bytes instead of numbers from 0 to 1.

A model accepts such records, but its results are useless. Known of the training data are the smallest and largest
value, the dtype, and the median over records of a record's largest magnitude, μ. M and m are the largest magnitudes
of all training data and of all records. A warning is given

====================  =======================================================================================
records too large     m > 10 M, and more than half of the values that are not 0 are beyond 4 M
records too small,    m ≤ M / 10, and the dtype shows another scale: floats or booleans where training data were
of another dtype      integers, or an integer type too small for them. Floats with only integral values, some above
                      1, count as integers
records too small     m < μ / 10, of 8 records or more, where both are floats
====================  =======================================================================================

and never if all values are 0. Outliers, some dark images, or a part of the training data cause no warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.column_scale import ColumnScales
from narrows.data.fill import is_fill
from narrows.data.source import Source

__all__ = ["Trained", "scale_warning", "typical_magnitude"]

ORDER = 10.0  # an order of magnitude
FAR = 4.0  # times the largest training value
# Smallest number of records whose largest value indicates their scale.
FEWEST_RECORDS = 8
_SOME = 1000  # sample of records to check if the range is suspicious
_ENDS = (255.0, 65535.0)  # largest values of integer pixels


@dataclass(frozen=True)
class Trained:
    """Range, dtype and magnitude of the values that a model was trained on.

    Attributes
    ----------
    low, high : float
        Smallest and largest value.
    dtype : dtype
        Their dtype.
    magnitude : float or None
        `typical_magnitude` of the training records; None in models saved before it was measured.
    fill_value : float or None
        A value that stands for missing values and does not count.
    columns : ColumnScales or None
        The scales of the columns of a table; None for other records, and in models saved before they were measured.
    """

    low: float
    high: float
    dtype: np.dtype[Any]
    magnitude: float | None = None
    fill_value: float | None = None
    columns: ColumnScales | None = None

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))


def typical_magnitude(source: Source, *, fill_value: float | None = None) -> float:
    """Return the median over at most a thousand records of a record's largest magnitude, without a fill value.

    Examples
    --------
    >>> typical_magnitude(Source(np.array([[1.0, -2.0], [3.0, 0.0], [-900.0, 1.0]])))
    3.0
    """
    some = _known(_some(source), fill_value).reshape(-1, *source.shape)
    magnitudes = [max(abs(float(record.min())), abs(float(record.max()))) for record in some]
    return float(np.median(magnitudes))


def scale_warning(source: Source, low: float, high: float, trained: Trained) -> str | None:
    """Return the text of a warning if records are on another scale than the training data, otherwise None.

    Parameters
    ----------
    source : Source
        The records.
    low, high : float
        Their smallest and largest finite value.
    trained : Trained
        The values that the model was trained on.

    Examples
    --------
    >>> bytes_of_images = Trained(0, 255, np.dtype(np.uint8))
    >>> scale_warning(Source(np.array([[0.25, 1.0]])), 0.25, 1.0, bytes_of_images)
    'array has values from 0.25 to 1, but the model was trained on values from 0 to 255 (uint8). Results on a \
different scale are poor. Multiply by 255 and convert to uint8.'
    """
    largest = max(abs(low), abs(high))
    if largest == 0 or trained.largest == 0:
        return None
    if _is_too_large(source, largest, trained):
        advice = f"Divide by {_factor(trained.largest, largest)}"
    elif _is_too_small(source, largest, trained):
        advice = f"Multiply by {_factor(largest, trained.largest)}"
    else:
        return None
    convert = "" if source.dtype == trained.dtype else f" and convert to {trained.dtype}"
    return (
        f"{source.name} has values from {low:.4g} to {high:.4g}, but the model was trained on values from "
        f"{trained.low:.4g} to {trained.high:.4g} ({trained.dtype}). Results on a different scale are poor. "
        f"{advice}{convert}."
    )


def _is_too_large(source: Source, largest: float, trained: Trained) -> bool:
    if largest <= ORDER * trained.largest:
        return False
    some = np.abs(_known(_some(source), trained.fill_value).astype(np.float64))
    some = some[np.isfinite(some) & (some > 0)]
    return bool(2 * np.count_nonzero(some > FAR * trained.largest) > some.size)


def _is_too_small(source: Source, largest: float, trained: Trained) -> bool:
    if largest <= trained.largest / ORDER and _is_foreign(source, largest, trained):
        return True
    both_are_floats = source.dtype.kind == trained.dtype.kind == "f"
    if trained.magnitude is None or not both_are_floats or len(source) < FEWEST_RECORDS:
        return False
    return largest < trained.magnitude / ORDER


def _is_foreign(source: Source, largest: float, trained: Trained) -> bool:
    """Return whether the training data cannot have had the dtype of these records."""
    if trained.dtype.kind not in "iu":
        return False
    if source.dtype.kind in "iu":
        return np.iinfo(source.dtype).max < trained.largest
    if largest <= 1:
        return True
    some = _known(_some(source), trained.fill_value)
    return bool((some[np.isfinite(some)] % 1 != 0).any())


def _some(source: Source) -> npt.NDArray[Any]:
    """Return at most a thousand records, evenly spaced over the source."""
    return np.asarray(source.values[:: -(-len(source) // _SOME)])


def _known(values: npt.NDArray[Any], fill_value: float | None) -> npt.NDArray[Any]:
    """Return values with 0, which has no influence, in place of a fill value."""
    return values if fill_value is None else np.where(is_fill(values, fill_value), np.zeros((), values.dtype), values)


def _factor(small: float, large: float) -> str:
    """Return the factor between two scales: 255 or 65535 for pixels, otherwise rounded."""
    if large in _ENDS and small <= 1:
        return f"{large:g}"
    ends = [end for end in _ENDS if large <= end]
    if small == 1 and ends:
        return f"{ends[0]:g}"
    near = [end for end in _ENDS if 0.9 * end <= large <= end and 0.9 <= small <= 1]
    return f"{near[0]:g}" if near else f"about {float(f'{large / small:.2g}'):,g}"
