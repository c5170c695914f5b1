"""Which values of a record are near which: the same for every record, known from its shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pattern", "patterns_of"]

_AXES = 3  # beyond these, those in front are taken together
_FAR = {1: 8, 2: 2, 3: 2}  # how far back along an axis


@dataclass(frozen=True, eq=False)
class Pattern:
    """Positions of a record that have the same neighbours.

    Attributes
    ----------
    positions : ndarray of int64
        Their flat indices, ascending.
    before : tuple of int
        What to add to a position for each neighbour that comes before it, nearest first; negative numbers.
    after : tuple of int
        The same for neighbours that come after it.
    """

    positions: NDArray[np.int64]
    before: tuple[int, ...]
    after: tuple[int, ...]


@lru_cache(maxsize=4)
def patterns_of(shape: tuple[int, ...]) -> tuple[Pattern, ...]:
    """Return the patterns of records of a shape, in the order of their first positions.

    Axes of length 1 don't count; of more than three, all but the last two are taken as one. Neighbours differ by at
    most 1 along each axis; besides there are those up to 8 back along the one axis of a series, and 2 back along each
    axis of everything else. So where a position is along an axis matters only as far as neighbours reach.
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
    """Return the neighbours along all axes, nearest first."""
    around = [offset for offset in product((-1, 0, 1), repeat=n_axes) if any(offset)]
    for axis in range(n_axes):
        around += [tuple(-far if at == axis else 0 for at in range(n_axes)) for far in range(2, _FAR[n_axes] + 1)]
    # Of equally near ones, those along the last axis come first.
    return sorted(around, key=lambda offset: (sum(abs(step) for step in offset), offset[::-1]))
