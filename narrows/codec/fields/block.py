"""Coding of a block of a field within an error bound, by the way that takes the fewest bytes.

::

    INTERPOLATED         see `narrows.codec.fields.interpolated`
    INTERPOLATED_EXACT   the same, bit for bit: a tight bound can take more bytes than none
    BISECTED             see `narrows.codec.fields.bisected`; only lossless, and only series
    BISECTED_CHANNELS    see `narrows.codec.fields.channels`; only lossless, and only where the archive says so
    LINEAR, EXACT        prediction from preceding neighbours, see `narrows.codec.residual.predicted`; small blocks only
    ZSTD, PLAIN          the values' bytes, compressed and as they are
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.bisected import decode_bisected, encode_bisected
from narrows.codec.fields.channels import decode_channels, encode_channels
from narrows.codec.fields.interpolated import decode_interpolated, encode_interpolated
from narrows.codec.residual.chunk import decode_chunk, encode_exactly
from narrows.codec.residual.coded import CodedResidual, Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.predicted import encode_predicted

__all__ = ["decode_block", "encode_block"]

_MUCH = 0.4  # the bound is compared with exact coding if it takes more than this share of the values' bytes
_FEW = 1 << 14  # values up to which prediction from preceding neighbours is tried; for more it takes too long


def encode_block(records: NDArray[Any], grid: ErrorBound, *, over_channels: bool = False) -> CodedResidual:
    """Encode records within an error bound, in nearly the fewest bytes.

    Parameters
    ----------
    records : ndarray of shape (n, *shape)
        The records, in the bound's dtype.
    grid : ErrorBound
        The bound.
    over_channels : bool
        Whether channels of series may be bisected, each predicted from those before it.

    Returns
    -------
    coded : CodedResidual
        The smallest coded form that was found.
    """
    records = np.ascontiguousarray(records)
    found = [_interpolated(records, grid, Kind.INTERPOLATED)]
    exact = ErrorBound(grid.dtype, 0)
    if not grid.is_lossless and _size(found) > _MUCH * records.nbytes:
        found.append(_interpolated(records, exact, Kind.INTERPOLATED_EXACT))
    if grid.is_lossless and _are_series(records.shape):
        found.append(encode_bisected(records, grid))
    if grid.is_lossless and over_channels:
        found.append(encode_channels(records, grid))
    if records.size <= _FEW:
        found.append(encode_predicted(records, None, grid))
        if not grid.is_lossless:
            found.append(replace(encode_predicted(records, None, exact), kind=Kind.EXACT))
    found += encode_exactly(records, _size(found))
    return min((coded for coded in found if coded is not None), key=lambda coded: len(coded.data))


def decode_block(kind: Kind, data: bytes, grid: ErrorBound, shape: tuple[int, ...]) -> NDArray[Any]:
    """Decode the records (n, *shape) of `encode_block`.

    Raises
    ------
    CorruptArchiveError
        If `encode_block` does not produce this data for records of this shape.
    """
    if kind == Kind.INTERPOLATED:
        return decode_interpolated(data, grid, shape)
    if kind == Kind.INTERPOLATED_EXACT:
        return decode_interpolated(data, ErrorBound(grid.dtype, 0), shape)
    if kind == Kind.BISECTED:
        return decode_bisected(data, ErrorBound(grid.dtype, 0), shape)
    if kind == Kind.BISECTED_CHANNELS:
        return decode_channels(data, ErrorBound(grid.dtype, 0), shape)
    return decode_chunk(kind, data, None, grid, shape)


def _are_series(shape: tuple[int, ...]) -> bool:
    """Return whether records have a single axis: bisection sees no other."""
    return sum(length > 1 for length in shape[1:]) <= 1


def _interpolated(records: NDArray[Any], grid: ErrorBound, kind: Kind) -> CodedResidual | None:
    coded = encode_interpolated(records, grid)
    return None if coded is None else replace(coded, kind=kind)


def _size(found: list[CodedResidual | None]) -> float:
    return min((len(coded.data) for coded in found if coded is not None), default=math.inf)
