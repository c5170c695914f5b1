"""Coding of the channels of series by bisection, losslessly: each is predicted from those before it, too.

::

    for each channel: number of sources · sources · their weights · number of bytes · the channel, bisected

All numbers are written by `leb128`. A channel is coded as by `narrows.codec.fields.bisected`, but what is predicted of
its unit at step t from preceding ones is its difference from a base, which its sources, preceding channels, give ::

    base[t] = ⌊(Σ_k w_k (y_k[t] − y_k[0]) + 2^19) / 2^20⌋

with the weights w in units of 2^-20. The units of a source are less than 2^31 from its first one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.fields.bisected import bisected_units, packed_units
from narrows.codec.fields.bisection_fit import weights_of_channels
from narrows.codec.fields.leb128 import NumberReader, pack_number, pack_signed
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.errors import CorruptArchiveError

__all__ = ["MOST_CHANNELS", "decode_channels", "encode_channels"]

MOST_CHANNELS = 64
_MOST_SOURCES = 8
_WEIGHT_BITS, _MOST_WEIGHT = 20, 1 << 28
_MOST_DISTANCE = 1 << 31
_TRIED = 1 << 14  # steps from which weights are learnt, and on which they are compared
_MOST_WITHOUT_KERNELS = 1 << 12  # values; more would take minutes


def encode_channels(records: NDArray[Any], grid: ErrorBound) -> CodedResidual | None:
    """Encode series losslessly, channel by channel.

    Parameters
    ----------
    records : ndarray of shape (1, steps, channels)
        The steps, in the bound's dtype.
    grid : ErrorBound
        A lossless bound.

    Returns
    -------
    coded : CodedResidual or None
        The coded records; None if they have another shape, or as for `bisected.encode_bisected`.
    """
    if records.ndim != 3 or len(records) != 1 or not 1 < records.shape[2] <= MOST_CHANNELS:
        return None
    if kernels.compiled is None and records.size > _MOST_WITHOUT_KERNELS:
        return None
    units, parts, sources = grid.units(records)[0].T.copy(), list[bytes](), _Sources()
    for channel in units:
        coded = _encoded(channel, sources, records.nbytes)
        if coded is None:
            return None
        parts.append(coded)
        sources.add(channel)
    return CodedResidual(Kind.BISECTED_CHANNELS, False, b"".join(parts), records)


def _encoded(channel: NDArray[np.int64], sources: _Sources, most: int) -> bytes | None:
    """Return a channel (steps,), predicted from the sources that are best on a part of it, or from none."""
    part = np.ascontiguousarray(channel[:_TRIED])
    sizes = list[tuple[int, dict[int, int]]]()
    for weights in sources.weights_for(part):
        base = sources.base(weights, len(part))
        tried = packed_units(part, most, base)
        if tried is not None:
            sizes.append((len(tried) + len(_packed(weights)), weights))
    best = [min(sizes, key=lambda one: one[0])[1]] if sizes else []
    found = list[bytes]()
    for weights in [{}, *best]:
        coded = packed_units(channel, most, sources.base(weights, len(channel)))
        if coded is not None:
            found.append(_packed(weights) + pack_number(len(coded)) + coded)
    return min(found, key=len, default=None)


def _packed(weights: dict[int, int]) -> bytes:
    """Return the sources of a channel and their weights."""
    return b"".join([pack_number(len(weights)), *map(pack_number, weights), *map(pack_signed, weights.values())])


def decode_channels(data: bytes, grid: ErrorBound, shape: tuple[int, ...]) -> NDArray[Any]:
    """Decode the records (1, steps, channels) of `encode_channels`.

    Raises
    ------
    CorruptArchiveError
        If `encode_channels` does not produce this data for records of this shape.
    """
    if len(shape) != 3 or shape[0] != 1 or shape[2] > MOST_CHANNELS:
        raise CorruptArchiveError("A chunk of channels has records that are no channels.")
    reader, sources = NumberReader(data), _Sources()
    units = np.zeros((shape[2], math.prod(shape[:2])), np.int64)
    for number in range(shape[2]):
        n_sources = reader.number(0, min(number, _MOST_SOURCES))
        names = [reader.number(0, number - 1) for _ in range(n_sources)]
        if len(set(names)) < n_sources or not sources.have(names):
            raise CorruptArchiveError("A chunk of channels has a source that occurs twice or has too large values.")
        weights = {name: reader.signed(-_MOST_WEIGHT, _MOST_WEIGHT) for name in names}
        part = reader.take(reader.number(0, len(data)))
        units[number] = bisected_units(part, grid, units.shape[1], sources.base(weights, units.shape[1]))
        sources.add(units[number])
    if reader.rest:
        raise CorruptArchiveError("A chunk of channels has bytes after its last channel.")
    return np.ascontiguousarray(grid.values(units).T).reshape(shape)


class _Sources:
    """Preceding channels, minus their first value."""

    def __init__(self) -> None:
        self._all: list[NDArray[np.int64] | None] = []

    def add(self, channel: NDArray[np.int64]) -> None:
        """Add a channel (steps,)."""
        first = int(channel[0])  # Python's integers: differences of any two int64 are exact
        is_near = max(int(channel.max()) - first, first - int(channel.min())) < _MOST_DISTANCE
        self._all.append(channel - channel[0] if is_near else None)

    def have(self, names: list[int]) -> bool:
        """Return whether these channels can be sources."""
        return all(self._all[name] is not None for name in names)

    def base(self, weights: dict[int, int], n: int) -> NDArray[np.int64]:
        """Return what sources with these weights predict (n,); nothing without them."""
        if not weights:
            return np.zeros(0, np.int64)
        total: Any = 1 << _WEIGHT_BITS - 1
        for name, weight in weights.items():
            total = total + weight * self._of(name)[:n]
        found: NDArray[np.int64] = total >> _WEIGHT_BITS
        return found

    def weights_for(self, part: NDArray[np.int64]) -> Iterator[dict[int, int]]:
        """Yield weights of the channels that resemble a channel (n,) most: by their changes, and by their values."""
        for by_changes in (True, False):
            names = self._similar(part, by_changes=by_changes)
            for some in [names, names[:1]][: len(names)]:  # all of them, and the best
                others = np.stack([self._of(name)[: len(part)] for name in some]).astype(np.float64)
                found = np.rint(weights_of_channels(part, others, by_changes=by_changes) * (1 << _WEIGHT_BITS))
                limited = np.clip(found, -_MOST_WEIGHT, _MOST_WEIGHT).astype(np.int64).tolist()
                yield {name: weight for name, weight in zip(some, limited, strict=True) if weight}

    def _similar(self, part: NDArray[np.int64], *, by_changes: bool) -> list[int]:
        """Return the channels with which a channel correlates most, the first of them first."""
        found = []
        for name, other in enumerate(self._all):
            if other is not None:
                pair = np.stack([part - part[0], other[: len(part)]]).astype(np.float64)
                pair = np.diff(pair, axis=1) if by_changes else pair - pair.mean(axis=1, keepdims=True)
                found.append((-abs(_correlation(*pair)), name))
        return [name for correlation, name in sorted(found)[:_MOST_SOURCES] if correlation < 0]

    def _of(self, name: int) -> NDArray[np.int64]:
        found = self._all[name]
        assert found is not None, "only channels with near values are sources"
        return found


def _correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / scale if scale > 0 else 0.0
