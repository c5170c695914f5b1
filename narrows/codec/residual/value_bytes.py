"""Values of records as little-endian bytes, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack_values", "unpack_values"]


def pack_values(values: NDArray[Any]) -> bytes:
    """Return the little-endian bytes of values, in C order."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def unpack_values(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the values (m,) of `pack_values`; a boolean is true if its byte is not 0."""
    return np.frombuffer(data, dtype.newbyteorder("<") if dtype.kind != "b" else np.uint8).astype(dtype)
