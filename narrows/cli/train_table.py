"""``narrows train`` on a table in a file of text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from narrows.cli.console import aligned, count, number, print_json, print_written
from narrows.cli.inputs import check_file_output
from narrows.cli.progress import show_progress
from narrows.cli.warned import say
from narrows.errors import recorded

if TYPE_CHECKING:
    from narrows.data.tables.form import TableSource

__all__ = ["table_to_learn", "train_on_table"]


def table_to_learn(data: str, name: str, limit: int | None, given: dict[str, Any]) -> TableSource | None:
    """Return DATA as a table if a model of tables is to be trained; None for an autoencoder.

    Files of text are tables unless their rows are numbers at a date each. With a recipe or an option of autoencoders,
    none is.

    Parameters
    ----------
    name : str
        The recipe.
    given : dict
        All other options of autoencoders, and of formats.
    """
    from narrows.data.tables.choice import is_text_table, table_of

    is_given = any(value not in (None, False, (), {}) for value in given.values())
    if name != "auto" or is_given or not is_text_table(data):
        return None
    with recorded(held=True):
        return table_of(data, limit=limit)


def train_on_table(source: TableSource, output: str, *, force: bool, as_json: bool, quiet: bool) -> None:
    """Learn from a table, save the model, and print what it is."""
    from narrows.archive.table_training import train_table

    check_file_output(output, force=force)
    with show_progress(quiet=quiet) as progress:
        table = train_table(source, output, force=force, progress=progress)
    size = os.path.getsize(output)
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
