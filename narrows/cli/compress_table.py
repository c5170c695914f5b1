"""``narrows compress`` of a table: the options, and the result in words."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from narrows.cli.console import aligned, count, number, print_json, print_written
from narrows.cli.progress import show_progress
from narrows.cli.warned import say
from narrows.errors import recorded
from narrows.io.pipes import through_file

if TYPE_CHECKING:
    from narrows.archive.table_model import TableModel
    from narrows.archive.table_summary import TableSummary
    from narrows.data.tables.form import TableSource

__all__ = ["compress_table", "opened_table", "table_options", "without_bound"]

_OUTSIDE = "also needed for reading, in its own file: keep it"

Command = TypeVar("Command", bound=Callable[..., Any])


def table_options(command: Command) -> Command:
    """Add the options for reading tables, which the command gets as one ``as_table``, without those not given.

    That for what columns have is one of `data_options`.
    """

    @functools.wraps(command)
    def collected(*args: Any, no_header: bool, **given: Any) -> Any:
        texts = {name: given.pop(name) for name in ("columns", "delimiter", "encoding")}
        as_table = {name: text for name, text in texts.items() if text is not None}
        return command(*args, as_table=as_table | ({"header": False} if no_header else {}), **given)

    options = [
        click.option("--delimiter", metavar="LETTER", help="Of a table in a file of text: what is between fields."),
        click.option("--encoding", metavar="NAME", help="Of a table in a file of text: its encoding, such as latin-1."),
        click.option("--no-header", is_flag=True, help="Of a table in a file of text: the first line is a row."),
    ]
    found: Any = collected
    for option in reversed(options):
        found = option(found)
    return cast("Command", found)


def without_bound(
    data: str,
    kind: str | None,
    as_table: dict[str, Any],
    *,
    model: str | None,
    max_error: str | None,
    lossless: bool,
) -> tuple[str | None, bool, str | None]:
    """Return what DATA is taken for, whether it is stored without loss if no bound is given, and the bound.

    Bounds for columns become an option of a table.
    """
    if model is None and max_error is not None and "=" in max_error:
        as_table["max_error"] = max_error
        return "table", True, None
    if model is not None or max_error is not None:
        if as_table and (model is None or max_error is not None):
            option = next(iter(as_table)).replace("header", "no-header")
            raise click.UsageError(f"--{option} is for tables that are compressed exactly. Omit it, or -m and a bound.")
        return kind, lossless, max_error
    from narrows.data.field import is_lossless_file
    from narrows.data.tables.choice import is_table_file

    if kind is None and (as_table or (data == "-" and not lossless)):
        kind = "table"
    return kind, lossless or kind == "table" or is_lossless_file(data) or is_table_file(data), None


def opened_table(
    data: str, reading: dict[str, Any], *, kind: str | None, options: dict[str, Any], quiet: bool
) -> TableSource | None:
    """Return DATA as a table; None if it is something else.

    Parameters
    ----------
    reading : dict
        The options of formats, and those of `table_options`, that were given.
    kind : str or None
        What DATA is taken for, if that was said.
    options : dict
        Others, of which a table needs none.
    """
    from narrows.data.tables.choice import open_table, table_of

    if kind in {"field", "records"}:
        return None
    with recorded(held=True):
        if kind == "table":
            found = open_table(data, any_name=True, **{name: one for name, one in reading.items() if one is not None})
        else:
            found = table_of(data, max_error=options["max_error"], **reading)
    for name in ("fill_value", "accept_loss"):
        if found is not None and options[name] not in {None, ()}:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} has no meaning for {found.name}, a table restored exactly. Omit it.")
    return found


def compress_by_model(
    data: str,
    model: str,
    output: str,
    *,
    given: dict[str, Any],
    as_table: dict[str, Any],
    **how: Any,
) -> None:
    """Compress a table with a model that learned from another.

    Parameters
    ----------
    given : dict
        Options that have no meaning for it.
    as_table : dict
        Options for reading it.
    **how
        Those of `compress_table`.
    """
    from narrows.archive.table_training import open_for_model

    for name, value in given.items():
        if name == "append" and value:
            raise click.UsageError(
                "--append is not for tables. Compress the new rows into an archive of their own with the same -m, or "
                "all rows together."
            )
        if value not in (None, False, (), 0):
            raise click.UsageError(
                f"--{name.replace('_', '-')} has no meaning for a model of tables, which are restored exactly. Omit it."
            )
    if "columns" in as_table:
        raise click.UsageError("--columns has no meaning with -m: the model knows what columns have. Omit it.")
    with recorded(held=True):
        source, table = open_for_model(data, model, **as_table)
    compress_table(source, output, table=table, **how)


def compress_table(
    source: TableSource,
    output: str,
    *,
    table: TableModel | None = None,
    force: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compress a table, and print the result."""
    from narrows.archive.table_writer import compress_table as write

    with through_file(output) as path, show_progress(quiet=quiet) as progress, recorded(held=True):
        summary = write(source, path, table=table, force=force, threads=threads, progress=progress)
    if as_json:
        print_json({**summary.to_json(), "path": output})
    else:
        print_written(*_lines(replace(summary, path=output), source, quiet=quiet))
    for warning in summary.warnings:
        say(warning)


def _lines(summary: TableSummary, source: TableSource, *, quiet: bool) -> list[str]:
    """Return the result as lines: a table, and unless quiet which kernels ran."""
    from narrows.codec.kernels import kernels_line

    kinds = Counter(summary.kinds.values())
    n_coder = summary.model_bytes - summary.dictionary_bytes
    learned = "learned from these rows; inside, and counted above"
    exactly = "restored byte for byte" if source.form.entry == "csv" else "restored with the same types and values"
    exactly = "restored without the columns left out" if source.skipped else exactly
    exactly = (
        f"restored within {', '.join(f'{name}={one}' for name, one in source.bounds.items())}"
        if source.bounds
        else exactly
    )
    rows = [
        ("rows", number(summary.rows), "", f"of {count(summary.columns, 'column')} from {source.name}"),
        ("columns", "", "", ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())),
        ("bytes on disk", number(summary.n_bytes), "", exactly),
        ("bytes a row", number(summary.bytes_per_row), "", ""),
        ("ratio to raw", number(summary.ratio_to_raw), "", f"{count(summary.raw_bytes, 'byte')} uncompressed"),
        ("the model", number(summary.model_bytes), "bytes", learned if summary.model_embedded else _OUTSIDE),
        ("", number(n_coder), "bytes", "of which tell how columns are predicted"),
        ("", number(summary.dictionary_bytes), "bytes", "of which are the texts of categories"),
        (
            "groups",
            number(summary.groups),
            "",
            f"of {count(summary.group_rows, 'row')}; to read one row, its group is decoded",
        ),
        *_exception_rows(summary),
    ]
    table = [summary.path, "", *aligned(rows, right=[1], indent=2)]
    return table if quiet else [*table, "", kernels_line(summary.kernels)]


def _exception_rows(summary: TableSummary) -> list[tuple[str, str, str, str]]:
    """Return a row on cells that are kept as they are, if there are any."""
    if not summary.exceptions:
        return []
    return [("exceptions", number(summary.exceptions), "", "cells unlike their column, kept as they are")]
