"""Coding of a chunk value by value: each value is predicted, and the steps from its anchor are coded.

::

    sizes: weights, lanes, words, escapes, exceptions u32 each · raw bits u8 · 3 zero bytes
    weights · states u32 × lanes · words u16 × words · escapes · low bits · exceptions
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.entropy_models.contract import Coded
from narrows.codec.rans import MAX_LANES, MAX_ROWS, Message
from narrows.codec.residual.causal import FrozenCausal, as_image
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.contract import MOST_COARSE, MOST_RAW_BITS, Lattice, Residual, decode, encode
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.exceptions import pack_exceptions, unpack_exceptions
from narrows.codec.residual.linear import Linear
from narrows.codec.residual.linear_fit import fit_linear
from narrows.errors import CorruptArchiveError

__all__ = [
    "MOST_VALUES",
    "SIZES",
    "Steps",
    "by_record",
    "coding_order",
    "decode_predicted",
    "encode_predicted",
    "is_within",
    "lattice_of",
    "steps_of",
]

SIZES = struct.Struct("<5IB3x")
"""The header: lengths of five parts, and the number of raw bits."""

MOST_VALUES = 1 << 22
"""Larger records are not predicted: it would take minutes."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The values of n records as steps from their anchors.

    Attributes
    ----------
    lattice : Lattice
        The integers that the values may take.
    q, units : ndarray of shape (V, n), int64
        The steps, and the integers that they lead to.
    is_exception : ndarray of shape (V, n), bool
        Which values no step brings within the bound.
    values : ndarray of shape (V, n)
        The values, in coding order.
    restored : ndarray of shape (n, *shape)
        The records that are restored.
    """

    lattice: Lattice
    q: NDArray[np.int64]
    units: NDArray[np.int64]
    is_exception: NDArray[np.bool_]
    values: NDArray[Any]
    restored: NDArray[Any]


def encode_predicted(
    records: NDArray[Any], decoded: NDArray[Any] | None, grid: ErrorBound, causal: FrozenCausal | None = None
) -> CodedResidual:
    """Encode records with linear prediction, or with a causal network.

    Parameters
    ----------
    records : ndarray of shape (n, *shape)
        The records, in the bound's dtype.
    decoded : ndarray of the same shape, or None
        The model's output for the code; None to code the records without it.
    grid : ErrorBound
        The bound.
    causal : FrozenCausal, optional
        The causal network; without it a linear predictor is fitted to the records.

    Returns
    -------
    coded : CodedResidual
        The coded records.
    """
    shape = records.shape[1:]
    if causal is not None:
        grid = causal.grid_of(grid)
    steps = steps_of(records, decoded, grid, causal)
    lattice = steps.lattice
    model: Linear | FrozenCausal
    if causal is None:
        model, lattice = fit_linear(shape, lattice, steps.units)
        weights = model.to_bytes()
    else:
        model, weights = causal, b""
    residual = encode(model.start(lattice), steps.q)
    exceptions = pack_exceptions(steps.is_exception, steps.values)
    message = residual.coded.message
    sizes = (len(weights), len(message.states), len(message.words), len(residual.coded.escapes), len(exceptions))
    parts = (
        SIZES.pack(*sizes, lattice.raw_bits),
        weights,
        message.states.astype("<u4").tobytes(),
        message.words.astype("<u2").tobytes(),
        residual.coded.escapes,
        residual.raw,
        exceptions,
    )
    kind = Kind.LINEAR
    if causal is not None:
        kind = Kind.CAUSAL if causal.levels is None else Kind.CAUSAL_LEVELS
    return CodedResidual(kind, decoded is not None, b"".join(parts), steps.restored, len(weights))


def steps_of(
    records: NDArray[Any], decoded: NDArray[Any] | None, grid: ErrorBound, causal: FrozenCausal | None = None
) -> Steps:
    """Return the steps of records from their anchors; the arguments are those of `encode_predicted`."""
    order = coding_order(records.shape[1:], causal)
    values = _by_position(records, order)
    lattice = lattice_of(values.shape, decoded, grid, order)
    q, is_exception = grid.steps(values, lattice.anchors)
    if is_exception.any():  # any value may replace an exception while others are predicted
        q[is_exception] = grid.steps(_filled(values, is_exception), lattice.anchors)[0][is_exception]
    units = lattice.anchors + lattice.step * q
    np.clip(units, lattice.lowest, lattice.highest, out=units)
    restored = grid.values(units)
    is_exception |= ~is_within(restored, values, grid)
    restored[is_exception] = values[is_exception]
    return Steps(lattice, q, units, is_exception, values, by_record(restored, records.shape[1:], order))


def decode_predicted(
    data: bytes,
    decoded: NDArray[Any] | None,
    grid: ErrorBound,
    shape: tuple[int, ...],
    causal: FrozenCausal | None = None,
) -> NDArray[Any]:
    """Decode the records (n, *shape) of `encode_predicted`.

    Raises
    ------
    CorruptArchiveError
        If `encode_predicted` does not produce this data for records of this shape.
    """
    if causal is not None:
        grid = causal.grid_of(grid)
    order = coding_order(shape[1:], causal)
    n_records, n_values = shape[0], math.prod(shape[1:])
    if len(data) < SIZES.size:
        raise CorruptArchiveError(
            f"The residual of a chunk has {len(data)} bytes, fewer than its header of {SIZES.size}."
        )
    n_weights, n_lanes, n_words, n_escapes, n_exceptions, raw_bits = SIZES.unpack_from(data)
    if (
        n_values > MOST_VALUES
        or not 1 <= n_lanes <= MAX_LANES
        or (n_lanes < n_records and n_values * -(-n_records // n_lanes) > MAX_ROWS)
        or n_words > n_records * n_values
        or raw_bits > MOST_RAW_BITS
        or grid.step << raw_bits > MOST_COARSE
    ):
        raise CorruptArchiveError("The residual of a chunk declares sizes that are not allowed for its records.")
    lengths = [n_weights, 4 * n_lanes, 2 * n_words, n_escapes, n_values * -(-n_records * raw_bits // 8), n_exceptions]
    if len(data) != SIZES.size + sum(lengths):
        raise CorruptArchiveError(
            f"The residual of a chunk declares {SIZES.size + sum(lengths):,} bytes. Got {len(data):,}."
        )
    ends = (SIZES.size + np.cumsum([0, *lengths])).tolist()
    weights, states, words, escapes, raw, exceptions = (data[low:high] for low, high in pairwise(ends))
    lattice = lattice_of((n_values, n_records), decoded, grid, order, raw_bits)
    message = Message(np.frombuffer(states, "<u4").astype(np.uint32), np.frombuffer(words, "<u2").astype(np.uint16))
    if causal is not None and weights:
        raise CorruptArchiveError("The residual of a chunk has weights, but a causal network uses none.")
    model = causal or Linear.from_bytes(weights, shape[1:], has_code=lattice.has_code)
    units = decode(model.start(lattice), Residual(Coded(message, escapes), raw))
    restored = grid.values(units)
    unpack_exceptions(exceptions, restored)
    return by_record(restored, shape[1:], order)


def coding_order(shape: tuple[int, ...], causal: FrozenCausal | None) -> NDArray[np.int64]:
    """Return the coding order of a record's values, as flat indices."""
    return np.arange(math.prod(shape)) if causal is None else as_image(shape)[1]


