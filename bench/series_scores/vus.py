"""VUS-PR, the volume under the surface of precision and recall (Paparrizos et al. 2022), as the package tsb-ad has it.

The package takes seconds for a series; `vus_pr` takes a hundredth of that, and `run.py` checks that both agree.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["vus_pr"]


def vus_pr(score: NDArray[np.float64], label: NDArray[np.int64], window: int, n_thresholds: int = 250) -> float:
    """Return the mean average precision over labels whose ranges are widened by 0 to `window` steps."""
    n = len(score)
    edges = np.diff(np.concatenate([[0], label, [0]]))
    ranges = list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1, strict=True))
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    thresholds = ordered[np.linspace(0, n - 1, n_thresholds).astype(int)]
    n_found = np.searchsorted(-ordered, -thresholds, side="right")
    near = np.zeros(n, bool)
    for first, last in _widened(ranges, window, n):
        near[first : last + 1] = True
    precisions = []
    for width in range(window + 1):
        soft = label.astype(float)
        for first, last in ranges:
            after = np.arange(last + 1, min(last + width // 2 + 1, n))
            before = np.arange(max(first - width // 2, 0), first)
            if width:
                soft[after] += np.sqrt(1 - (after - last) / width)
                soft[before] += np.sqrt(1 - (first - before) / width)
        soft = np.minimum(soft, 1) * near
        highest = np.array([score[first : last + 1].max() for first, last in _widened(ranges, width, n)])
        existence = (highest >= thresholds[:, None]).mean(axis=1)
        true = _up_to(soft[order], n_found)
        total = (2 * label.sum() + _up_to((soft * (label == 0))[order], n_found)) / 2
        recall = np.minimum(true / total, 1) * existence
        precisions.append(np.dot(np.diff(recall, prepend=0), true / n_found))
    return float(np.mean(precisions))


def _up_to(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sums of the first values."""
    return np.concatenate([[0], np.cumsum(values)])[counts]


def _widened(ranges: list[tuple[int, int]], width: int, n: int) -> list[tuple[int, int]]:
    """Return ranges widened by half a width on either side, and joined where they meet."""
    half, found, first = width // 2, [], max(ranges[0][0] - width // 2, 0)
    for (_, last), (following, _) in pairwise(ranges):
        if last + half < following - half:
            found.append((first, last + half))
            first = following - half
    return [*found, (first, min(ranges[-1][1] + half, n - 1))]
