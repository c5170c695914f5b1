"""The plan of interpolating records, chosen by trials on a part of them: order of axes, steps of levels, stencils."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.adaptive import take_bytes
from narrows.codec.fields.fit import fit_weights, rounding_variance
from narrows.codec.fields.interpolation import Interpolation, Targets, Weights
from narrows.codec.fields.passes import orders_of, passes_of
from narrows.codec.fields.weights import pack_weights
from narrows.codec.residual.error_bound import ErrorBound

__all__ = ["FINENESS", "Made", "Plan", "encode_passes", "promising_plans", "step_of"]

FINENESS = ((16,), (16, 13, 10, 8), (16, 10, 6, 4))
"""Steps of levels 1, 2, … in sixteenths of that of level 1; the last for all further levels."""

_TRIAL_VALUES, _TRIAL_LEVELS = 1 << 15, 3
_TRIAL_SAMPLE = 1 << 11
_SPARSE_BITS = 0.07  # a value
_MANY, _MORE_VALUES = 1 << 19, 1 << 17  # values that are encoded only once, and the part that chooses their plan
_FEW = 1 << 10  # values for which trials take longer than they are worth
_LARGEST, _FIXED = 3, 1
_ENOUGH = 512  # values from which rounding errors are measured


@dataclass(frozen=True)
class Plan:
    """How records are interpolated.

    Attributes
    ----------
    order : int
        The number of the order of the axes, among all orders.
    fineness : int
        The index into `FINENESS`.
    largest : int
        The size of the largest stencil that is tried.
    """

    order: int
    fineness: int
    largest: int


@dataclass(frozen=True, eq=False)
class Made:
    """Encoded passes: their weights, their bits, or None if they take too many bytes, and the values in units."""

    weights: list[Weights]
    bits: bytes | None
    values: NDArray[np.int64]

    def n_bytes(self, scale: float = 1.0) -> float:
        """Return the size in bytes, if there were ``scale`` times as many values."""
        return math.inf if self.bits is None else len(self.bits) * scale + len(pack_weights(self.weights))


def step_of(grid: ErrorBound, fineness: int, level: float) -> int:
    """Return the step of a level in units; infinity stands for the first value of a record."""
    shares = FINENESS[fineness]
    return max(1, grid.step * shares[int(min(level, len(shares))) - 1] >> 4)


def encode_passes(
    shape: tuple[int, int, int, int],
    targets: Targets,
    grid: ErrorBound,
    plan: Plan,
    *,
    most: int,
    levels: int = 64,
    n_sample: int = 1 << 13,
) -> Made:
    """Encode the finest levels of records; the values of coarser levels are taken to be known, without bytes."""
    run = Interpolation(shape, len(targets.values), grid.lowest, grid.highest, targets=targets, data=most)
    passes = passes_of(shape, orders_of(shape)[plan.order])
    kept = [part for part in passes if part.level <= levels]
    if len(kept) < len(passes):
        known = tuple(slice(None, None, 1 << levels) for _ in shape)
        values, given = run.values.reshape(-1, *shape), targets.values.reshape(-1, *shape)
        values[(slice(None), *known)] = np.rint(given[(slice(None), *known)])
    else:
        run.begin(step_of(grid, plan.fineness, math.inf))
    weights: list[Weights] = []
    how = {"largest": plan.largest, "n_sample": n_sample}
    variance = grid.step**2 / 12 if grid.step > 1 else 0.0
    for part in kept:
        step = step_of(grid, plan.fineness, part.level)
        found = fit_weights(part, shape, run.values, targets, step, **how, variance=variance)
        weights.append(found)
        run.run(part, found, step)
        if grid.step > 1 and part.n_values >= _ENOUGH:
            variance = rounding_variance(part, shape, run.values, targets, _ENOUGH)
    return Made(weights, take_bytes(run.state, run.buffer), run.values)


def promising_plans(shape: tuple[int, int, int, int], targets: Targets, grid: ErrorBound) -> list[Plan]:
    """Return the plan that takes the fewest bytes on a part of the records.

    Where values take few bits, most of these are in coarse levels, of which the part says little, and fitted weights
    may cost more than they save: then fixed weights are tried as well, on all records or on a larger part.
    """
    if targets.values.size <= _FEW:
        return [Plan(0, 0, 2)]
    n, (part, sides) = targets.values.size, _part(shape, targets, _TRIAL_VALUES)
    is_whole = math.prod(sides) == math.prod(shape)
    plans = [Plan(order, 0, 2) for order in _promising_orders(sides, part, grid)]
    plan, n_bytes = _best_plan(plans, _trial(part, sides, grid, n, 64 if is_whole else _TRIAL_LEVELS), grid)
    if n_bytes > _SPARSE_BITS / 8 * n:
        return [plan]
    found = [plan, *(Plan(plan.order, number, _FIXED) for number in range(len(FINENESS)))]
    if n <= _MANY:
        return found
    part, sides = _part(shape, targets, _MORE_VALUES)
    return [min(found, key=_trial(part, sides, grid, n, 64))]


def _trial(
    part: Targets, sides: tuple[int, int, int, int], grid: ErrorBound, n: int, levels: int
) -> Callable[[Plan], float]:
    """Return a function of a plan: the bytes that n values take, by those of a part of them."""

    def size(plan: Plan) -> float:
        made = encode_passes(sides, part, grid, plan, most=1 << 20, levels=levels, n_sample=_TRIAL_SAMPLE)
        return made.n_bytes(n / part.values.size)

    return size


def _best_plan(plans: list[Plan], size: Callable[[Plan], float], grid: ErrorBound) -> tuple[Plan, float]:
    """Return the plan with the smallest size, and the size, of some plans and those with one or two changes."""
    if len(plans) > 1:
        plans.sort(key=size)
    best, fewest = plans[0], size(plans[0])
    others = [{"largest": _LARGEST}]
    if grid.step > 1:
        others += [{"fineness": number} for number in range(1, len(FINENESS))]
    for change in others:
        candidate = replace(best, **change)
        if (n_bytes := size(candidate)) < fewest:
            best, fewest = candidate, n_bytes
    return best, fewest


def _part(shape: tuple[int, int, int, int], targets: Targets, most: int) -> tuple[Targets, tuple[int, int, int, int]]:
    """Return the middle of a record, or some records, with about this many values, and its shape."""
    sides = list(shape)
    while math.prod(sides) > most:
        longest = sides.index(max(sides))
        sides[longest] = -(-sides[longest] // 2)
    n = max(1, most // math.prod(sides))
    records = np.unique(np.linspace(0, len(targets.values) - 1, min(n, len(targets.values))).astype(int))
    cut = tuple(slice((long - side) // 2, (long - side) // 2 + side) for long, side in zip(shape, sides, strict=True))
    found = [
        np.ascontiguousarray(array.reshape(-1, *shape)[records][(slice(None), *cut)]).reshape(len(records), -1)
        for array in (targets.values, targets.skipped)
    ]
    first, second, third, fourth = sides
    return Targets(found[0], found[1]), (first, second, third, fourth)


def _promising_orders(shape: tuple[int, ...], targets: Targets, grid: ErrorBound) -> list[int]:
    """Return the numbers of a few orders of axes: the roughest axis first, as in memory, and the opposite of that."""
    orders = orders_of(shape)
    if len(orders) <= 2:
        return list(range(len(orders)))
    values = targets.values.reshape(-1, *shape).astype(np.float64)
    roughness = {}
    for axis in orders[0]:
        bends = np.abs(np.diff(values, 2, axis + 1)) / grid.step
        roughness[axis] = float(np.log2(1 + bends).mean()) if bends.size else math.inf
    by_roughness = tuple(sorted(orders[0], key=lambda axis: -roughness[axis]))
    return sorted({0, orders.index(by_roughness), orders.index(by_roughness[::-1])})
