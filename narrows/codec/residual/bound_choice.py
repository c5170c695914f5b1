"""The bounds on errors that give a wanted PSNR."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bounds_for", "largest_bound"]

_HALVINGS = 14


def bounds_for(counts: NDArray[np.int64], psnr: float) -> list[int]:
    """Return the bounds with which values keep at least a PSNR, those with the least entropy first.

    Parameters
    ----------
    counts : ndarray of int, shape (k,)
        Number of values 0 to k - 1; k - 1 is the peak of the PSNR.
    psnr : float
        The wanted PSNR in dB.

    Returns
    -------
    list of int
        The order is by the entropy of the restored values alone, and for the same entropy by the bound, the largest
        first. It is nearly that of the sizes of archives.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.zeros(256, int)
    >>> counts[[0, 100, 200]] = 80, 10, 10
    >>> bounds_for(counts, 40.0)[:2]
    [51, 50]
    """
    peak, share = len(counts) - 1, counts / max(counts.sum(), 1)
    values = np.arange(len(counts))
    wanted = peak**2 * 10 ** (-psnr / 10)
    found: list[tuple[float, int]] = []
    for bound in range((peak + 1) // 2):
        step = 2 * bound + 1
        restored = np.minimum((values + bound) // step * step, peak)
        error = float(share @ np.square(restored - values))
        if error <= wanted:
            of_levels = np.bincount(restored, share)
            of_levels = of_levels[of_levels > 0]
            found.append((round(-float(of_levels @ np.log2(of_levels)), 3), -bound))
    return [-bound for _, bound in sorted(found)]


def largest_bound(errors: NDArray[np.float64], squared: float, unit: float = 0.0) -> float:
    """Return the largest bound within which corrected errors have at most a mean squared error.

    Errors are corrected by multiples of 2 E, or of 2 E + 1 units of whole numbers, so that those up to E stay as they
    are.

    Parameters
    ----------
    errors : ndarray
        Finite errors before the correction.
    squared : float
        The mean squared error that is allowed.
    unit : float
        The distance of whole numbers; 0 for floats.

    Examples
    --------
    >>> import numpy as np
    >>> errors = np.linspace(-1, 1, 10001)
    >>> round(largest_bound(errors, 0.03), 2), largest_bound(np.rint(errors * 9), 2.2, unit=1.0)
    (0.29, 2.0)
    """
    low, high = 0.0, float(np.abs(errors).max(initial=0.0))
    if high == 0 or _corrected(errors, high, unit) <= squared:
        return high
    if not unit:
        low = min(np.sqrt(squared), high / 2)  # corrected errors are at most as large
    for _ in range(_HALVINGS):
        middle = np.floor((low + high) / 2 / unit) * unit if unit else np.sqrt(low * high)
        if middle in (low, high):
            break
        low, high = (middle, high) if _corrected(errors, middle, unit) <= squared else (low, middle)
    return float(low)


def _corrected(errors: NDArray[np.float64], bound: float, unit: float) -> float:
    """Return the mean squared error after the correction."""
    step = 2 * bound + unit
    if step <= 0:
        return 0.0
    return float(np.square(errors - step * np.rint(errors / step)).mean())
