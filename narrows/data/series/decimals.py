r"""Decimal numbers as integers: 12.50 is 1250 with two digits.

A value of binary64 is restored from an integer k with d digits as the quotient :math:`k / 10^d`, rounded once. Sums and
differences of decimals are often off by a unit in the last place, such as 51.846000000000004. Such values have *ulps*,
the number of binary64 numbers by which they are farther from zero than the quotient. Those of -0 are -128. Often all
ulps come from *readings* of their texts, see `readings`; then they are counted from the quotients after these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.series.readings import MOST_READINGS, after_readings

__all__ = ["MOST_DIGITS", "Decimals", "decimals_of", "quotient"]

MOST_DIGITS = 15
NEGATIVE_ZERO = -128  # the ulps of -0
_LARGEST = 1 << 53
_MOST_ULPS = 1 << 6
_SAMPLE = 1 << 11  # values on which readings are tried
_EXCEPTIONS = 0.05  # share of values that may be exceptions
_FEW_EXCEPTIONS = 0.01  # share that more digits need not avoid, if they avoid not all
_EXACT = 0.5  # share of values that must be quotients


@dataclass(frozen=True, eq=False)
class Decimals:
    """Values as integers.

    Attributes
    ----------
    numbers : ndarray of int64, of the shape of the values
        The integers; those of missing values lie between their neighbours.
    digits : tuple of int
        Digits after the point, for each channel.
    missing : ndarray of bool, of the same shape, or None
        Where values are missing (NaN).
    ulps : ndarray of int8, of the same shape, or None
        What is added in units in the last place; None: nothing.
    readings : int
        How often the texts of all values were read.
    exceptions : ndarray of int64, of the same shape, or None
        For values that are no decimals with so many digits: what is added to the bits; 0 for all others.
    """

    numbers: npt.NDArray[np.int64]
    digits: tuple[int, ...]
    missing: npt.NDArray[np.bool_] | None = None
    ulps: npt.NDArray[np.int8] | None = None
    readings: int = 0
    exceptions: npt.NDArray[np.int64] | None = None

    def take(self, steps: Any) -> Decimals:
        """Return the numbers of some steps."""
        return replace(
            self,
            numbers=self.numbers[steps],
            missing=None if self.missing is None else self.missing[steps],
            ulps=None if self.ulps is None else self.ulps[steps],
            exceptions=None if self.exceptions is None else self.exceptions[steps],
        )

    def values(self) -> npt.NDArray[np.float64]:
        """Return the values, NaN where they are missing."""
        quotients = after_readings(quotient(self.numbers, self.digits), self.readings)
        return exact(quotients, self.missing, self.ulps, self.exceptions)


def quotient(numbers: npt.NDArray[Any], digits: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return numbers (steps,) or (steps, channels) divided by the power of ten of their channel, rounded once.

    Examples
    --------
    >>> quotient(np.array([[5, 5], [-1, 12]]), (1, 2)).tolist()
    [[0.5, 0.05], [-0.1, 0.12]]
    """
    tens = 10.0 ** np.array(digits, np.float64)
    return np.asarray(numbers, np.float64) / (tens if np.ndim(numbers) > 1 else tens[0])


def exact(
    values: npt.NDArray[np.float64],
    missing: npt.NDArray[np.bool_] | None,
    ulps: npt.NDArray[np.int8] | None,
    exceptions: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.float64]:
    """Return values with their ulps and exceptions, and NaN where they are missing."""
    if ulps is not None:
        is_negative_zero = ulps == NEGATIVE_ZERO
        values = (values.view(np.int64) + np.where(is_negative_zero, 0, ulps)).view(np.float64)
        values = np.where(is_negative_zero, -0.0, values)
    if exceptions is not None:
        values = (np.ascontiguousarray(values).view(np.int64) + exceptions).view(np.float64)
    return values if missing is None else np.where(missing, np.nan, values)


def decimals_of(values: npt.NDArray[np.float64]) -> Decimals | None:
    """Return values (steps,) or (steps, channels) as decimal numbers; None if they are not.

    Each channel gets the fewest digits with which half of its values are quotients, and all others are near one, or all
    but a few, which are exceptions.

    Examples
    --------
    >>> found = decimals_of(np.array([0.25, 1.5, np.nan]))
    >>> found.numbers.tolist(), found.digits, found.missing.tolist()
    ([25, 150, 150], (2,), [False, False, True])
    >>> decimals_of(np.array([0.1 + 0.2, *np.arange(20) / 10])).ulps.sum()
    np.int64(1)
    >>> decimals_of(np.array([51.846000000000004, 51.847, 51.848])).readings
    1
    >>> decimals_of(np.array([np.pi, np.e]) * 1e-20)
    """
    columns = values[:, None] if values.ndim == 1 else values
    found = [_column(np.ascontiguousarray(columns[:, i])) for i in range(columns.shape[1])]
    kept = [one for one in found if one is not None]
    if len(kept) < len(found):
        return None
    numbers, digits, missing, ulps, exceptions = zip(*kept, strict=True)
    gaps, offsets, far = (np.stack(one, axis=1).reshape(values.shape) for one in (missing, ulps, exceptions))
    plain = Decimals(
        np.stack(numbers, axis=1).reshape(values.shape),
        tuple(digits),
        gaps if gaps.any() else None,
        offsets if offsets.any() else None,
        exceptions=far if far.any() else None,
    )
    return plain if plain.ulps is None else _with_readings(plain, values)


