"""How series are stored: as decimals or as they are, with the bound that this needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.archive.layouts import Field
from narrows.archive.series import ArchivedSeries
from narrows.codec.fields.block import encode_block
from narrows.codec.fields.channels import encode_channels
from narrows.codec.residual.error_bound import ErrorBound
from narrows.data.series.decimals import Decimals
from narrows.data.series.whole import WholeSeries
from narrows.numerics.blas import one_blas_thread

__all__ = ["StoredSeries", "layout_of_series", "stored_as_field", "stored_as_windows"]

_MOST_APART = 64
_BYTES_OF_A_BLOCK = 73  # of its header, entry and checksums
_BYTES_OF_AN_ENTRY = 24  # of the metadata
_TRIED = 1 << 14  # values with which decimals are compared with floats
_COMPARED = 1 << 20  # values on which channels that predict each other are compared with others: those of a block
_NEARLY_HALF = 0.45  # of a unit: restored floats are rounded to the right decimal
_MOST_NUMBER = 1 << 48  # of decimals beside floats, whose products with powers of ten are off by less than 0.05


@dataclass(frozen=True, eq=False)
class StoredSeries:
    """Series as an archive stores them.

    Attributes
    ----------
    values : ndarray of shape (steps,) or (steps, channels)
        The numbers to be coded.
    bound : float or None
        Their largest error, in their own units; None: not bounded.
    described : ArchivedSeries or None
        All else; None if they are no series.
    """

    values: npt.NDArray[Any]
    bound: float | None
    described: ArchivedSeries | None


def stored_as_field(series: WholeSeries, bound: float, *, may_be_decimals: bool = True) -> StoredSeries:
    """Return series for an archive without a model: decimals as integers if that takes fewer bytes.

    Parameters
    ----------
    series : WholeSeries
    bound : float
        The largest error in the units of the series; 0: lossless.
    may_be_decimals : bool
        Whether values may be stored as decimals.
    """
    decimals = series.decimals if may_be_decimals else None
    if decimals is not None and (bound == 0 or decimals.exceptions is None):
        units = _whole_units(decimals, bound)
        numbers = _filled(decimals, bound)
        if _takes_less(numbers, units, decimals, series.values, bound):
            return StoredSeries(numbers, float(units), _described(series, decimals, keeps_ulps=bound == 0))
        if bound > 0:
            return stored_as_windows(series, bound)
    return StoredSeries(series.values, bound, _described(series, None))


def stored_as_windows(series: WholeSeries, bound: float | None, *, may_be_decimals: bool = True) -> StoredSeries:
    """Return series for an archive of a model.

    Decimals are stored as floats. The bound is reduced so that rounding restores their digits.

    Parameters
    ----------
    series, may_be_decimals
        As for `stored_as_field`.
    bound : float or None
        The largest error in the units of the series; 0: lossless; None: not bounded.
    """
    decimals = series.decimals if may_be_decimals and bound is not None else None
    has_exceptions = decimals is not None and decimals.exceptions is not None and bound != 0
    if decimals is None or bound is None or has_exceptions or np.abs(decimals.numbers).max(initial=0) > _MOST_NUMBER:
        return StoredSeries(series.values, bound, _described(series, None))
    units = [(math.floor(bound * 10.0**digits * (1 + 1e-12)), 10.0**-digits) for digits in decimals.digits]
    if bound > 0 and any(whole == 0 for whole, _ in units):  # finer than the decimals
        units = [(0, unit) for _, unit in units]
    nearer = min((whole + _NEARLY_HALF) * unit for whole, unit in units)
    return StoredSeries(series.values, nearer, _described(series, decimals, keeps_ulps=bound == 0, has_gaps=False))


def _whole_units(decimals: Decimals, bound: float) -> int:
    """Return the bound in units of the last digit of the channel whose unit is largest."""
    return min(math.floor(bound * 10.0**digits * (1 + 1e-12)) for digits in decimals.digits)


def _filled(decimals: Decimals, bound: float) -> npt.NDArray[Any]:
    """Return the integers; those of missing values on lines, or as the one before, whichever takes fewer bytes."""
    lines = _narrow(decimals.numbers)
    if decimals.missing is None or bound > 0:
        return lines
    repeated = _narrow(_repeated(decimals.numbers, decimals.missing))
    return min(repeated, lines, key=lambda numbers: _size(_first(numbers, _TRIED), 0))


def _repeated(lines: npt.NDArray[np.int64], missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return integers; those of missing values as the one before, or after them if there is none."""
    numbers = lines.reshape(len(lines), -1)
    known = ~missing.reshape(numbers.shape)
    steps = np.where(known, np.arange(len(numbers))[:, None], known.argmax(axis=0))
    return np.take_along_axis(numbers, np.maximum.accumulate(steps, axis=0), axis=0).reshape(lines.shape)


