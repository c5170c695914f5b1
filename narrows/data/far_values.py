"""Values far from all others, such as -9999 for missing ones: they make most of the range of the data.

Shares of the range, as the bound ``"1%"`` of an archive, are then shares of something that has no meaning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.data.fill import is_fill
from narrows.data.source import Source
from narrows.errors import DataWarning, warn

__all__ = ["FarValue", "far_columns", "far_value", "far_value_of", "warn_of_far_columns"]

_TIMES = 10  # the range is suspicious from this multiple of the spread of most values
_MOST = 0.999
_FEWEST_OTHERS = 3  # values of 0 and 1 have no far value
_SAMPLE = 1 << 20
_FEWEST_ROWS, _ENOUGH_ROWS = 10, 1000


@dataclass(frozen=True)
class FarValue:
    """A value far from most others.

    Attributes
    ----------
    value : float
        The value.
    n : int
        How often it occurs among the values that were looked at.
    low, high : float
        Smallest and largest of most other values.
    """

    value: float
    n: int
    low: float
    high: float

    @property
    def half_spread(self) -> float:
        """Half of the range of most other values; the whole range may exceed the largest float."""
        return self.high / 2 - self.low / 2


def far_value_of(source: Source, low: float, high: float, *, fill_value: float | None = None) -> FarValue | None:
    """Return the value far from all others in a source, given its range; see `far_value`.

    At most about a million values are looked at, evenly spaced, besides the smallest and the largest; a fill
    value is left out.
    """
    n_values = max(1, math.prod(source.shape))
    rows = source.values[:: -(-len(source) * n_values // _SAMPLE)]
    values = np.asarray(rows).ravel()[:: -(-n_values // _SAMPLE)]
    if fill_value is not None:
        values = values[~is_fill(values, fill_value)]
    values = values.astype(np.float64)
    return far_value(np.append(values, (low, high)))


def far_columns(source: Source, *, fill_value: float | None = None) -> dict[int, FarValue]:
    """Return the columns of a table that have a value far from all others, by their positions; see `far_value`.

    About a million values are looked at, or a thousand rows, evenly spaced; a fill value is left out. Of fewer than
    ten rows none is far from the others.
    """
    if len(source.shape) != 1 or source.dtype.kind == "b" or len(source) < _FEWEST_ROWS:
        return {}
    rows = np.asarray(source.values[:: max(1, min(source.values.size // _SAMPLE, len(source) // _ENOUGH_ROWS))])
    columns = rows.T if fill_value is None else [column[~is_fill(column, fill_value)] for column in rows.T]
    found = {position: far_value(column) for position, column in enumerate(columns)}
    return {position: one for position, one in found.items() if one is not None}


def warn_of_far_columns(source: Source, *, fill_value: float | None = None) -> None:
    """Warn of columns of the training data that have a value far from all others."""
    found = far_columns(source, fill_value=fill_value)
    if not found:
        return
    position, far = next(iter(found.items()))
    name = f"column {position}" if source.columns is None else f"column '{source.columns[position]}'"
    what = f"1 column of {source.name} has" if len(found) == 1 else f"{len(found):,} columns of {source.name} have"
    value = str(np.array(far.value).astype(source.dtype)).removesuffix(".0")
    warn(
        DataWarning(
            f"{what} values far from all others: in {name} most values are between {far.low:.6g} and {far.high:.6g}, "
            f"but some are far outside, such as {value}. Such values decide the scale of a column and dominate its "
            f"error. If {value} stands for missing values, set fill_value={value} (--fill-value {value}), or replace "
            "it, for example by the median of the column.",
            kind="far-value",
            count=len(found),
            first=position if source.columns is None else source.columns[position],
        )
    )


def far_value(values: NDArray[Any]) -> FarValue | None:
    """Return the value that makes the range of values ten times as large as it is without it, or None.

    This is the smallest or the largest value, however often it occurs; or the furthest of the 0.1 % that are furthest
    from the others. Infinities and NaNs do not count.

    Examples
    --------
    >>> far_value(np.array([-9999, 20.5, 21, 35, -9999, 9.25]))
    FarValue(value=-9999.0, n=2, low=9.25, high=35.0)
    >>> far_value(np.array([0, 1, 0, 1])), far_value(np.arange(100))
    (None, None)
    """
    ordered = np.asarray(values, np.float64).ravel()
    ordered = np.sort(ordered[np.isfinite(ordered)]) / 2  # the range may exceed the largest float
    if not ordered.size or ordered[0] == ordered[-1]:
        return None
    full = ordered[-1] - ordered[0]
    for end in (ordered[0], ordered[-1]):
        others = ordered[ordered != end]
        is_several = others.size > 0 and len(np.unique(others[: _FEWEST_OTHERS * 1000])) >= _FEWEST_OTHERS
        if is_several and others[-1] - others[0] < full / _TIMES:
            return FarValue(2 * float(end), int((ordered == end).sum()), 2 * float(others[0]), 2 * float(others[-1]))
    n_most = math.ceil(_MOST * ordered.size)
    widths = ordered[n_most - 1 :] - ordered[: ordered.size - n_most + 1]
    start = int(widths.argmin())
    if not 0 < widths[start] < full / _TIMES:
        return None
    low, high = ordered[start], ordered[start + n_most - 1]
    end = ordered[-1] if ordered[-1] - high > low - ordered[0] else ordered[0]
    return FarValue(2 * float(end), int((ordered == end).sum()), 2 * float(low), 2 * float(high))
