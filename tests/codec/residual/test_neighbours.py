"""Neighbours are those that the format's page defines, in its order."""

from itertools import product

import numpy as np
import pytest

from narrows.codec.residual.neighbours import patterns_of

SHAPES = [(1,), (2,), (3,), (9,), (30,), (2, 2), (3, 4), (5, 3), (2, 3, 4), (5, 1, 2), (2, 3, 1, 4, 2), (7, 7, 3)]


def near(place, grid):
    """The neighbours of a place, by their definition: offsets in order."""
    far = 8 if len(grid) == 1 else 2
    found = []
    for offset in product(range(-far, 2), repeat=len(grid)):
        sizes = sorted(abs(by) for by in offset)
        is_close = max(sizes) == 1
        is_behind = sizes[-1] > 1 and sum(sizes[:-1]) == 0
        inside = all(0 <= at + by < length for at, by, length in zip(place, offset, grid, strict=True))
        if (is_close or is_behind) and inside:
            found.append(offset)
    return sorted(found, key=lambda offset: (sum(map(abs, offset)), *offset[::-1]))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_position_has_the_neighbours_of_the_definition(shape):
    grid = [length for length in shape if length > 1] or [1]
    grid = grid if len(grid) <= 3 else [int(np.prod(grid[:-2])), *grid[-2:]]
    patterns, seen = patterns_of(shape), []
    of = {position: pattern for pattern in patterns for position in pattern.positions.tolist()}
    assert sorted(of) == list(range(int(np.prod(shape))))
    for position, place in enumerate(np.ndindex(*grid)):
        offsets = near(place, grid)
        deltas = [int(np.ravel_multi_index(np.add(place, by), grid)) - position for by in offsets]
        assert of[position].before == tuple(delta for delta in deltas if delta < 0)
        assert of[position].after == tuple(delta for delta in deltas if delta > 0)
        if offsets not in seen:
            seen.append(offsets)
            assert of[position] is patterns[len(seen) - 1]
    assert len(seen) == len(patterns)


@pytest.mark.parametrize(("one", "other"), [((5,), (1, 5, 1)), ((3, 4), (3, 1, 4)), ((6, 2, 3), (2, 3, 2, 3))])
def test_axes_of_length_1_do_not_count_and_those_in_front_are_one(one, other):
    for a, b in zip(patterns_of(one), patterns_of(other), strict=True):
        assert (a.positions.tolist(), a.before, a.after) == (b.positions.tolist(), b.before, b.after)


def test_large_records_take_no_time():
    assert len(patterns_of((1 << 10, 1 << 10, 3))) == 4 * 4 * 3  # first, second, others, last; of three no others
