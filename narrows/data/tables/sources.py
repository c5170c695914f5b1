"""Sources whose records are rows of a table with columns of several kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.source import Source
from narrows.data.tables.fields import fields_of, table_for, values_of, warn_of_unknown
from narrows.data.tables.typed import Typed, TypedTable
from narrows.errors import DataError
from narrows.records.fields import Field

__all__ = ["rows_for", "source_of_table", "table_of_array"]


def source_of_table(table: TypedTable, name: str, kind: str, *, as_rows: bool = False) -> Source:
    """Return the rows of a table as records.

    Parameters
    ----------
    table : TypedTable
    name, kind : str
        As `Source` has them.
    as_rows : bool
        Whether the records are rows of typed columns even if all are numbers.

    Returns
    -------
    Source
        With ``record="columns"``, and a NaN for each missing cell; vectors if all columns are numbers, none is a date
        and no cell is missing.

    Raises
    ------
    DataError
        If all columns are texts.

    Warns
    -----
    DataWarning
        If cells count as missing although they are not.
    """
    fields, texts = fields_of(table)
    table = replace(table, fields=tuple(fields), texts=tuple(texts))
    if not fields:
        raise DataError(
            f"{name} has only columns of texts, from which no model of a table learns. Name the column to learn from "
            "as text: --column NAME (column='NAME')."
        )
    names = tuple(one.name for one in fields)
    values, unknown = values_of(table, fields)
    warn_of_unknown(unknown, name)
    table = replace(table, unknown=unknown)
    if table.is_plain and not as_rows:
        whole = all(one.kind == "integer" for one in fields)
        return Source(values.astype(np.int64) if whole else values, name=name, kind=kind, columns=names, table=table)
    return Source(values, name=name, kind=kind, columns=names, record="columns", table=table)


def table_of_array(values: npt.NDArray[Any], names: Sequence[str] | None = None) -> TypedTable:
    """Return records (n, n_columns) of numbers as a table; without names, the columns are x0, x1 and so on."""
    if values.ndim != 2:
        raise DataError(f"Rows of a table are an array (n, n_columns). Got the shape {values.shape}.")
    named = [f"x{i}" for i in range(values.shape[1])] if names is None else names
    columns = []
    for name, column in zip(named, np.asarray(values, np.float64).T, strict=True):
        known = column[~np.isnan(column)]
        kind = "integer" if len(known) and (known == np.round(known)).all() else "float"
        columns.append(Typed(str(name), kind, column))
    table = TypedTable(tuple(columns))
    fields, _ = fields_of(table)
    return replace(table, fields=tuple(fields))


def rows_for(
    source: Source, fields: Sequence[Field], texts: Sequence[Field], skipped: Sequence[str] = (), *, advice: str = ""
) -> Source:
    """Return data as rows of the columns that a model learned.

    Parameters
    ----------
    source : Source
    fields, texts, skipped, advice
        As for `narrows.data.tables.fields.table_for`.

    Raises
    ------
    DataError
        If columns are missing, or there are more.

    Warns
    -----
    DataWarning
        If cells are of new categories, or texts in a column of numbers. They count as missing.
    """
    table = source.table
    if table is None:
        names = source.columns
        if names is None and source.shape == (len(fields),):
            names = tuple(one.name for one in fields)
            if not any(one.n_categories for one in fields):
                return replace(source, record="columns", values=np.asarray(source.values, np.float64))
        table = table_of_array(source.values, names)
    if table.fields == tuple(fields) and source.record == "columns":
        return source
    table = table_for(table, fields, texts, skipped, source.name, advice=advice)
    values, unknown = values_of(table, fields)
    if unknown != table.unknown:  # otherwise its opening has said it
        warn_of_unknown(unknown, source.name)
    kept = replace(table, fields=tuple(fields), texts=tuple(texts), skipped=tuple(skipped))
    names = tuple(one.name for one in fields)
    return replace(source, values=values, columns=names, record="columns", table=kept)
