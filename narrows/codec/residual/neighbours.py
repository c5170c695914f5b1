"""The neighbours of each value of a record; they depend only on the record's shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pattern", "patterns_of"]

_AXES = 3  # with more axes, the first ones are merged
_FAR = {1: 8, 2: 2, 3: 2}  # largest distance of neighbours back along an axis, by the number of axes


@dataclass(frozen=True, eq=False)
class Pattern:
    """Positions of a record that have the same neighbours.

    Attributes
    ----------
    positions : ndarray of int64
        Flat indices of the positions, ascending.
    before : tuple of int
        Offsets of the preceding neighbours, nearest first; negative.
    after : tuple of int
        Offsets of the following neighbours, nearest first; positive.
    """

    positions: NDArray[np.int64]
    before: tuple[int, ...]
    after: tuple[int, ...]


@lru_cache(maxsize=4)
def patterns_of(shape: tuple[int, ...]) -> tuple[Pattern, ...]:
    """Return the patterns of records of a shape, in the order of their first positions.

    Axes of length 1 are ignored; of more than three axes, all but the last two are merged. Neighbours differ by at most
    1 along each axis; in addition there are those up to 8 back along the axis of a series, or up to 2 back along each
    axis of other records. So positions have the same pattern unless one of them is near an edge.
    """
    long = [length for length in shape if length > 1] or [1]
    grid = (math.prod(long[: 1 - _AXES]), *long[1 - _AXES :]) if len(long) > _AXES else tuple(long)
    strides = [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]
    reach = _FAR[len(grid)]
    kinds = np.zeros(grid, np.int64)
    for axis, length in enumerate(grid):
        at = np.arange(length)
        kind = 2 * np.minimum(at, reach) + (at < length - 1)
        kinds = kinds * (2 * reach + 2) + np.expand_dims(kind, [other for other in range(len(grid)) if other != axis])
    _, firsts, kind_of = np.unique(kinds, return_index=True, return_inverse=True)
    by_kind = np.split(np.argsort(kind_of.ravel(), kind="stable"), np.cumsum(np.bincount(kind_of.ravel()))[:-1])
    found = []
    for kind in np.argsort(firsts):
        place = np.array(np.unravel_index(firsts[kind], grid))
        near = [offset for offset in _offsets(len(grid)) if ((place + offset >= 0) & (place + offset < grid)).all()]
        deltas = [int(np.dot(offset, strides)) for offset in near]
        before, after = (tuple(delta for delta in deltas if sign * delta > 0) for sign in (-1, 1))
        found.append(Pattern(by_kind[kind], before, after))
    return tuple(found)


def _offsets(n_axes: int) -> list[tuple[int, ...]]:
    """Return the offsets of all neighbours, nearest first."""
    around = [offset for offset in product((-1, 0, 1), repeat=n_axes) if any(offset)]
    for axis in range(n_axes):
        around += [tuple(-far if at == axis else 0 for at in range(n_axes)) for far in range(2, _FAR[n_axes] + 1)]
    # At equal distances, neighbours along the last axis come first.
    return sorted(around, key=lambda offset: (sum(abs(step) for step in offset), offset[::-1]))
