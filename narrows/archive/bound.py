"""The error bound of an archive: in the records' units, as a share of their range, or lossless."""

from __future__ import annotations

import math

import numpy as np

import narrows.data
from narrows.data import Source
from narrows.data.far_values import FarValue, far_value_of
from narrows.data.fill import check_fill
from narrows.data.finite import ranges_of_columns
from narrows.errors import DataWarning, InvalidParameterError, warn

__all__ = ["bound_of", "check_fill_value", "fill_value_needs_bound", "parse_bound"]

_SAME_LOW = 0.9  # share of columns with the same smallest value, if all are of one kind


def bound_of(
    max_error: float | str | None,
    *,
    lossless: bool,
    source: Source,
    fill_value: float | None = None,
    has_columns: bool = True,
) -> float | None:
    """Return the largest allowed error, in the records' units; None if only the model's code is to be stored.

    Parameters
    ----------
    max_error : float, str or None
        The bound in the records' units, or as text such as ``"1%"``, of the range of the source's finite values.
    lossless : bool
        Store the records bit for bit: the bound is 0.
    source : Source
        The records; read only if their range is needed.
    fill_value : float, optional
        A value that does not count for the range.
    has_columns : bool
        Whether records with one axis are rows of a table, whose columns may differ.

    Raises
    ------
    InvalidParameterError
        If both are given, or the bound is invalid.

    Warns
    -----
    DataWarning
        If few values make most of the range of which the bound is a share, or columns vary by less than the bound.
    """
    asked = parse_bound(max_error, lossless=lossless)
    if asked is None or not asked[1]:
        return None if asked is None else asked[0]
    bound, max_error = asked[0], str(max_error)
    lowest, highest = narrows.data.range_of_finite(source, fill_value=fill_value) or (0.0, 0.0)
    absolute = _share_of(bound, highest / 2 - lowest / 2)
    far = far_value_of(source, lowest, highest, fill_value=fill_value)
    if far is not None:
        value = str(np.array(far.value).astype(source.dtype)).removesuffix(".0")
        _warn(far, value, max_error, (absolute, _share_of(bound, far.half_spread)))
    elif absolute > 0 and has_columns:
        _warn_of_lost_columns(source, max_error, absolute, fill_value)
    return absolute


def parse_bound(max_error: float | str | None, *, lossless: bool) -> tuple[float, bool] | None:
    """Return a bound and whether it is a share in percent; None if only the model's code is to be stored.

    Raises
    ------
    InvalidParameterError
        If both are given, or the bound is invalid.
    """
    if lossless:
        if max_error is not None:
            raise InvalidParameterError(
                "Give 'max_error' or 'lossless', not both: lossless means a largest error of 0."
            )
        return 0.0, False
    if max_error is None:
        return None
    is_share = isinstance(max_error, str) and max_error.strip().endswith("%")
    try:
        bound = float(str(max_error).strip().removesuffix("%"))
    except ValueError:
        bound = math.nan
    if not (math.isfinite(bound) and bound >= 0):
        raise InvalidParameterError(
            f"The 'max_error' must be a number ≥ 0, or a share of the data's range such as '1%'. Got {max_error!r}."
        )
    return bound, is_share


def _warn_of_lost_columns(source: Source, asked: str, bound: float, fill_value: float | None) -> None:
    """Warn of the columns of a table whose values vary by so little that the bound allows any value of them."""
    if len(source.shape) != 1 or source.dtype == np.uint8:  # bytes have one unit
        return
    lows, highs = ranges_of_columns(source, fill_value=fill_value)
    if (lows == lows.min()).mean() >= _SAME_LOW:  # values of one kind, such as pixels, of which some hardly vary
        return
    lost = np.flatnonzero((highs > lows) & (highs / 4 - lows / 4 <= bound / 2))
    if len(lost):
        first = int(lost[0]) if source.columns is None else source.columns[int(lost[0])]
        warn(
            DataWarning(
                f"The bound of {asked.strip()} is {bound:.4g}, a share of the range of all columns together. In "
                f"{len(lost):,} of {math.prod(source.shape):,} columns (the first is {first!r}) the values vary by at "
                "most twice this bound, so their information can be lost. Give a smaller bound, or scale all columns "
                "to one range.",
                kind="columns",
                count=len(lost),
                first=first,
            )
        )


def _share_of(percent: float, half_range: float) -> float:
    """Return a share of a range, of which half is given; the whole range may exceed the largest float."""
    return min(percent / 100 * half_range, np.finfo(np.float64).max / 2) * 2


def _warn(far: FarValue, value: str, bound: str, bounds: tuple[float, float]) -> None:
    """Warn of a value that makes most of a range; ``bounds`` are the error bound with it, and without."""
    warn(
        DataWarning(
            f"The bound of {bound.strip()} is {bounds[0]:.4g}, because the value {value} extends the range of the "
            f"data. Most values are between {far.low:.6g} and {far.high:.6g}; {bound.strip()} of that range is "
            f"{bounds[1]:.4g}. If {value} stands for missing values, set fill_value={value} (--fill-value {value}), or "
            "give the bound as a number.",
            kind="far-value",
            count=far.n,
            first=value,
        )
    )


def check_fill_value(fill_value: float | None, source: Source, *, is_bounded: bool) -> None:
    """Raise InvalidParameterError if a fill value has no effect, or no record can have it."""
    if fill_value is None:
        return
    if not is_bounded:
        raise fill_value_needs_bound()
    check_fill(fill_value, source.dtype, allow_nan=False)


def fill_value_needs_bound() -> InvalidParameterError:
    """Return the error on a fill value that has no effect."""
    return InvalidParameterError(
        "The 'fill_value' (--fill-value) needs a 'max_error' (--max-error). Without a bound no value is restored "
        "exactly, and with 'lossless' every value is."
    )
