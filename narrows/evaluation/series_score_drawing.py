"""Pictures of series, with the score of each step and the ranges of outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from narrows.pictures.scored_series import scored_series
from narrows.uses.score_tables import outlier_ranges
from narrows.uses.series_scores import SeriesScores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_series_scores"]

_TICKS = 5


def draw_series_scores(scores: SeriesScores) -> Figure:
    """Return a picture of a series, or of several one after the other, above the score of each step.

    Of more than four channels, those that most outliers have as their top channel are drawn.
    """
    series = scores.series
    values = np.asarray(series.values, np.float64).reshape(series.n_steps, -1)
    channels = list(series.channels or [f"channel {c}" if values.shape[1] > 1 else "" for c in range(values.shape[1])])
    order = np.arange(values.shape[1])
    if scores.top_channel is not None:
        counts = np.bincount(scores.top_channel[scores.is_outlier], minlength=len(order))
        order = np.argsort(-counts, kind="stable")
    steps = ((np.arange(_TICKS) + 0.5) / _TICKS * series.n_steps).astype(int)
    times = None if series.times is None else series.times.take(steps).texts()
    return scored_series(
        values[:, order],
        scores.score,
        [(one.first, one.last) for one in outlier_ranges(scores)],
        threshold=scores.threshold,
        channels=[channels[c] for c in order],
        axis="step" if series.times is None else series.times.name,
        ticks=None if times is None else (steps.tolist(), times),
    )
