"""``narrows list``."""

from __future__ import annotations

import click

from narrows.cli.console import aligned, count, print_json, print_lines
from narrows.cli.inputs import archive_file
from narrows.cli.options import json_option, piped_archive_argument, quiet_option
from narrows.cli.outputs import Verb
from narrows.io.text import shown_name

__all__ = ["list"]


@click.command(cls=Verb)
@piped_archive_argument
@json_option
@quiet_option
def list(*, archive: str, as_json: bool, quiet: bool) -> None:  # noqa: A001
    r"""List the records of FILE.narrows: their numbers, and the names of the files that they come from.

    `narrows restore --only` takes both. No model is needed. Characters of names that are not printable, and bytes that
    are not text, are shown as \n, \x1b or \udcff, and backslashes as \\; --only takes names in this form.
    """
    from narrows.archive import inspect
    from narrows.archive.names import list_names

    file = archive_file(archive)
    names = list_names(file)
    if as_json:
        records = [{"index": index, "name": name or None} for index, name in enumerate(names)]
        print_json({"path": str(file), "records": records})
    elif (described := inspect(file).metadata.get("table")) is not None:
        print_lines(
            f"{file}  {count(len(names), 'row')} of {count(described['columns'], 'column')}, see `narrows info`"
        )
    elif not any(names):
        numbers = f", numbered 0 to {len(names) - 1:,}" if names else ""
        print_lines(f"{file}  {count(len(names), 'record')} without names{numbers}")
    else:
        print_lines(*aligned([(str(index), shown_name(name)) for index, name in enumerate(names)], right=[0]))
