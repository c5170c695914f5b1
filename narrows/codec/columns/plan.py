"""The plan of a model of rows: for each column a prediction, the leaves of the residual, and contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.trees import Leaves
from narrows.codec.text.tables import MOST_STRETCHED, SQUASH

__all__ = ["MOST_CONTEXTS", "ColumnPlan", "Feature", "Kind", "Layout", "Lookup", "Term"]

MOST_CONTEXTS = 12
N_MAP, N_BY_NODE, N_BY_KNOWN, N_BY_COUNTS, N_LAST, N_SETS = 512, 128, 128, 64, 4, 3
_SHARED_WEIGHT, _EACH_WEIGHT = 19661, 3277


class Kind(IntEnum):
    """What a feature of a context is."""

    VALUE = 0
    RESIDUAL = 1
    QUANTISED = 2
    PREDICTION = 3
    REMAINDER = 4
    OFFSET = 5


@dataclass(frozen=True, order=True)
class Feature:
    """A number that a context has: of a column, ``lag`` rows above; shifted right, or for `Kind.REMAINDER` divided."""

    kind: Kind
    column: int = 0
    lag: int = 0
    shift: int = 0


@dataclass(frozen=True)
class Term:
    """A term of a prediction: a factor, times the number of a column, times that of another if it is not below 0."""

    column: int
    lag: int
    factor: int
    other: int = -1
    other_lag: int = 0


@dataclass(frozen=True, eq=False)
class Lookup:
    """Numbers that those of another column determine; a prediction has the number as a further term, 0 for other keys.

    Attributes
    ----------
    column : int
        The other column.
    keys, values : ndarray of shape (n,), int64
        Its numbers in increasing order, and what each determines.
    """

    column: int
    keys: NDArray[np.int64]
    values: NDArray[np.int64]

    def of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what numbers (n,) determine."""
        at = np.searchsorted(self.keys, numbers).clip(0, len(self.keys) - 1)
        return np.where(self.keys[at] == numbers, self.values[at], 0)


@dataclass(frozen=True, eq=False)
class ColumnPlan:
    """How a column of whole numbers is coded.

    Attributes
    ----------
    leaves : Leaves
        The intervals of the residual.
    contexts : sequence of sequences of Feature
        The contexts of its decisions, at most 12.
    terms : sequence of Term
        The prediction is ``(bias + Σ terms) >> shift``.
    modulus, lowest : int
        If the modulus is not 0, residuals are reduced to half of it, and numbers are ``lowest`` or the next above.
    mask : int
        The column that is 1 where a number is missing, or -1.
    start : int
        What stands in the rows above the first.
    edges : sequence of int
        The quantised number is the number of edges that are not above it.
    rate : int
        The lowest rate at which the mixer learns.
    lookup : Lookup or None
        A term of the prediction, after the shift.
    """

    leaves: Leaves
    contexts: Sequence[Sequence[Feature]] = ((),)
    terms: Sequence[Term] = ()
    bias: int = 0
    shift: int = 0
    modulus: int = 0
    lowest: int = 0
    mask: int = -1
    start: int = 0
    edges: Sequence[int] = ()
    rate: int = 64
    lookup: Lookup | None = None


class Layout:
    """Plans of columns as the arrays of the kernel.

    Parameters
    ----------
    plans : sequence of ColumnPlan
        The plan of each column, in the order of coding.
    active : sequence of bool, optional
        Which columns are coded. Default: all.
    """

    def __init__(self, plans: Sequence[ColumnPlan], active: Sequence[bool] | None = None) -> None:
        columns, terms, features, contexts = list[list[int]](), list[list[int]](), list[list[int]](), list[list[int]]()
        edges, keys = list[int](), [np.zeros((0, 2), np.int64)]
        nodes, leaves = [np.zeros((0, 5), np.int64)], [np.zeros((0, 2), np.int64)]
        n_nodes = n_leaves = n_learnt = 0
        self._ranges = []
        for k, plan in enumerate(plans):
            n_inputs = 2 * len(plan.contexts) + 8 & ~7
            own = plan.leaves.nodes
            of_weights = n_learnt + N_MAP * len(plan.contexts)
            of_last = of_weights + (N_BY_NODE + N_BY_KNOWN + N_BY_COUNTS) * n_inputs
            end = of_last + N_BY_NODE * N_LAST
            self._ranges.append((n_learnt, of_weights, of_last, end, len(plan.contexts)))
            counts = len(terms), len(plan.terms), len(contexts), len(plan.contexts), n_nodes, len(own), n_leaves
            head = plan.mask, plan.modulus, plan.lowest, plan.bias, plan.shift
            tail = len(edges), len(plan.edges), plan.start, n_learnt, of_weights, of_last
            lookup = [-1, 0, 0]
            if plan.lookup is not None:
                keys.append(np.stack([plan.lookup.keys, plan.lookup.values], 1))
                lookup = [plan.lookup.column, sum(map(len, keys[:-1])), len(keys[-1])]
            columns.append([*head, *counts, *tail, int(active is None or active[k]), plan.rate, *lookup])
            terms += [[one.column, one.lag, one.other, one.other_lag, one.factor] for one in plan.terms]
            for context in plan.contexts:
                contexts.append([len(features), len(context)])
                features += [[one.kind, one.column, one.lag, one.shift] for one in context]
            edges += list(plan.edges)
            nodes.append(own)
            leaves.append(plan.leaves.rows())
            n_nodes, n_leaves, n_learnt = n_nodes + len(own), n_leaves + len(plan.leaves.weights), end
        self.n_learnt, self.n_columns, self.plans = n_learnt, len(plans), tuple(plans)
        self.active = [active is None or active[k] for k in range(len(plans))]
        self.places = [places[:3] for places in self._ranges]
        self._nodes = nodes[1:]
        self.arrays = (
            np.array(columns, np.int64).reshape(-1, 23),
            np.array(terms, np.int64).reshape(-1, 5),
            np.array(features, np.int64).reshape(-1, 4),
            np.array(contexts, np.int64).reshape(-1, 2),
            np.concatenate(nodes),
            np.concatenate(leaves),
            np.array(edges, np.int64),
            np.concatenate(keys),
        )

    def nodes_of(self, k: int) -> NDArray[np.int64]:
        """Return the nodes of a column, as `trees.nodes_of`."""
        return self._nodes[k]

    def new_learnt(self) -> NDArray[np.int32]:
        """Return what is learnt before the first row: states of the maps, and weights."""
        return self._learnt.copy()

    @cached_property
    def _learnt(self) -> NDArray[np.int32]:
        learnt = np.zeros(self.n_learnt, np.int32)
        levels = np.arange(-2048, 2048, 128) + 64
        states = SQUASH[levels + MOST_STRETCHED].astype(np.int64) << 6
        one = np.tile(states << 10, N_MAP // 32).astype(np.uint32).view(np.int32)
        for of_maps, of_weights, of_last, end, n in self._ranges:
            learnt[of_maps:of_weights] = np.tile(one, n)
            learnt[of_weights:of_last] = _SHARED_WEIGHT // max(n, 1) + _EACH_WEIGHT
            learnt[of_last:end] = np.tile([(1 << 16) // N_SETS] * N_SETS + [0], N_BY_NODE)
        return learnt
