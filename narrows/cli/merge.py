"""``narrows merge``."""

from __future__ import annotations

import click

from narrows.cli.console import count, print_json, print_written
from narrows.cli.inputs import check_archive_output
from narrows.cli.options import output_option, write_options
from narrows.cli.outputs import READS, Verb

__all__ = ["merge"]


@click.command(cls=Verb)
@click.argument("parts", type=READS, nargs=-1, required=True, metavar="PART.narrows...")
@output_option("FILE.narrows", "Output: the archive.")
@write_options
def merge(*, parts: tuple[str, ...], output: str, force: bool, as_json: bool, quiet: bool) -> None:
    """Join the parts that `narrows compress --plan PLAN --shard I/N` has written, in any order, into one archive.

    Each shard must be given once. Chunks are copied after their checksums are verified, so that memory does not grow
    with the size of the archive.
    """
    check_archive_output(output, force=force)

    from narrows.archive.sharding.merging import merge as join

    made = join(parts, output, force=force)
    if as_json:
        print_json(made.to_json())
    else:
        text = f"{count(made.n_records, 'record')} of {count(made.n_parts, 'part')}, {count(made.n_bytes, 'byte')}"
        print_written(f"{output}  {text}")
