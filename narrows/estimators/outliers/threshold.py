"""The threshold of scores without a given share of outliers: from the scores themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["automatic_threshold"]

_NORMAL_QUARTILE = 0.6745
_DEVIATIONS = 3.0


def automatic_threshold(scores: NDArray[np.float64]) -> float:
    """Return the score above which records are outliers."""
    median, quartile = np.quantile(scores, [0.5, 0.75])
    return float(median + _DEVIATIONS * (quartile - median) / _NORMAL_QUARTILE)
