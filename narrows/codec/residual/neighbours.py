"""Which values of a record are near which: the same for every record, known from its shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

__all__ = ["Pattern", "patterns_of"]

_AXES = 3  # beyond these, those in front are taken together
_FAR = {1: 8, 2: 2, 3: 2}  # how far back along the last axis


@dataclass(frozen=True)
class Pattern:
    """Positions of a record that have the same neighbours.

    Attributes
    ----------
    positions : tuple of int
        Their flat indices, ascending.
    before : tuple of int
        What to add to a position for each neighbour that comes before it, nearest first; negative numbers.
    after : tuple of int
        The same for neighbours that come after it.
    """

    positions: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]


def patterns_of(shape: tuple[int, ...]) -> list[Pattern]:
    """Return the patterns of records of a shape, in the order of their first positions.

    Axes of length 1 don't count; of more than three, all but the last two are taken as one. Neighbours differ by at
    most 1 along each axis; besides there are those up to 8 back along the one axis of a series, and 2 back along each
    axis of everything else.
    """
    long = [length for length in shape if length > 1] or [1]
    grid = (
        (math.prod(long[: len(long) - _AXES + 1]), *long[len(long) - _AXES + 1 :]) if len(long) > _AXES else tuple(long)
    )
    strides = [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]
    offsets = _offsets(len(grid))
    places = np.stack(np.unravel_index(np.arange(math.prod(grid)), grid), -1)
    exists = np.stack([np.all((places + offset >= 0) & (places + offset < grid), -1) for offset in offsets], -1)
    kinds, first, kind_of = np.unique(exists, axis=0, return_index=True, return_inverse=True)
    found = []
    for kind in np.argsort(first):
        deltas = [int(np.dot(offset, strides)) for offset, there in zip(offsets, kinds[kind], strict=True) if there]
        found.append(
            Pattern(
                tuple(np.flatnonzero(kind_of.ravel() == kind).tolist()),
                tuple(delta for delta in deltas if delta < 0),
                tuple(delta for delta in deltas if delta > 0),
            )
        )
    return found


def _offsets(n_axes: int) -> list[tuple[int, ...]]:
    """Return the neighbours along all axes, nearest first."""
    around = [offset for offset in product((-1, 0, 1), repeat=n_axes) if any(offset)]
    reach = _FAR[n_axes]
    for axis in range(n_axes):
        around += [tuple(-far if at == axis else 0 for at in range(n_axes)) for far in range(2, reach + 1)]
    # Of equally near ones, those along the last axis come first.
    return sorted(around, key=lambda offset: (sum(abs(step) for step in offset), offset[::-1]))
