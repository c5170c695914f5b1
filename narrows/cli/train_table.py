"""``narrows train --recipe columns``: a model of a table that writes small files, and has no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, count, number, print_json, print_written
from narrows.cli.inputs import check_file_output
from narrows.cli.progress import show_progress
from narrows.cli.warned import say
from narrows.errors import recorded
from narrows.estimators.recipe_list import OF_TABLES
from narrows.io.remote import size_of

if TYPE_CHECKING:
    from narrows.data.tables.form import TableSource

__all__ = ["table_to_learn", "train_on_table"]

(_COLUMNS,) = OF_TABLES


def table_to_learn(data: str, name: str, limit: int | None, given: dict[str, Any]) -> TableSource | None:
    """Return DATA as a table if a model of tables for archives is to be trained; None for an autoencoder.

    Parameters
    ----------
    name : str
        The recipe.
    given : dict
        All other options of autoencoders, and of formats, which must not be given with this recipe.

    Raises
    ------
    click.UsageError
        If one is given, or the data are no table.
    """
    if name != _COLUMNS:
        return None
    from narrows.data.tables.choice import is_text_table, open_table

    found = next((one for one, value in given.items() if value not in (None, False, (), {})), None)
    if found is not None:
        raise click.UsageError(
            f"--{found.replace('_', '-')} has no effect with --recipe {_COLUMNS}, which trains no network. Omit it."
        )
    if not is_text_table(data):
        raise click.UsageError(
            f"--recipe {_COLUMNS} learns from a table in a file of text, .csv or .tsv. Got '{data}'."
        )
    with recorded(held=True):
        return open_table(data, limit=limit)


def train_on_table(source: TableSource, output: str, *, force: bool, as_json: bool, quiet: bool) -> None:
    """Learn from a table, save the model, and print what it is."""
    from narrows.archive.table_training import train_table

    check_file_output(output, force=force)
    with show_progress(quiet=quiet) as progress:
        table = train_table(source, output, force=force, progress=progress)
    size = size_of(output)
    kinds = {one: rule.kind for one, rule in zip(table.form.names, table.form.rules, strict=True)}
    if as_json:
        warnings = [one.to_json() for one in source.warnings]
        print_json(
            {
                "path": output,
                "n_bytes": size,
                "kind": "table",
                "rows": source.n_rows,
                "kinds": kinds,
                "warnings": warnings,
            }
        )
        return
    rows = [
        ("model", f"{output}, {size:,} bytes, of a table"),
        ("learned", f"from {count(source.n_rows, 'row')} of {count(len(kinds), 'column')} in {source.name}"),
        ("archives", f"`narrows compress TABLE.csv -m {output}` stores tables with these columns"),
        ("dictionaries", f"{number(len(table.dictionaries))} bytes"),
    ]
    print_written(*aligned(rows))
    for warning in source.warnings:
        say(warning)
