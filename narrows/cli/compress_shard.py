"""``narrows compress --plan``: a shard of an archive, or all of it, with what a plan has fixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from narrows.cli.compressed import result_lines
from narrows.cli.console import print_json, print_written
from narrows.cli.inputs import check_archive_output, load_model, open_data
from narrows.cli.progress import show_progress
from narrows.cli.warned import say
from narrows.errors import recorded
from narrows.io.pipes import through_file

__all__ = ["compress_shard"]

_FREE = {"data", "output", "model", "plan", "shard", "threads", "device", "force", "as_json", "quiet", "log"}
"""Parameters that have no influence on the archive, so that a plan does not fix them."""


def compress_shard(
    data: str,
    output: str | None,
    *,
    plan: str | None,
    shard: str | None,
    model: str | None,
    device: str,
    force: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write what `narrows compress --plan PLAN --shard I/N` asks for, and print the result."""
    _check_free(plan)
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    check_archive_output(output, force=force)

    from narrows.archive import inspect
    from narrows.archive.sharding import compress_shard as write
    from narrows.archive.sharding import parse_shard, read_plan
    from narrows.errors import InvalidParameterError

    assert plan is not None, "checked above"
    saved = read_plan(plan)
    if shard is not None:
        saved.items_of(*parse_shard(shard))
    named = saved.model_beside(plan) if model is None else model
    if named is None:
        raise InvalidParameterError("The plan does not name a model file. Give its model with -m MODEL.")
    reading: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in saved.reading.items()
    }
    loaded = load_model(named, device)
    source = open_data(data, shape=loaded.codec_.shape, quiet=quiet, **reading)
    with through_file(output) as path, show_progress(quiet=quiet) as progress, recorded(held=True):
        summary = write(
            source, path, plan=saved, shard=shard, model=loaded, force=force, threads=threads, progress=progress
        )
        made = inspect(path)
        lines = result_lines(replace(summary, path=output), source, named, made.fixed_bytes, made.n_chunks, quiet=quiet)
    if as_json:
        print_json({**summary.to_json(), "path": output})
    else:
        print_written(*lines)
    for warning in summary.warnings:
        say(warning)


def _check_free(plan: str | None) -> None:
    """Refuse a shard without a plan, and options that the plan has fixed."""
    if plan is None:
        raise click.UsageError("--shard needs --plan PLAN, which `narrows plan DATA -m MODEL -o PLAN` writes.")
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in _FREE and context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[-1]} cannot be combined with --plan, which has fixed it for all shards. Omit it, or "
                "give it to `narrows plan`."
            )
