"""The lower hull of rate and distortion: the operating points that are worth offering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["lower_hull"]


_TOLERANCE = 1.01  # factor of the bytes by which a point may lie above the hull, since both are measured


def lower_hull(points: Sequence[tuple[float, float]], trained: int | None = None) -> list[int]:
    """Return which points lie on the lower convex hull of bytes and squared error, in order of increasing bytes.

    Each of them nearly minimises rate + λ · squared error for some λ: it has at most 1 % more bytes than the hull at
    its error, since measured points are not more accurate. No other point has fewer bytes without a larger error.

    Parameters
    ----------
    points : sequence of (float, float)
        Bytes and PSNR in dB of each; infinite without an error.
    trained : int, optional
        The point of the quality that a model was trained for. It is kept above the hull, too, unless another point
        has no more bytes and no larger error: without it, the next finer point would take more bytes for this quality.

    Examples
    --------
    >>> lower_hull([(6.49, 27.04), (26.41, 20.35), (6.55, 27.95)])
    [0, 2]
    >>> lower_hull([(1.0, 20.0), (3.0, 20.5), (5.0, 30.0)])
    [0, 2]
    >>> lower_hull([(1.0, 20.0), (3.0, 20.5), (5.0, 30.0)], trained=1)
    [0, 1, 2]
    """
    error = [0.0 if math.isinf(psnr_db) else 10 ** (-psnr_db / 10) for _, psnr_db in points]
    better: list[int] = []  # than all that have fewer bytes
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], error[place])):
        if not better or error[place] < error[better[-1]]:
            better.append(place)
    hull: list[int] = []
    for place in better:
        while len(hull) > 1 and points[hull[-1]][0] >= _bytes_between(hull[-2], place, error[hull[-1]], points, error):
            hull.pop()
        hull.append(place)
    ends = dict(pairwise(hull))
    kept, first = [hull[0]], hull[0]
    for place in better[1:]:
        last = ends[first]
        if place == trained or points[place][0] <= _TOLERANCE * _bytes_between(
            first, last, error[place], points, error
        ):
            kept.append(place)
        first = last if place == last and place in ends else first
    return kept


def _bytes_between(
    first: int, last: int, at: float, points: Sequence[tuple[float, float]], error: Sequence[float]
) -> float:
    """Return the bytes at an error on the line between two points."""
    share = (error[first] - at) / (error[first] - error[last])
    return points[first][0] + share * (points[last][0] - points[first][0])