def lattice_of(
    shape: tuple[int, ...],
    decoded: NDArray[Any] | None,
    grid: ErrorBound,
    order: NDArray[np.int64],
    raw_bits: int = 0,
) -> Lattice:
    """Return the lattice of records' values (V, n) in a coding order, given the model's output for their code."""
    anchors = np.zeros(shape, np.int64) if decoded is None else grid.units(_by_position(decoded, order))
    return Lattice(anchors, grid.step, grid.lowest, grid.highest, decoded is not None, raw_bits)


def _by_position(records: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    """Return records (n, *shape) as (V, n), in coding order."""
    return records.reshape(len(records), -1).T[order]


def by_record(values: NDArray[Any], shape: tuple[int, ...], order: NDArray[np.int64]) -> NDArray[Any]:
    """Return values (V, n) in a coding order as records (n, *shape)."""
    records = np.empty(values.shape[::-1], values.dtype)
    records[:, order] = values.T
    return records.reshape(len(records), *shape)


def _filled(values: NDArray[Any], gaps: NDArray[np.bool_]) -> NDArray[Any]:
    """Return values (V, n) with each gap replaced by the last preceding value of the record that is not a gap."""
    last = np.maximum.accumulate(np.where(gaps, 0, np.arange(len(values))[:, None]), 0)
    return np.take_along_axis(values, last, 0)


def is_within(restored: NDArray[Any], values: NDArray[Any], grid: ErrorBound) -> NDArray[np.bool_]:
    """Return which restored values are within the bound."""
    if grid.is_lossless:
        # Bits are compared, to distinguish different NaNs, and -0 from 0.
        same = restored.view(np.uint8) == values.view(np.uint8)
        return np.asarray(same.reshape(*values.shape, -1).all(-1))
    if grid.dtype.kind == "f":
        return grid.is_within(restored, values)
    high, low = np.maximum(restored, values), np.minimum(restored, values)
    unsigned = f"u{grid.dtype.itemsize}"
    return np.asarray(high.astype(unsigned) - low.astype(unsigned) <= np.uint64(grid.step // 2))
