"""Exceptions: the values that no step represents within the bound, stored exactly with their positions.

They are one zlib stream: m gaps u32 between ascending indices (position · n + record, minus the index before), then m
values. Without exceptions the stream is empty.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.residual.value_bytes import pack_values, unpack_values
from narrows.errors import CorruptArchiveError

__all__ = ["pack_exceptions", "unpack_exceptions"]


def pack_exceptions(is_exception: NDArray[np.bool_], values: NDArray[Any]) -> bytes:
    """Return the positions and values of the exceptions among values (V, n)."""
    positions = np.flatnonzero(is_exception)
    if not len(positions):
        return b""
    gaps = np.diff(positions, prepend=0).astype("<u4")
    return zlib.compress(gaps.tobytes() + pack_values(values.ravel()[positions]), 9)


def unpack_exceptions(data: bytes, values: NDArray[Any]) -> None:
    """Write exceptions into values (V, n), in place.

    Raises
    ------
    CorruptArchiveError
        If `pack_exceptions` does not produce this data for values (V, n).
    """
    if not data:
        return
    each = 4 + values.itemsize
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data, each * values.size + 1)
    except zlib.error as error:
        raise CorruptArchiveError("The exceptions of a chunk are damaged: zlib cannot decompress them.") from error
    n = len(plain) // each
    gaps = np.frombuffer(plain, "<u4", n).astype(np.int64)
    is_whole = inflate.eof and not inflate.unused_data and n > 0 and len(plain) == n * each
    if not is_whole or (gaps[1:] == 0).any() or int(gaps.sum()) >= values.size:
        raise CorruptArchiveError("The exceptions of a chunk are damaged: their number or their positions are wrong.")
    values.ravel()[np.cumsum(gaps)] = unpack_values(plain[4 * n :], values.dtype)
