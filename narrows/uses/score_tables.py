"""Scores of the steps of series as a table, and the ranges of steps that are outliers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from narrows.uses.score_files import write_rows
from narrows.uses.series_scores import SeriesScores

__all__ = ["OutlierRange", "columns_of_scores", "outlier_ranges", "write_scores"]

_ROWS = 1 << 15


@dataclass(frozen=True)
class OutlierRange:
    """Steps one after the other that are outliers.

    Attributes
    ----------
    first, last : int
        The first and the last step, of all series.
    highest : int
        The step of the highest score.
    score : float
        The highest score.
    """

    first: int
    last: int
    highest: int
    score: float


def outlier_ranges(scores: SeriesScores) -> list[OutlierRange]:
    """Return the ranges of outliers, those with the highest scores first."""
    is_outlier = scores.is_outlier.astype(np.int8)
    begins = np.diff(is_outlier, prepend=0) == 1
    begins[list(scores.series.starts)] = scores.is_outlier[list(scores.series.starts)]
    starts = np.flatnonzero(begins & scores.is_outlier)
    found = []
    for i, first in enumerate(starts.tolist()):
        stop = int(starts[i + 1]) if i + 1 < len(starts) else len(is_outlier)
        length = int(scores.is_outlier[first:stop].argmin()) or stop - first
        highest = first + int(scores.score[first : first + length].argmax())
        found.append(OutlierRange(first, first + length - 1, highest, float(scores.score[highest])))
    return sorted(found, key=lambda one: -one.score)


def columns_of_scores(scores: SeriesScores) -> tuple[str, ...]:
    """Return the names of the columns of the table.

    They are the series if there are several, `index` or the time column, `score`, `is_outlier`, and `top_channel` if
    the series has several channels.
    """
    series = scores.series
    first = (series.origin.get("group", "series"),) if series.names is not None else ()
    time = "index" if series.times is None else series.times.name
    last = () if scores.top_channel is None else ("top_channel",)
    return (*first, time, "score", "is_outlier", *last)


def write_scores(path: str, scores: SeriesScores, *, force: bool = False) -> None:
    """Write a table with one row for each step, in the order of the steps.

    The score of a missing value is empty, or null. `is_outlier` is 1 or 0, or a boolean.

    Parameters
    ----------
    path : str
        As for `narrows.uses.score_files.write_rows`.
    scores : SeriesScores
    force : bool
        Replace an existing file.
    """
    write_rows(path, columns_of_scores(scores), _rows(scores), force=force)


def _rows(scores: SeriesScores) -> Iterator[list[list[Any]]]:
    """Yield the columns of some rows of the table."""
    series, groups = scores.series, scores.series.groups()
    index = np.concatenate([np.arange(length) for length in series.lengths])
    names = series.channels or tuple(map(str, range(series.n_channels)))
    for start in range(0, len(index), _ROWS):
        rows = slice(start, start + _ROWS)
        columns: list[list[Any]] = [] if groups is None else [list(groups[rows])]
        columns.append(index[rows].tolist() if series.times is None else list(series.times.take(rows).texts()))
        columns.append([None if np.isnan(one) else one for one in scores.score[rows].tolist()])
        columns.append(scores.is_outlier[rows].tolist())
        if scores.top_channel is not None:
            columns.append([names[i] for i in scores.top_channel[rows].tolist()])
        yield columns
