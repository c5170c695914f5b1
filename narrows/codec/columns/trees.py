"""The decisions that code a residual: a tree over intervals of whole numbers, whose halves have about equal weights.

A leaf is an interval; there may be gaps between leaves. A node divides its leaves a … b - 1 at the k for which the
weights of a … k - 1 and k … b - 1 differ the least (the lowest such k), and the decision is whether the residual is at
or above the start of leaf k. The weight of a leaf is 2^w. Nodes are numbered from the root, level by level. Three
levels of nodes are a *block*: a node has the cell 1 at the top of its block, and its children have the cells 2 c and
2 c + 1; the child of a cell from 4 is the top of a new block, and blocks are numbered in the order of their nodes.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels

__all__ = ["MOST_WEIGHT", "Leaves", "nodes_of"]

MOST_WEIGHT = 40
_LAST_CELLS = 4


@dataclass(frozen=True, eq=False)
class Leaves:
    """Intervals, in order, that do not overlap.

    Attributes
    ----------
    starts, widths : ndarray of shape (n,), int64
        The first number of each, and how many it has.
    weights : ndarray of shape (n,), uint8
        The logarithm, to the base 2, of the weight of each, at most 40.
    """

    starts: NDArray[np.int64]
    widths: NDArray[np.int64]
    weights: NDArray[np.uint8]

    @classmethod
    def of(cls, residuals: NDArray[np.int64], most: int) -> Leaves:
        """Return leaves for these residuals: neighbours share a leaf if there are more than ``most`` numbers."""
        numbers, counts = np.unique(residuals, return_counts=True)
        if len(numbers) > most:
            total = np.cumsum(counts)
            n = total[-1]
            slot = (total - counts) * most // n
            heavy = counts * most >= n
            heavy = heavy | np.concatenate([[False], heavy[:-1]])
            first = np.concatenate([[True], slot[1:] != slot[:-1]]) | heavy
            at = np.flatnonzero(first)
        else:
            at = np.arange(len(numbers))
        last = np.concatenate([at[1:], [len(numbers)]]) - 1
        weights = np.add.reduceat(counts, at)
        return cls(numbers[at], numbers[last] - numbers[at] + 1, np.round(np.log2(weights)).astype(np.uint8))

    @cached_property
    def nodes(self) -> NDArray[np.int64]:
        """The nodes of the tree, as `nodes_of` returns them."""
        return nodes_of(self)

    def leaf_of(self, residuals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the leaf at or below each residual."""
        return np.searchsorted(self.starts, residuals, "right") - 1

    def rows(self) -> NDArray[np.int64]:
        """Return start and width of each, for the kernel."""
        return np.stack([self.starts, self.widths], 1)


def nodes_of(leaves: Leaves) -> NDArray[np.int64]:
    """Return the nodes (n - 1, 5): split, left, right, block and cell. A child below 0 is the leaf -1 - child."""
    n = len(leaves.weights)
    sums = np.concatenate([[0], np.cumsum(np.int64(1) << leaves.weights.astype(np.int64))])
    if kernels.compiled is not None:
        made, scratch = np.empty((n - 1, 5), np.int64), np.empty((n - 1, 4), np.int64)
        kernels.compiled.columns_nodes(np.ascontiguousarray(leaves.starts), sums, made, scratch)
        return made
    total = sums.tolist()
    starts, nodes = leaves.starts.tolist(), list[tuple[int, int, int, int, int]]()
    waiting, n_blocks = [(0, n, 0, 1)] if n > 1 else [], 1
    for first, last, block, cell in waiting:
        twice = total[first] + total[last]
        k = bisect_left(total, twice + 1 >> 1, first + 1, last - 1)
        if k > first + 1 and twice - 2 * total[k - 1] <= 2 * total[k] - twice:
            k -= 1
        children = list[int]()
        for side, (a, b) in enumerate(((first, k), (k, last))):
            if b - a == 1:
                children.append(-1 - a)
                continue
            if cell < _LAST_CELLS:
                place = block, 2 * cell + side
            else:
                place, n_blocks = (n_blocks, 1), n_blocks + 1
            children.append(len(waiting))
            waiting.append((a, b, *place))
        nodes.append((starts[k], *children, block, cell))
    return np.array(nodes, np.int64).reshape(-1, 5)
