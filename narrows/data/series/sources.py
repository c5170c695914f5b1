"""Sources whose records are windows of series."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from narrows.data.arrays import as_array, check_dtype
from narrows.data.series.whole import WholeSeries
from narrows.data.series.windows import Windows
from narrows.data.source import Source

__all__ = ["source_of", "source_of_array", "source_of_windows"]


def source_of(
    series: WholeSeries, name: str, kind: str, *, window: int | str | None = None, stride: int | None = None
) -> Source:
    """Return the windows of series as records.

    Raises
    ------
    DataError
        If a series is shorter than the window.
    """
    return source_of_windows(Windows.of(series, name, window, stride), name, kind)


def source_of_windows(windows: Windows, name: str, kind: str) -> Source:
    """Return windows as records."""
    return Source(windows.cut(), name=name, kind=kind, record="series", windows=windows)


def source_of_array(
    data: Any, *, window: int | str | None, stride: int | None, name: str | None = None, kind: str = "array"
) -> Source:
    """Return the windows of an array of shape (steps,) or (steps, channels) as records.

    Raises
    ------
    DataError
        If the array is no series, or is shorter than the window.
    """
    values: npt.NDArray[Any] = as_array(data)
    name = f"array {values.shape} {values.dtype}" if name is None else name
    check_dtype(values.dtype, name)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    series = WholeSeries.of_array(values, name, {"kind": kind})
    return source_of(series, name, kind, window=window, stride=stride)
