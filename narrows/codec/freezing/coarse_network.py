"""Coarser weights of a frozen network of residuals: as coarse as makes the model and the archives of its data smallest.

The bits that values take grow with the square of a step, by c per record; the bits of a tensor of n numbers fall by
n · log2(step). For an archive of R records the sum is smallest at step² = n / (2 ln 2 · R · c). One trial for each
tensor gives c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.freezing.coarse_weights import Rounder, rounded_to
from narrows.codec.parts.tensors import pack_tensor
from narrows.codec.residual.causal import FrozenCausal, as_image, window
from narrows.codec.residual.contract import Lattice
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.mixture import PRECISION
from narrows.errors import ModelFileError
from narrows.numerics.randomness import Stream, rng

__all__ = ["coarser_network"]

_MOST_VALUES, _FEWEST_RECORDS = 1 << 17, 8  # of the records with which networks are tried
_MOST_INPUTS = 1 << 14  # values whose inputs are collected
_TRIED = 0.35  # step of a trial, relative to the standard deviation of a tensor
_FACTORS = (1.4, 1.0, 0.7, 0.5, 0.35, 0.25)  # of all steps, compared at the end
_ARCHIVED = 1 / 4  # of the training records: archives mostly hold fewer, and each needs the model
_MOST_WEIGHT, _MOST_BIAS, _MOST_ACTIVE = 32_767, 1 << 45, (1 << 15) - 1

_OUTPUTS = ("logits", "means", "scales")
_TENSORS = ("weights_1", "rows", "columns", "weights_2", "biases_2", *_OUTPUTS, "biases_3")


def coarser_network(network: FrozenCausal, records: NDArray[Any], n_records: int) -> FrozenCausal:
    """Return a network with coarser weights.

    Parameters
    ----------
    network : FrozenCausal
        The network.
    records : ndarray of shape (n, *shape), integers
        Some training records.
    n_records : int
        The number of training records; archives are expected to hold a quarter as many.
    """
    search = _Search(network, _values(network, records))
    return search.smallest(n_records)


def _values(network: FrozenCausal, records: NDArray[Any]) -> NDArray[np.int64]:
    """Return some records as values (V, n) in coding order."""
    n_values = math.prod(network.grid)
    few = max(_FEWEST_RECORDS, _MOST_VALUES // n_values)
    records = records[:: max(1, len(records) // few)][:few]
    order = as_image(records.shape[1:])[1]
    values = records.reshape(len(records), -1).T[order]
    return np.ascontiguousarray(network.grid_of(ErrorBound(records.dtype, 0)).units(values))


@dataclass(frozen=True, eq=False)
class _Rounders:
    """What rounds the three layers of a channel."""

    first: Rounder
    second: Rounder
    third: Rounder


class _Search:
    def __init__(self, network: FrozenCausal, values: NDArray[np.int64]) -> None:
        self._network, self._values = network, values
        self._rounders = [_rounders(network, values, channel) for channel in range(network.grid[2])]

    def smallest(self, n_records: int) -> FrozenCausal:
        """Return the network with which model and records take the fewest bytes."""
        before = self._bits(self._network)
        share = n_records * _ARCHIVED / self._values.shape[1]
        steps = {}
        for name in _TENSORS:
            tensor = _tensor(self._network, name)
            tried = max(2, math.floor(_TRIED * float(tensor.std())))
            cost = max((self._bits(self._with({name: tried})) - before) / tried**2 * share, 1e-12)
            steps[name] = math.sqrt(tensor.size / (2 * math.log(2) * cost))
            steps[name] = max(1.0, min(steps[name], 4.0 * tried / _TRIED))
        found = [self._network]
        found += [self._with({name: factor * step for name, step in steps.items()}) for factor in _FACTORS]
        return min(found, key=lambda one: 8 * _n_bytes(one) + share * self._bits(one))

    def _bits(self, network: FrozenCausal) -> float:
        """Return the bits of the records with a network."""
        lattice = Lattice(np.zeros_like(self._values), 1, network.lowest, network.highest, has_code=False)
        placed = network.start(lattice).intervals(self._values)
        counts = np.bincount(placed.frequencies.ravel(), minlength=1 << PRECISION)
        return float(counts[1:] @ (PRECISION - np.log2(np.arange(1, 1 << PRECISION))))

    def _with(self, steps: dict[str, float]) -> FrozenCausal:
        """Return the network with steps for some of the tensors; the exact one if a sum could be too large.

        Sums that need more than 32 bits are too large if those of the exact network do not: networks with such sums
        are much slower.
        """
        network, k = self._network, self._network.n_components
        steps, halvings = _in_common_units(network, steps)
        rounded: dict[str, list[NDArray[np.float64]]] = {}
        for channel, rounders in enumerate(self._rounders):
            for name, tensor in _rounded(network, channel, rounders, steps).items():
                rounded.setdefault(name, []).append(tensor)
        units = np.repeat(2.0**-halvings, k)
        rounded["weights_3"] = [weights * units for weights in rounded["weights_3"]]
        rounded["biases_3"] = [np.rint(biases * units) for biases in rounded["biases_3"]]
        shifts = network.shifts - np.concatenate([[0, 0], halvings])
        typed: dict[str, Any] = {
            name: np.stack(tensors).astype(getattr(network, name).dtype) for name, tensors in rounded.items()
        }
        try:
            coarser = replace(network, **typed, shifts=shifts)
        except ModelFileError:
            return network
        most = network.highest - network.lowest
        return coarser if coarser.is_narrow(most) or not network.is_narrow(most) else network


def _in_common_units(network: FrozenCausal, steps: dict[str, float]) -> tuple[dict[str, float], NDArray[np.int64]]:
    """Return steps of which those of the outputs differ by powers of two, and these powers.

    Outputs get other units, so that their weights, which are one tensor, have one step.
    """
    halvings = np.zeros(len(_OUTPUTS), np.int64)
    if not steps.keys() >= set(_OUTPUTS):
        return steps, halvings
    unit = _whole(min(steps[name] for name in _OUTPUTS))
    for group, name in enumerate(_OUTPUTS):
        halvings[group] = max(0, min(int(network.shifts[2 + group]), round(math.log2(steps[name] / unit))))
    return steps | {name: float(unit << int(h)) for name, h in zip(_OUTPUTS, halvings, strict=True)}, halvings


def _rounded(
    network: FrozenCausal, channel: int, rounders: _Rounders, steps: dict[str, float]
) -> dict[str, NDArray[np.float64]]:
    """Return the tensors of a channel's networks, rounded to steps."""
    names = ("weights_1", "rows", "columns", "weights_2", "biases_2", "weights_3", "biases_3")
    found = {name: getattr(network, name)[channel].astype(np.float64) for name in names}
    if "weights_1" in steps:
        weights, more = rounders.first.rounded(found["weights_1"].T, _whole(steps["weights_1"]), _MOST_WEIGHT)
        found["weights_1"] = weights.T
        found["rows"] = np.rint(found["rows"] + more)
    if "weights_2" in steps:
        weights, more = rounders.second.rounded(found["weights_2"].T, _whole(steps["weights_2"]), _MOST_WEIGHT)
        found["weights_2"], found["biases_2"] = weights.T, np.rint(found["biases_2"] + more)
    k = network.n_components
    for group, name in enumerate(_OUTPUTS):
        if name in steps:
            part = slice(group * k, (group + 1) * k)
            weights, more = rounders.third.rounded(found["weights_3"][:, part].T, _whole(steps[name]), _MOST_WEIGHT)
            found["weights_3"][:, part] = weights.T
            found["biases_3"][part] = np.rint(found["biases_3"][part] + more)
    for name in ("rows", "columns", "biases_2", "biases_3"):
        if name in steps:
            found[name] = rounded_to(found[name], _whole(steps[name]), _MOST_BIAS)
    return found


