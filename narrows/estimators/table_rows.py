"""How estimators take rows of a table with columns of several kinds."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

import narrows.data
from narrows.data import Source
from narrows.data.fill import check_some_known
from narrows.data.frames import has_typed_columns, is_frame
from narrows.data.scale import typical_magnitude
from narrows.data.tables.restored import frame_of, values_in_place
from narrows.data.tables.sources import rows_for, table_of_array
from narrows.errors import DataError
from narrows.records import Field

if TYPE_CHECKING:
    from narrows.estimators.base import RecordsEstimator

__all__ = ["Fields", "rows_in", "rows_like", "take_rows"]

Fields = tuple[tuple[Field, ...], tuple[Field, ...], tuple[str, ...]]
"""The columns of the training table that are values of records, those of texts, and the names of those left out."""

_LABELS = " If one has the labels, name it: --label-column NAME."


def rows_in(estimator: RecordsEstimator, data: Any, *, reset: bool) -> Source | None:
    """Return data as rows of a table for an estimator; None if it takes other records.

    Parameters
    ----------
    data : array_like, data frame, path, name or Source
    reset : bool
        Whether the estimator learns what its records are.

    Raises
    ------
    DataError
        If they cannot be opened, or have other columns than the training data.
    """
    if not reset:
        fields = estimator._fields
        if fields is None:
            return None
        source = narrows.data.open(data, record="columns" if is_frame(data) else None)
        return rows_for(source, *fields, advice=_LABELS if estimator.kind == "classifier" else "")
    estimator._fields = None
    asked = getattr(estimator, "record", None)
    if asked == "columns":
        source = narrows.data.open(data, record="columns")
    elif asked not in {None, "auto"} or not _may_have_columns(data):
        return None
    else:
        source = narrows.data.open(data)
    return source if source.record == "columns" else None


def rows_like(
    estimator: RecordsEstimator, data: Any, values: Any, *, of: Source | None = None, is_exact: bool = False
) -> Any:
    """Return restored records (n, n_columns) as the kind of table that they were made from.

    An array is returned for an array, otherwise a data frame, with the texts of ``of`` as they are. Numbers are on the
    grid and in the range of the training data's, and categories are among its own, unless the values are exact.
    """
    fields, texts, _ = estimator._fields or ((), (), ())
    placed = values if is_exact else values_in_place(fields, values)
    if not (is_frame(data) or isinstance(data, str | os.PathLike) or (isinstance(data, Source) and data.table)):
        return placed
    table = None if of is None else of.table
    kept = {} if table is None else {one.name: table.column(one.name).words for one in texts if one.name in table.names}
    return frame_of(fields, placed, {name: words for name, words in kept.items() if words is not None}, data)


def _may_have_columns(data: Any) -> bool:
    """Return whether data may be a table with columns of several kinds."""
    if isinstance(data, str | os.PathLike):
        name = os.fspath(data).lower()
        return os.path.isfile(data) and not name.endswith((".npy", ".npz", ".txt", ".wav"))
    return (isinstance(data, Source) and data.record == "columns") or (is_frame(data) and has_typed_columns(data))


def take_rows(estimator: RecordsEstimator, source: Source, *, reset: bool, advice: str | None) -> Source:
    """Return rows of a table after a check; with ``reset`` the estimator learns what they are.

    Raises
    ------
    DataError
        If a value is infinite, or all are missing.
    """
    if not len(source):
        raise DataError(f"{source.name} has no rows.")
    found = narrows.data.finite_range(source, advice=advice, fill_value=math.nan)
    if not reset:
        return source
    check_some_known(source, math.nan)
    table = table_of_array(source.values, source.columns) if source.table is None else source.table
    estimator._fields = (table.fields, table.texts, table.skipped)
    estimator.shape_, estimator.dtype_ = source.shape, source.dtype
    estimator.n_features_in_ = math.prod(source.shape)
    estimator.feature_names_in_ = np.array([one.name for one in table.fields], dtype=object)
    estimator.fill_value_ = math.nan
    estimator.range_, estimator.magnitude_ = found, typical_magnitude(source, fill_value=math.nan)
    estimator._columns = None
    return source
