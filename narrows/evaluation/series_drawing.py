"""Pictures of series: what a model restores of the windows of a series, or of windows that are records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows import pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.data.source import Source

__all__ = ["draw_series", "is_drawn_over_time"]


def is_drawn_over_time(source: Source, n: int) -> bool:
    """Return whether the first n records are windows of a whole series, or have several channels, or gaps."""
    return source.windows is not None or len(source.shape) > 1 or not bool(np.isfinite(source.values[:n]).all())


def draw_series(source: Source | None, states: dict[str, NDArray[Any]]) -> Figure:
    """Return a picture of windows (n, steps) or (n, steps, channels) in several states, at their places in the series.

    Windows that are records of their own are drawn one after the other.

    Parameters
    ----------
    source : Source, optional
        The records; those of ``states`` are its first ones. None: they are records of their own.
    """
    n, length = next(iter(states.values())).shape[:2]
    if source is None or source.windows is None:
        starts, names, texts = np.arange(n) * (length + max(1, length // 16)), None, None
    else:
        starts, whole = source.windows.starts[:n], source.windows.series
        names, times = whole.channels, whole.times
        stop = int(starts.max()) + length
        texts = None if times is None else times.take(slice(0, stop)).texts()
    shown = {name: _placed(windows, starts) for name, windows in states.items()}
    apart = starts if len(np.unique(np.diff(starts))) < 2 else ()
    return pictures.series(shown, channels=names, steps=texts, starts=[int(start) for start in apart])


def _placed(windows: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return windows at their places, with NaN between them; where they overlap, the later ones."""
    n, length = windows.shape[:2]
    found = np.full((int(starts.max()) + length, *windows.shape[2:]), np.nan)
    for i in range(n):
        found[starts[i] : starts[i] + length] = windows[i]
    return found
