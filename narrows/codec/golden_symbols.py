"""Golden symbols that are constructed, so that they need not be stored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["spread_symbols"]

_RANGES, _SPREAD = (3, 40, 1_000, 32_767), 40_503


def spread_symbols(n_symbols: int) -> NDArray[np.int32]:
    """Return symbols (4, n_symbols) that are scattered within ±3, ±40, ±1,000 and ±32,767, one range a row."""
    scattered = np.arange(len(_RANGES) * n_symbols, dtype=np.int64).reshape(len(_RANGES), -1) * _SPREAD
    ranges = np.array(_RANGES)[:, None]
    return np.asarray(scattered % (2 * ranges + 1) - ranges, np.int32)
