"""``narrows index``."""

from __future__ import annotations

from typing import Any

import click

from narrows.cli.console import count, number, print_json, print_written
from narrows.cli.file_names import refuse_other_kinds
from narrows.cli.inputs import check_file_output, load_model, open_data
from narrows.cli.options import data_argument, data_options, device_option, model_option, output_option, write_options
from narrows.cli.outputs import Verb
from narrows.cli.progress import show_progress
from narrows.io.remote import size_of

__all__ = ["index"]

EPILOG = """
\b
  narrows index mnist:train -m digits.safetensors -o digits.index
  narrows search mnist:test#0 -i digits.index -m digits.safetensors

An archive that `narrows compress` wrote needs no index: `narrows search -i FILE.narrows` reads the codes in it.
"""


@click.command(cls=Verb, epilog=EPILOG)
@data_argument
@model_option
@output_option("INDEX", "Output: the index, for example data.index.")
@click.option(
    "--approximate/--exact",
    default=None,
    help="Whether the index gets a graph, in which a query looks at few records (pip install 'narrows[search]').  "
    "[default: from a million records on, if usearch is installed]",
)
@data_options
@device_option
@write_options
def index(
    *,
    data: str,
    model: str,
    output: str,
    approximate: bool | None,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write an index of DATA: the codes of its records, in which `narrows search` finds those that are alike.

    Names and labels that come with DATA are kept. An index holds no records, and a few bytes for each number of a code.
    """
    refuse_other_kinds(output, "an index", ".index")
    check_file_output(output, force=force)

    from narrows.uses import SearchIndex

    loaded = load_model(model, device)
    source = open_data(data, shape=loaded.shape_, limit=limit, quiet=quiet, **reading)
    with show_progress(quiet=quiet) as progress:
        made = SearchIndex.build(source, loaded, approximate=approximate, progress=progress)
    made.save(output, force=force)
    n_bytes, classes = size_of(output), made.items.classes
    if as_json:
        print_json(
            {
                "path": output,
                "records": len(made),
                "numbers": made.metric.n_numbers,
                "weights": made.metric.weights,
                "n_bytes": n_bytes,
                "has_names": made.items.names is not None,
                "labels": len(classes),
            }
        )
        return
    kept = [*(["names"] if made.items.names is not None else []), *([f"{len(classes)} labels"] if classes else [])]
    print_written(
        f"{output}  {count(len(made), 'record')} of {made.metric.n_numbers} numbers, {number(n_bytes)} bytes"
        f"{', with ' + ' and '.join(kept) if kept else ''}"
    )
