"""The bounds on errors that give a wanted PSNR."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bounds_for"]


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