def _narrow(numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return numbers in the smallest dtype that holds them."""
    low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return numbers.astype(dtype)
    return numbers


def _takes_less(
    numbers: npt.NDArray[Any], units: int, decimals: Decimals, values: npt.NDArray[Any], bound: float
) -> bool:
    """Return whether the first values take fewer bytes as decimals than as floats."""
    n_steps = len(_first(values, _TRIED))
    sides: list[npt.NDArray[Any] | None] = [None if decimals.missing is None else decimals.missing.astype(np.int8)]
    sides += [decimals.ulps, decimals.exceptions] if bound == 0 else []
    ours = _size(numbers[:n_steps], float(units)) + sum(_size(one[:n_steps], 0) for one in sides if one is not None)
    return ours <= _size(values[:n_steps], bound)


def layout_of_series(values: npt.NDArray[Any], bound: float) -> tuple[Field, bool]:
    """Return how steps (steps,) or (steps, channels) are cut into blocks: by channel, if that takes fewer bytes.

    The other value is whether channels are to be bisected, each predicted from those before it.
    """
    usual = Field.of(values.shape, values.dtype.itemsize)
    some = _first(values, _TRIED)
    apart, together = _apart(some, bound), _together(some, bound)
    before = _together if apart >= together else _apart
    if usual.block[1:] == values.shape[1:] and _over_channels(some, bound) < min(apart, together):
        more = _first(values, _COMPARED)
        if len(more) == len(some) or _over_channels(more, bound) < before(more, bound):
            return usual, True
    if before is _together:
        return usual, False
    alone = Field.of((len(values),), values.dtype.itemsize)
    return Field(values.shape, (*alone.block, 1)), False


def _first(values: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    """Return the first steps, of about n values."""
    return values[: max(1, n // max(1, values[:1].size))]


def _size(values: npt.NDArray[Any], bound: float) -> float:
    return min(_together(values, bound), _apart(values, bound))


def _together(values: npt.NDArray[Any], bound: float) -> float:
    """Return the bytes of values that are predicted along time and over channels."""
    with one_blas_thread():
        return len(encode_block(np.ascontiguousarray(values)[None], ErrorBound(values.dtype, bound)).data)


def _apart(values: npt.NDArray[Any], bound: float) -> float:
    """Return the bytes of values whose channels have blocks of their own; infinite for one channel or very many."""
    if values.ndim < 2 or not 1 < values.shape[1] <= _MOST_APART:
        return math.inf
    return sum(_together(values[:, channel], bound) + _BYTES_OF_A_BLOCK for channel in range(values.shape[1]))


def _over_channels(values: npt.NDArray[Any], bound: float) -> float:
    """Return the bytes of values whose channels are bisected, each predicted from those before it; or infinity."""
    if bound > 0 or values.ndim != 2:
        return math.inf
    with one_blas_thread():
        coded = encode_channels(np.ascontiguousarray(values)[None], ErrorBound(values.dtype, 0))
    return math.inf if coded is None else len(coded.data) + _BYTES_OF_AN_ENTRY


def _described(
    series: WholeSeries, decimals: Decimals | None, *, keeps_ulps: bool = False, has_gaps: bool = True
) -> ArchivedSeries:
    """Return what is stored besides the values.

    Parameters
    ----------
    keeps_ulps : bool
        Whether decimals are restored to the bit.
    has_gaps : bool
        Whether the values themselves cannot tell which are missing.
    """
    return ArchivedSeries(
        lengths=series.lengths,
        shape=tuple(series.values.shape[1:]),
        names=series.names,
        channels=series.channels,
        times=series.times,
        digits=None if decimals is None else decimals.digits,
        missing=None if decimals is None or not has_gaps else decimals.missing,
        ulps=None if decimals is None or not keeps_ulps else decimals.ulps,
        readings=0 if decimals is None or not keeps_ulps else decimals.readings,
        exceptions=None if decimals is None or not keeps_ulps else decimals.exceptions,
        origin=series.origin,
    )
