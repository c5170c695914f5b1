"""Values as they are after their texts were read by a quick reader that rounds more than once.

Until 2020, pandas read decimals so by default: a CSV file that was read and written again has 51.846000000000004 where
it had 51.846. A *reading* takes the shortest digits that restore a value, as an integer m and an exponent e with the
value m · 10^e, and computes, with every operation rounded to binary64::

    x = 0;   x = 10 · x + c   for each digit c of m
    for each bit of |e|, from the lowest, with p = 10, 10^2, 10^4 …:   if it is 1, x = x / p for e < 0, x · p for e > 0
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_READINGS", "after_readings"]

MOST_READINGS = 4

_DIGITS = 24  # of the longest text, with its point
_EXPONENT_BITS = 9


def after_readings(values: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.float64]:
    """Return values after n readings; NaN and infinities are as they were.

    Examples
    --------
    >>> after_readings(np.array([51.846, 20.0, -0.5]), 1).tolist()
    [51.846000000000004, 20.0, -0.5]
    """
    found = np.array(values, np.float64)
    known = np.isfinite(found)
    for _ in range(n):
        found[known] = _read(found[known])
    return found


def _read(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    texts, exponents = [], np.zeros(len(values), np.int64)
    for i, value in enumerate(np.abs(values).tolist()):
        digits, _, power = repr(value).removesuffix(".0").partition("e")
        whole, _, decimals = digits.partition(".")
        texts.append(whole + decimals)
        exponents[i] = int(power or 0) - len(decimals)
    given = np.array(texts, f"S{_DIGITS}").view(np.uint8).reshape(len(values), _DIGITS)
    found = np.zeros(len(values))
    for column in given.T:
        there = column > 0
        found[there] = found[there] * 10.0 + (column[there] - ord("0"))
    scale = 10.0
    for bit in range(_EXPONENT_BITS):
        chosen = np.abs(exponents) >> bit & 1 == 1
        below, above = chosen & (exponents < 0), chosen & (exponents > 0)
        found[below] /= scale
        found[above] *= scale
        scale *= scale if bit < _EXPONENT_BITS - 1 else 1.0
    return np.copysign(found, values)
