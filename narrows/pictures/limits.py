"""Numbers that Matplotlib can draw, and the limits of an axis around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["drawable", "limits_around"]

Floats = NDArray[np.float64]

_LARGEST = 1e300  # beyond which differences of values, and the places of ticks, are infinite


def drawable(x: ArrayLike) -> Floats:
    """Return numbers as floats of the same shape: NaN for infinities, and none farther from 0 than 1e300.

    Examples
    --------
    >>> drawable([1, np.inf, -1.7e308]).tolist()
    [1.0, nan, -1e+300]
    """
    found = np.asarray(x, np.float64)
    return np.clip(np.where(np.isfinite(found), found, np.nan), -_LARGEST, _LARGEST)


def limits_around(x: Floats, space: float) -> tuple[float, float]:
    """Return the limits of an axis for drawable numbers, with a share of their range below and above; 0 to 1 for none.

    Examples
    --------
    >>> limits_around(np.array([0.0, 10.0, np.nan]), 0.1), limits_around(np.array([4.0]), 0.1)
    ((-1.0, 11.0), (2.0, 6.0))
    """
    if not np.isfinite(x).any():
        return 0.0, 1.0
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    more = space * (high - low) or 0.5 * (abs(high) or 1.0)
    return low - more, high + more
