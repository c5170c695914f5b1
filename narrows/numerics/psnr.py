"""The peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["peak_of", "psnr_db"]


def psnr_db(mse: float, peak: float) -> float:
    """Return the peak signal-to-noise ratio in dB of a mean squared error: infinite without an error or a peak.

    Examples
    --------
    >>> round(psnr_db(1.0, 255.0), 2)
    48.13
    """
    return 20 * math.log10(peak) - 10 * math.log10(mse) if mse > 0 and peak > 0 else math.inf


def peak_of(dtype: np.dtype, low: float, high: float) -> float:
    """Return what counts as full signal in values from low to high: 255 for bytes, otherwise their range.

    Examples
    --------
    >>> peak_of(np.dtype("uint8"), 0, 99), peak_of(np.dtype("float32"), -1, 1)
    (255.0, 2.0)
    """
    if dtype == np.uint8:
        return 255.0
    return float(np.clip(high - low, 0.0, np.finfo(np.float64).max))  # the range of the largest floats is no float
