"""The error bound of an archive: in the records' units, as a share of their range, or lossless."""

from __future__ import annotations

import math

import numpy as np

import narrows.data
from narrows.data import Source
from narrows.errors import InvalidParameterError

__all__ = ["bound_of"]


def bound_of(max_error: float | str | None, *, lossless: bool, source: Source) -> float | None:
    """Return the largest allowed error, in the records' units; None if only the model's code is to be stored.

    Parameters
    ----------
    max_error : float, str or None
        The bound in the records' units, or as text such as ``"1%"``, of the range of the source's finite values.
    lossless : bool
        Store the records bit for bit: the bound is 0.
    source : Source
        The records; read only if their range is needed.

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
        return 0.0
    if max_error is None:
        return None
    share = isinstance(max_error, str) and max_error.strip().endswith("%")
    try:
        bound = float(str(max_error).strip().removesuffix("%"))
    except ValueError:
        bound = math.nan
    if not (math.isfinite(bound) and bound >= 0):
        raise InvalidParameterError(
            f"The 'max_error' must be a number ≥ 0, or a share of the data's range such as '1%'. Got {max_error!r}."
        )
    return min(bound / 100 * _half_range(source), np.finfo(np.float64).max / 2) * 2 if share else bound


def _half_range(source: Source) -> float:
    """Return half of the range of the finite values; the whole range may exceed the largest float."""
    lowest, highest = narrows.data.range_of_finite(source) or (0.0, 0.0)
    return highest / 2 - lowest / 2
