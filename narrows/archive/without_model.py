"""Compression without a trained model: a table, texts, or one array within a bound."""

from __future__ import annotations

import os
from typing import Any

from narrows.archive.field_writer import compress_field
from narrows.archive.summary import Summary
from narrows.archive.table_summary import TableSummary
from narrows.archive.table_training import open_for_model
from narrows.archive.table_writer import compress_table
from narrows.data.tables.choice import table_of
from narrows.errors import InvalidParameterError

__all__ = ["compress_with_table", "compress_without_model"]


def compress_with_table(
    data: Any, path: str | os.PathLike[str], model: Any, output: dict[str, Any], given: dict[str, Any]
) -> TableSummary:
    """Write a table to an archive with a model that learned from another; parameters are those of `compress`.

    ``output`` are `force`, `threads` and `progress`, and ``given`` are all others.

    Raises
    ------
    InvalidParameterError
        If a parameter has no meaning for a table.
    """
    for name, value in given.items():
        is_asked = value is not None and not (isinstance(value, bool | int | tuple) and not value)
        if name != "lossless" and is_asked:
            raise InvalidParameterError(
                f"'{name}' (--{name.replace('_', '-')}) has no meaning for a table, which is restored exactly. "
                f"Got {name}={value!r}. Omit it."
            )
    source, table = open_for_model(data, model)
    return compress_table(source, path, table=table, **output)


def compress_without_model(
    data: Any,
    path: str | os.PathLike[str],
    *,
    output: dict[str, Any],
    as_records: bool,
    max_error: float | str | None,
    **bounds: Any,
) -> Summary | TableSummary:
    """Write a table, texts or an array to an archive that needs no other file; parameters are those of `compress`.

    ``output`` are `force`, `threads` and `progress`, and ``bounds`` are those of `compress_field`.

    Raises
    ------
    InvalidParameterError
        If a parameter has no meaning for a table.
    """
    table = table_of(data, max_error=max_error, as_records=as_records)
    if table is None:
        return compress_field(data, path, **bounds, max_error=max_error, as_records=as_records, **output)
    for name in ("fill_value", "accept_loss"):
        if bounds[name] not in (None, ()):
            raise InvalidParameterError(
                f"'{name}' has no meaning for the table {table.name}, which is restored exactly. Got "
                f"{name}={bounds[name]!r}. Omit it."
            )
    return compress_table(table, path, **output)
