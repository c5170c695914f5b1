"""The metadata that are the same for all tables, which headers do not have."""

from __future__ import annotations

from typing import Any

from narrows.errors import CorruptArchiveError

__all__ = ["OF_TABLES", "entries_of_table"]

OF_TABLES: dict[str, Any] = {
    "record_shape": [1],
    "dtype": "uint8",
    "quality": 0,
    "n_symbols": 1,
    "group_records": 16,
    "tiling": None,
}


def entries_of_table(values: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a table with the entries that are the same for all tables.

    Raises
    ------
    CorruptArchiveError
        If the description of the table is not valid.
    """
    if not isinstance(values["table"], dict):
        raise CorruptArchiveError(f"the 'table' in its metadata is not valid: {values['table']!r:.80}")
    return {"container": {}} | values | OF_TABLES