def _whole(step: float) -> int:
    return max(1, round(step))


def _tensor(network: FrozenCausal, name: str) -> NDArray[np.float64]:
    if name not in _OUTPUTS:
        return np.asarray(getattr(network, name), np.float64)
    group, k = _OUTPUTS.index(name), network.n_components
    return np.asarray(network.weights_3[:, :, group * k : (group + 1) * k], np.float64)


def _n_bytes(network: FrozenCausal) -> int:
    return sum(len(pack_tensor(tensor)[1]) for tensor in network.to_tensors()[1].values())


def _rounders(network: FrozenCausal, values: NDArray[np.int64], channel: int) -> _Rounders:
    """Return the rounders of a channel, from the inputs of its layers at some of the values."""
    height, width, channels = network.grid
    shuffled = rng(0, Stream.CODEC_INPUTS).permutation(height * width * values.shape[1])
    places, records = np.divmod(shuffled[:_MOST_INPUTS], values.shape[1])
    rows, columns = np.divmod(places, width)
    x = np.zeros((len(places), network.weights_1.shape[1]))
    seen = values - network.lowest
    for number, (down, right, other) in enumerate(window(network.reach, channels)[channel]):
        y, z = rows + down, columns + right
        is_there = (y >= 0) & (z >= 0) & (z < width) & ((down, right) != (0, 0) or other < channel)
        at = np.where(is_there, (y * width + z) * channels + other, 0)
        x[:, number] = np.where(is_there, seen[at, records], 0)
    shifts = network.shifts.tolist()
    place = network.rows[channel, rows] + network.columns[channel, columns]
    a = _active(x @ network.weights_1[channel].astype(np.float64) + place, shifts[0])
    b = _active(a @ network.weights_2[channel].astype(np.float64) + network.biases_2[channel], shifts[1])
    return _Rounders(Rounder(x), Rounder(a), Rounder(b))


def _active(sums: NDArray[np.float64], shift: int) -> NDArray[np.float64]:
    return np.asarray(np.clip(np.floor(np.ldexp(sums, -shift)), 0, _MOST_ACTIVE))
