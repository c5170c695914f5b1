"""Outliers among records as a table: the score of each, and the values that it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from narrows.errors import DataError, InvalidParameterError
from narrows.io.progress import Progress
from narrows.uses.score_files import write_rows

if TYPE_CHECKING:  # PyTorch is imported only with a model
    from narrows.data import Source
    from narrows.estimators.outliers.detector import AutoencoderOutlier

__all__ = ["RecordOutliers", "find_outliers", "names_of_values", "open_records", "write_record_scores"]

Floats = npt.NDArray[np.float64]

_ROWS = 4096
_MOST_TOP = 3  # values that are named
_LEAST_PART = 0.5  # of the largest part, of a value that is named
_MOST_COLUMNS = 4096  # of a table with the part of each value


@dataclass(frozen=True, eq=False)
class RecordOutliers:
    """The scores of records.

    Attributes
    ----------
    score : ndarray of shape (n,)
        High is odd.
    is_outlier : ndarray of bool, shape (n,)
        Whether the score is above the threshold.
    threshold : float
    parts : ndarray of shape (n, n_values)
        What each value contributes to the score of its record.
    names : tuple of str
        Names of the values.
    """

    score: Floats
    is_outlier: npt.NDArray[np.bool_]
    threshold: float
    parts: Floats
    names: tuple[str, ...]

    def worst(self, n: int) -> npt.NDArray[np.int64]:
        """Return the indices of the n records with the highest scores, the highest first."""
        return np.argsort(-self.score, kind="stable")[:n]

    def top(self, index: int) -> list[int]:
        """Return the values with the largest parts of the score of a record: up to three, each half of the largest."""
        parts = self.parts[index]
        largest = np.argsort(-parts, kind="stable")[:_MOST_TOP].tolist()
        return [i for i in largest if parts[i] >= _LEAST_PART * parts[largest[0]]]


def open_records(data: str, progress: Progress | None = None, *, columns: str | None = None) -> Source:
    """Return the records of a path or a name, or a series with its windows.

    A .csv file of several columns that are no typed columns, for example since their numbers have more digits than
    floats, is read as numbers.

    Parameters
    ----------
    columns : str, optional
        What columns of a table have, as for `narrows.data.open`.
    """
    import narrows.data

    try:
        return narrows.data.open(data, progress=progress, columns=columns)
    except DataError as error:
        if columns is not None or not data.lower().endswith((".csv", ".tsv")):
            raise
        try:
            source = narrows.data.open(data, window="auto", progress=progress)
        except DataError:
            raise error from None
    series = None if source.windows is None else source.windows.series
    if series is None or series.channels is None or series.n_channels == 1:
        return source
    values = np.asarray(series.values, np.float64).reshape(series.n_steps, -1)
    return narrows.data.Source(values, name=source.name, kind="array", columns=series.channels)


def find_outliers(detector: AutoencoderOutlier, source: Source) -> RecordOutliers:
    """Return the scores of records, with the part of each value."""
    parts = np.asarray(detector.explain(source), np.float64)
    score = parts.sum(axis=1)
    threshold = detector.threshold_
    names = names_of_values(detector.record_, detector.shape_, source.columns)
    return RecordOutliers(score, score > threshold, threshold, parts, names)


def names_of_values(kind: str, shape: tuple[int, ...], columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the values of a record: those of columns, or their positions, as ``3:5``."""
    if columns is not None:
        return tuple(columns)
    if len(shape) == 1:
        prefix = {"series": "step ", "text": "byte "}.get(kind, "x")
        return tuple(f"{prefix}{i}" for i in range(shape[0]))
    return tuple(":".join(map(str, at)) for at in np.ndindex(*shape))


def write_record_scores(path: str, found: RecordOutliers, *, explain: bool = False, force: bool = False) -> None:
    """Write a table with one row for each record: index, score, is_outlier and top_columns.

    Parameters
    ----------
    path : str
        As for `narrows.uses.score_files.write_rows`.
    found : RecordOutliers
    explain : bool
        Add a column ``part of NAME`` for each value: what it contributes to the score.
    force : bool
        Replace an existing file.

    Raises
    ------
    InvalidParameterError
        If ``explain`` is set for records of more than 4,096 values.
    """
    names = ["index", "score", "is_outlier", "top_columns"]
    if explain:
        if len(found.names) > _MOST_COLUMNS:
            raise InvalidParameterError(
                f"A table with a column for each value (--explain) has at most {_MOST_COLUMNS:,} of them. Records have "
                f"{len(found.names):,} values. Omit it, or take AutoencoderOutlier.explain in Python."
            )
        names += [f"part of {name}" for name in found.names]
    write_rows(path, names, _rows(found, explain=explain), force=force)


def _rows(found: RecordOutliers, *, explain: bool) -> Iterator[list[list[Any]]]:
    for start in range(0, len(found.score), _ROWS):
        rows = range(start, min(start + _ROWS, len(found.score)))
        chosen = slice(rows.start, rows.stop)
        top = ["; ".join(found.names[i] for i in found.top(row)) for row in rows]
        columns = [list(rows), found.score[chosen].tolist(), found.is_outlier[chosen].tolist(), top]
        yield [*columns, *found.parts[chosen].T.tolist()] if explain else columns
