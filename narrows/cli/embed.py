"""``narrows embed``."""

from __future__ import annotations

import click

from narrows.cli.console import number, print_json, print_written
from narrows.cli.inputs import check_archive_output
from narrows.cli.options import archive_argument, archive_model_option, write_options
from narrows.cli.outputs import WRITES, Verb

__all__ = ["embed"]


@click.command(cls=Verb)
@archive_argument
@archive_model_option
@click.option(
    "-o", "--output", type=WRITES, metavar="OUT.narrows", help="Output: the new archive.  [default: FILE.narrows]"
)
@write_options
def embed(*, archive: str, model: str | None, output: str | None, force: bool, as_json: bool, quiet: bool) -> None:
    """Store in FILE.narrows the part of its model that it uses, so that reading it needs no other file.

    Without -o the archive is replaced when the new one is complete. Records can still be appended, with the same MODEL.
    """
    if output is not None:
        check_archive_output(output, force=force)

    import narrows.archive

    path = narrows.archive.embed(archive, model, output, force=force)
    found = narrows.archive.inspect(path)
    if as_json:
        print_json({"path": str(path), "n_bytes": found.n_bytes, "model_bytes": found.model_bytes})
    else:
        print_written(f"{path}  {number(found.n_bytes)} bytes, {number(found.model_bytes)} of them the model's")
