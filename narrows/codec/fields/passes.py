"""The passes of interpolation: in which order the values of a record are coded, and between which known values.

A record has four axes; those of length 1 come first. At level l, with the stride s = 2^(l-1), each axis in a given
order has a pass: it codes the values whose index along this axis is an odd multiple of s, and along the others a
multiple of s (axes that had their pass) or of 2 s (axes that will have theirs). Then all values at multiples of s are
known, and the next level halves the stride. The first value of a record has no pass.

Offsets are in units of the stride. A neighbour beyond an edge is mirrored at the edge, which keeps its parity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations

__all__ = ["N_AXES", "Pass", "Stencil", "four_axes", "n_levels", "orders_of", "passes_of"]

N_AXES = 4

Offset = tuple[int, int, int, int]


@dataclass(frozen=True)
class Stencil:
    """The neighbours of the values of a pass.

    Attributes
    ----------
    pairs : tuple of Offset
        Known neighbours on both sides: each offset stands for itself and its opposite. The first is the nearest pair
        along the axis of the pass, the second the next.
    before : tuple of Offset
        Neighbours of the same pass that come before: first those along one axis, from the last axis on.
    """

    pairs: tuple[Offset, ...]
    before: tuple[Offset, ...]


@dataclass(frozen=True)
class Pass:
    """The values that are coded together: those at ``first + spacing · i`` along each axis, in units of the stride.

    Attributes
    ----------
    level : int
        The level, 1 for the finest.
    axis : int
        The axis along which values are interpolated.
    stride : int
        2^(level - 1).
    counts : tuple of int
        The number of values along each axis.
    spacing : tuple of int
        1 or 2 for each axis.
    """

    level: int
    axis: int
    stride: int
    counts: tuple[int, ...]
    spacing: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def n_values(self) -> int:
        """The number of values of a record."""
        n = 1
        for count in self.counts:
            n *= count
        return n

    @property
    def first(self) -> tuple[int, ...]:
        """The index of the first value along each axis, in units of the stride."""
        return tuple(int(axis == self.axis) for axis in range(N_AXES))

    def stencil(self, size: int) -> Stencil:
        """Return the neighbours: 0 the nearest pair, 1 the next along the axis too, 2 diagonals, 3 further ones."""
        return _stencil(self.axis, self.spacing, self.axes, size)


def four_axes(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the shape of a record with four axes: without axes of length 1, filled up with them at the front.

    Of more than four axes, all but the last three are merged.

    Examples
    --------
    >>> four_axes((5, 1, 7)), four_axes((2, 3, 4, 5, 6))
    ((1, 1, 5, 7), (6, 4, 5, 6))
    """
    long = [length for length in shape if length > 1]
    while len(long) > N_AXES:
        long[:2] = [long[0] * long[1]]
    first, second, third, fourth = [1] * (N_AXES - len(long)) + long
    return first, second, third, fourth


def n_levels(shape: tuple[int, ...]) -> int:
    """Return the number of levels: the least for which only the first value of a record is left."""
    return (max(shape) - 1).bit_length()


def orders_of(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return all orders of the axes that are longer than 1."""
    return list(permutations(axis for axis in range(N_AXES) if shape[axis] > 1))


def passes_of(shape: tuple[int, ...], order: tuple[int, ...]) -> list[Pass]:
    """Return the passes of records of a shape with four axes, in the order of coding."""
    found = []
    for level in range(n_levels(shape), 0, -1):
        stride = 1 << (level - 1)
        grid = [(length - 1) // stride + 1 for length in shape]
        for at, axis in enumerate(order):
            spacing = tuple(1 if other in order[:at] else 2 for other in range(N_AXES))
            counts = tuple(
                grid[other] // 2 if other == axis else -(-grid[other] // spacing[other]) for other in range(N_AXES)
            )
            if counts[axis]:
                found.append(Pass(level, axis, stride, counts, spacing, tuple(sorted(order))))
    return found


@lru_cache(maxsize=1024)
def _stencil(axis: int, spacing: tuple[int, ...], axes: tuple[int, ...], size: int) -> Stencil:
    others = [other for other in axes if other != axis]
    pairs = [_offset({axis: 1}), _offset({axis: 3})][: 1 + (size > 0)]
    if size > 1:
        pairs += [_offset({axis: 1, other: sign * spacing[other]}) for other in others for sign in (1, -1)]
    if size > 2:
        pairs.append(_offset({axis: 5}))
        for one, two in combinations(others, 2):
            signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
            pairs += [_offset({axis: 1, one: a * spacing[one], two: b * spacing[two]}) for a, b in signs]
        pairs += [_offset({axis: 3, other: sign * spacing[other]}) for other in others for sign in (1, -1)]
        pairs += [_offset({axis: 1, other: sign * spacing[other]}) for other in others for sign in (2, -2)]
    before = [_offset({other: -spacing[other]}) for other in reversed(axes)]
    for one, two in combinations(axes, 2):
        before += [_offset({one: -spacing[one], two: sign * spacing[two]}) for sign in (-1, 1)]
    return Stencil(tuple(pairs), tuple(before))


def _offset(parts: dict[int, int]) -> Offset:
    return parts.get(0, 0), parts.get(1, 0), parts.get(2, 0), parts.get(3, 0)
