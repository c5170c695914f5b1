"""``narrows info`` of an archive of a table, and the sizes of the parts of an archive."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from narrows.cli.console import aligned, count, number
from narrows.io.remote import size_of
from narrows.io.text import shown_name

if TYPE_CHECKING:
    from narrows.archive import Description
    from narrows.archive.column_bytes import ColumnBytes
    from narrows.archive.table_model import TableModel

__all__ = ["about_table", "about_table_model", "size_lines"]

_MOST_SHOWN = 28  # letters of a value


def about_table(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the description of an archive of a table, as JSON and as lines.

    Raises
    ------
    ArchiveError, CorruptArchiveError
        If it is too damaged to be opened, or its model is neither inside nor found.
    """
    from narrows.archive import TableArchive, inspect, open_archive
    from narrows.archive.column_bytes import column_bytes

    found = inspect(path)
    with open_archive(path) as archive:
        assert isinstance(archive, TableArchive), "the archive has a table"
        table = archive.table
        sizes = column_bytes(archive, found.records_bytes, is_inside=found.has_model)
    columns = _columns(table)
    for place, one in enumerate(columns):
        one["bytes"] = None if sizes is None else sizes.bytes[place]
    made, skipped = found.metadata["container"].get("kind", ""), list(table.about.get("skipped", ()))
    rows = [
        ("archive", f"{found.path}, {found.n_bytes:,} bytes, written by narrows {found.metadata['narrows']}"),
        (
            "rows",
            f"{found.n_records:,} of {count(len(columns), 'column')}, {number(found.restored_bytes)} bytes restored",
        ),
        ("bytes", f"{number(found.bytes_per_record)} a row"),
        ("groups", f"{found.n_chunks:,} of {count(min(found.metadata['chunk_records'], found.n_records), 'row')}"),
        ("model", f"{found.model_id}, {'inside' if found.has_model else 'in a file of its own'}"),
        ("restored as", _RESTORED.get(made, "the same table") if not skipped else "the table without some columns"),
        *([("left out", _short(", ".join(map(shown_name, map(str, skipped))), 90))] if skipped else []),
    ]
    facts = {**found.to_json(), "expected_psnr_db": None, "columns": columns}
    lines = [*aligned(rows), "", *_heading(sizes), *_column_lines(columns, found.n_bytes)]
    return facts, [*lines, *size_lines(found, "group")]


def _heading(sizes: ColumnBytes | None) -> list[str]:
    """Return the line above the columns."""
    if sizes is None:
        return ["columns, without their bytes: a group of rows is damaged"]
    some = f", estimated from {sizes.n_measured} groups" if sizes.n_measured < sizes.n_groups else ""
    some = some if sizes.n_measured else ", in proportion to the lengths of their texts"
    return [f"columns, with the bytes of their values and dictionaries{some}"]


def about_table_model(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the description of a model of tables, as JSON and as lines."""
    from narrows.archive.table_codec import table_in_file

    table = table_in_file(path)
    columns, size = _columns(table), size_of(path)
    rows = [
        ("file", f"{os.fspath(path)}, {size:,} bytes"),
        ("id", f"{table.digest[:12]}, in archives of this model"),
        ("learned", f"from {count(table.about.get('rows', 0), 'row')} of {table.about.get('name', 'a table')}"),
    ]
    facts = {
        "path": os.fspath(path),
        "n_bytes": size,
        "kind": "table",
        "model_id": table.digest[:12],
        "columns": columns,
    }
    return facts, [*aligned(rows), "", "columns", *_column_lines(columns)]


_RESTORED = {"csv": "the same CSV file, byte for byte", "frame": "the same data frame"}


def _columns(table: TableModel) -> list[dict[str, Any]]:
    """Return what is known of each column, as JSON values."""
    return [
        {
            "name": name,
            "kind": rule.kind,
            "nulls": fact.nulls,
            "distinct": fact.distinct,
            "low": fact.low,
            "high": fact.high,
        }
        for name, rule, fact in zip(table.form.names, table.form.rules, table.facts, strict=True)
    ]


def _column_lines(columns: list[dict[str, Any]], n_bytes: int | None = None) -> list[str]:
    """Return a line for each column, with its bytes and their share of those of the file, if it is one of rows."""
    rows = [("name", "kind", "nulls", "distinct", *(() if n_bytes is None else ("bytes", "share")), "range")]
    for one in columns:
        distinct = "over 65,536" if one["distinct"] is None else f"{one['distinct']:,}"
        span = "" if one["low"] is None else f"{_short(one['low'])} to {_short(one['high'])}"
        size = () if n_bytes is None else _size(one["bytes"], n_bytes)
        rows.append((_short(shown_name(one["name"])), one["kind"], f"{one['nulls']:,}", distinct, *size, span))
    return aligned(rows, right=[2, 3, 4, 5] if n_bytes is not None else [2, 3], indent=2)


def _size(n: int | None, of: int) -> tuple[str, str]:
    return ("?", "") if n is None else (f"{n:,}", f"{n / of:.1%}")


def _short(text: str, most: int = _MOST_SHOWN) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def size_lines(found: Description, chunk: str) -> list[str]:
    """Return lines on what the bytes are used for."""
    parts = {
        "header": found.header_bytes,
        "model": found.model_bytes,
        count(found.n_chunks, chunk): found.records_bytes,
        "index": found.index_bytes,
        "columns" if found.field is not None else "unused": found.other_bytes,
    }
    why = {
        "unused": "older indices, which remain when records are appended",
        "columns": "of times, missing values, and last digits",
    }
    sizes = [
        (name, f"{n_bytes:,}", f"{n_bytes / found.n_bytes:.1%}", why.get(name, ""))
        for name, n_bytes in parts.items()
        if n_bytes
    ]
    return ["", "where the bytes are", *aligned(sizes, right=[1, 2], indent=2)]
