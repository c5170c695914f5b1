"""Coding of records by interpolation, as bytes.

::

    exceptions: bytes u32 · weights: bytes u16 · order u8 · fineness u8 · margin u8
    sizes of stencils, 2 bits for each pass · weights (zigzag, LEB128) · exceptions · coded bits
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.interpolation import Interpolation, Targets, Weights
from narrows.codec.fields.passes import Pass, four_axes, orders_of, passes_of
from narrows.codec.fields.plan import FINENESS, encode_passes, promising_plans, step_of
from narrows.codec.fields.weights import pack_weights, unpack_weights
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.exceptions import pack_exceptions, unpack_exceptions
from narrows.codec.residual.predicted import is_within
from narrows.errors import CorruptArchiveError

__all__ = ["decode_interpolated", "encode_interpolated"]

_HEAD = struct.Struct("<IHBBB")
_MARGINS, _MOST_MARGIN = 1024, 64
_MANY = 0.003  # share of exceptions in the bytes from which a margin is tried


def encode_interpolated(records: NDArray[Any], grid: ErrorBound) -> CodedResidual | None:
    """Encode records within a bound by interpolation.

    Parameters
    ----------
    records : ndarray of shape (n, *shape)
        The records, in the bound's dtype.
    grid : ErrorBound
        The bound.

    Returns
    -------
    coded : CodedResidual or None
        The coded records; None if they would take more bytes than without compression.
    """
    found = _encode(records, grid, 0)
    if found is None or grid.is_lossless or records.dtype.kind != "f":
        return found
    # Values far larger than the bound are rounded by their dtype, so that some are just beyond it: a smaller step for
    # all takes fewer bytes than many exceptions.
    largest = np.abs(records[np.isfinite(records)]).max(initial=0)
    margin = math.ceil(_MARGINS * float(np.spacing(largest)) / 2 / grid.max_error)
    if _HEAD.unpack_from(found.data)[0] > _MANY * len(found.data) and 0 < margin <= _MOST_MARGIN:
        again = _encode(records, grid, margin)
        if again is not None and len(again.data) < len(found.data):
            return again
    return found


def _encode(records: NDArray[Any], within: ErrorBound, margin: int) -> CodedResidual | None:
    """Encode records within a bound, in steps of a bound that is smaller by a margin."""
    shape, grid = four_axes(records.shape[1:]), _with_margin(within, margin)
    values = records.reshape(len(records), -1)
    units, skipped = grid.targets(values)
    targets = Targets(units, skipped)
    found = [
        (encode_passes(shape, targets, grid, plan, most=records.nbytes), plan)
        for plan in promising_plans(shape, targets, grid)
    ]
    made, plan = min(found, key=lambda one: one[0].n_bytes())
    if made.bits is None:
        return None
    restored = grid.values(made.values)
    is_exception = skipped | ~is_within(restored, values, within)
    restored[is_exception] = values[is_exception]
    exceptions = pack_exceptions(is_exception, values)
    weights = pack_weights(made.weights)
    head = _HEAD.pack(len(exceptions), len(weights), plan.order, plan.fineness, margin)
    data = b"".join((head, weights, exceptions, made.bits))
    return CodedResidual(Kind.INTERPOLATED, False, data, restored.reshape(records.shape))


def decode_interpolated(data: bytes, grid: ErrorBound, shape: tuple[int, ...]) -> NDArray[Any]:
    """Decode the records (n, *shape) of `encode_interpolated`.

    Raises
    ------
    CorruptArchiveError
        If `encode_interpolated` does not produce this data for records of this shape.
    """
    if len(data) < _HEAD.size:
        raise CorruptArchiveError(
            f"An interpolated chunk has {len(data)} bytes, fewer than its header of {_HEAD.size}."
        )
    n_exceptions, n_weights, order, fineness, margin = _HEAD.unpack_from(data)
    sides = four_axes(shape[1:])
    orders = orders_of(sides)
    at = _HEAD.size + n_weights
    if order >= len(orders) or fineness >= len(FINENESS) or at + n_exceptions > len(data):
        raise CorruptArchiveError("An interpolated chunk declares an order, steps or lengths that do not exist.")
    passes, grid = passes_of(sides, orders[order]), _with_margin(grid, margin)
    weights = unpack_weights(data[_HEAD.size : at], passes)
    run = Interpolation(sides, shape[0], grid.lowest, grid.highest, data=data[at + n_exceptions :])
    _run_all(run, passes, weights, grid, fineness)
    restored = grid.values(run.values)
    unpack_exceptions(data[at : at + n_exceptions], restored)
    return restored.reshape(shape)


def _with_margin(grid: ErrorBound, margin: int) -> ErrorBound:
    """Return the bound that steps have: smaller by a margin in 1/1024."""
    if not margin:
        return grid
    return ErrorBound(grid.dtype, grid.max_error * ((_MARGINS - margin) / _MARGINS), grid.fill_value)


def _run_all(run: Interpolation, passes: list[Pass], weights: list[Weights], grid: ErrorBound, fineness: int) -> None:
    run.begin(step_of(grid, fineness, math.inf))
    for part, weight in zip(passes, weights, strict=True):
        run.run(part, weight, step_of(grid, fineness, part.level))