def _with_readings(plain: Decimals, values: npt.NDArray[np.float64]) -> Decimals:
    """Return decimals whose ulps are counted from the quotients after readings, if that leaves far fewer of them."""
    every = slice(None, None, max(1, len(values) // _SAMPLE))
    some, of_some = plain.take(every), values[every]

    def n_wrong(readings: int) -> int:
        read = replace(some, readings=readings, ulps=None).values()
        return int((read != of_some)[~np.isnan(of_some)].sum())

    counts = [n_wrong(readings) for readings in range(MOST_READINGS + 1)]
    best = int(np.argmin(counts))
    if not best or 2 * counts[best] > counts[0]:
        return plain
    ulps, exceptions = _offsets(values, after_readings(quotient(plain.numbers, plain.digits), best))
    return replace(
        plain,
        readings=best,
        ulps=ulps if ulps.any() else None,
        exceptions=exceptions if exceptions.any() else None,
    )


def _offsets(
    values: npt.NDArray[np.float64], quotients: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Return the ulps of values, and what is added to the bits of exceptions; 0 for NaN."""
    known = ~np.isnan(values)
    ulps = np.abs(values).view(np.int64) - np.abs(quotients).view(np.int64)
    is_negative_zero = np.signbit(values) & (values == 0) & (quotients == 0)
    is_same_sign = np.signbit(values) == np.signbit(quotients)
    is_near = (is_same_sign & (np.abs(ulps) <= _MOST_ULPS)) | is_negative_zero
    bits = values.view(np.int64) - quotients.view(np.int64)
    ulps[is_negative_zero] = NEGATIVE_ZERO
    return np.where(known & is_near, ulps, 0).astype(np.int8), np.where(known & ~is_near, bits, 0)


_Column = tuple[npt.NDArray[np.int64], int, npt.NDArray[np.bool_], npt.NDArray[np.int8], npt.NDArray[np.int64]]


def _column(values: npt.NDArray[np.float64]) -> _Column | None:
    missing = np.isnan(values)
    known = values[~missing]
    if not len(known):
        return (
            np.zeros(len(values), np.int64),
            0,
            missing,
            np.zeros(len(values), np.int8),
            np.zeros(len(values), np.int64),
        )
    if not np.isfinite(known).all():
        return None
    sample = known[:: max(1, len(known) // 1024)]
    found: list[tuple[int, int]] = []  # exceptions and digits
    for digits in range(MOST_DIGITS + 1):
        if not _share_exact(sample, digits) or _share_exact(known, digits) < _EXACT:
            continue
        numbers = np.rint(known * 10.0**digits)
        if np.abs(numbers).max() >= _LARGEST:
            break
        n_exceptions = int(np.count_nonzero(_offsets(known, numbers / 10.0**digits + 0.0)[1]))
        found.append((n_exceptions, digits))
        if not n_exceptions:
            break
    fewest = min(found, default=(len(known), 0))[0]
    if fewest > _EXCEPTIONS * len(known):
        return None
    enough = max(2 * fewest, _FEW_EXCEPTIONS * len(known)) if fewest else 0
    digits = next(digits for n_exceptions, digits in found if n_exceptions <= enough)
    numbers = np.rint(known * 10.0**digits) + 0.0
    ulps, exceptions = (_spread(one, missing) for one in _offsets(known, numbers / 10.0**digits))
    return _filled(numbers.astype(np.int64), missing), digits, missing, ulps, exceptions


def _share_exact(values: npt.NDArray[np.float64], digits: int) -> float:
    """Return the share of values that are quotients; 0 if there are far fewer than needed."""
    with np.errstate(over="ignore", invalid="ignore"):
        is_exact = np.rint(values * 10.0**digits) / 10.0**digits == values
    share = float(is_exact.mean())
    return share if share >= _EXACT / 2 else 0.0


def _spread(offsets: npt.NDArray[Any], missing: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    spread = np.zeros(len(missing), offsets.dtype)
    spread[~missing] = offsets
    return spread


def _filled(numbers: npt.NDArray[np.int64], missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return numbers for all steps: those of missing ones on a line between their neighbours."""
    if not missing.any():
        return numbers
    at = np.flatnonzero(~missing)
    filled = np.rint(np.interp(np.arange(len(missing)), at, numbers.astype(np.float64))).astype(np.int64)
    filled[at] = numbers
    return filled
