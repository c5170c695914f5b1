"""The length of windows: the dominant period of a series, by its autocorrelation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from narrows.data.series.whole import WholeSeries

__all__ = ["period_of", "usual_window"]

_MOST_STEPS = 1 << 17  # of a series that are looked at
_MOST_WINDOW = 1024
_SHORT = 32  # windows have at least so many steps
_FALLBACK = 128
_CLEAR = 0.2  # the autocorrelation at a period
_WINDOWS = 4  # that a series must have at least


def usual_window(series: WholeSeries) -> int:
    """Return the length of windows: whole periods, at least 32 steps; 128 steps if there is no period.

    A series has at least four of them.

    Examples
    --------
    >>> steps = np.arange(3000)
    >>> usual_window(WholeSeries(np.sin(2 * np.pi * steps / 48), (3000,)))
    48
    >>> usual_window(WholeSeries(np.sin(2 * np.pi * steps / 10), (3000,)))
    40
    """
    at = int(np.argmax(series.lengths))
    start, length = series.starts[at], series.lengths[at]
    values = np.asarray(series.values[start : start + min(length, _MOST_STEPS)], np.float64)
    most = max(1, min(min(series.lengths) // _WINDOWS, _MOST_WINDOW))
    period = period_of(values.reshape(len(values), -1))
    if period is None or period > most:
        return min(_FALLBACK, most)
    return min(period * -(-_SHORT // period), most // period * period)


def period_of(values: npt.NDArray[np.float64]) -> int | None:
    """Return the dominant period of a series (steps, channels) in steps; None if there is none.

    It is the lag of the highest peak of the mean autocorrelation of the channels, beyond its first minimum. Of peaks
    that are nearly as high, which are multiples of a period, it is the first.
    """
    n = len(values)
    if n < 8:
        return None
    correlation = np.zeros(n // 2)
    for column in values.T:
        known = np.isfinite(column)
        if known.sum() < 8:
            continue
        at = np.arange(n)[known]
        line = np.polyfit(at / n, column[known], 1)
        rest = np.zeros(n)
        rest[known] = column[known] - np.polyval(line, at / n)
        spread = np.abs(rest).max()
        if not spread > 1e-9 * np.abs(column[known]).max():
            continue
        spectrum = np.abs(np.fft.rfft(rest / spread, 2 * n)) ** 2
        found = np.fft.irfft(spectrum)[: n // 2]
        correlation += found / found[0] * n / (n - np.arange(n // 2))
    correlation /= max(values.shape[1], 1)
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]))
    falls = np.flatnonzero(np.diff(correlation) > 0)
    peaks = peaks[(peaks >= (falls[0] if len(falls) else n)) & (peaks <= n // 3)]
    if not len(peaks) or correlation[peaks].max() < _CLEAR:
        return None
    near = correlation[peaks] >= 0.9 * correlation[peaks].max()
    return int(peaks[near][0])
