"""``narrows plan``."""

from __future__ import annotations

from typing import Any

import click

from narrows.cli.archive_options import bound_options, quality_options, stored_options
from narrows.cli.compress_options import check_bound, check_options, check_values, losses
from narrows.cli.console import aligned, count, number, print_json, print_written
from narrows.cli.file_names import refuse_other_kinds
from narrows.cli.inputs import check_file_output, load_model, open_data
from narrows.cli.options import data_argument, data_options, device_option, model_option, write_options
from narrows.cli.outputs import WRITES, Verb
from narrows.cli.warned import say
from narrows.errors import recorded

__all__ = ["plan"]

EPILOG = """
\b
  narrows plan DATA -m MODEL -o p.json
  narrows compress DATA --plan p.json --shard 1/2 -o part-1.narrows     on one machine
  narrows compress DATA --plan p.json --shard 2/2 -o part-2.narrows     on another
  narrows merge part-*.narrows -o all.narrows

The archive is the same, byte for byte, as that of `narrows compress DATA --plan p.json -o all.narrows`, and without
--psnr and --bytes-per-record as that of `narrows compress DATA -m MODEL` with the same options. A worker that was
stopped leaves no part, and is started again. Machines must have processors and versions of PyTorch that compute the
same codes; the file --model is then the only thing besides DATA and the plan that they need.

Series, texts and tables are not sharded: split them into files, and write an archive of each.
"""


@click.command(cls=Verb, epilog=EPILOG)
@data_argument
@model_option
@click.option("-o", "--output", type=WRITES, required=True, metavar="PLAN", help="Output: the plan, a JSON file.")
@quality_options
@bound_options
@stored_options
@data_options
@device_option
@write_options
def plan(
    *,
    data: str,
    model: str,
    output: str,
    psnr: float | None,
    bytes_per_record: float | None,
    quality: int | None,
    accept_loss: str | None,
    max_error: str | None,
    fill_value: float | None,
    lossless: bool,
    overlap: int | None,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
    **how: Any,
) -> None:
    """Fix what is global of an archive that several processes write: ranges, bounds and the operating point.

    Options are those of `narrows compress`. Each process then compresses a shard of DATA by the plan, and
    `narrows merge` joins the parts.
    """
    wanted: dict[str, Any] = {"psnr": psnr, "bytes_per_record": bytes_per_record, "quality": quality}
    check_options(output, wanted, overlap=overlap, append=False, force=force, dry_run=False)
    check_bound(wanted, max_error=max_error, lossless=lossless, overlap=overlap)
    refuse_other_kinds(output, "a plan", ".json")
    check_file_output(output, force=force)

    from narrows.archive.sharding.planning import check_kind
    from narrows.archive.sharding.planning import plan as make

    values: dict[str, Any] = {"fill_value": fill_value, "accept_loss": losses(accept_loss)}
    check_values(fill_value, values["accept_loss"], max_error=max_error, lossless=lossless, append=False)
    check_kind(model)
    reading = {name: value for name, value in {**reading, "limit": limit}.items() if value is not None}
    loaded = load_model(model, device)
    source = open_data(data, shape=loaded.codec_.shape, quiet=quiet, **reading)
    asked: dict[str, Any] = {**wanted, "max_error": max_error, "lossless": lossless, "overlap": overlap, **values}
    with recorded(held=True) as warned:
        made = make(source, output, model=loaded, model_path=model, reading=reading, force=force, **asked, **how)
    warnings = {str(one): one.to_json() for one in (*source.warnings, *warned)}
    bound = made.bound if made.weight is None else None
    if as_json:
        facts = {"path": output, "n_items": made.n_items, "items_apart": made.items_apart}
        facts |= {"most_shards": made.most_shards, "quality": made.quality, "error_bound": bound}
        print_json({**facts, "model_id": made.codec[:12], "warnings": list(warnings.values())})
    else:
        kept = f"number {made.quality}" if bound is None else "bit for bit" if bound == 0 else f"within {number(bound)}"
        rows = [
            ("plan", f"{output}, of {count(made.n_items, 'record')} of {source.name}"),
            ("model", f"{made.codec[:12]}, {model}"),
            ("quality", kept),
            ("shards", f"up to {made.most_shards:,}, of {count(made.items_apart, 'record')} or a multiple of them"),
        ]
        print_written(*aligned(rows))
    for warning in warnings.values():
        say(warning)
