"""``narrows compress`` with a model of bytes: lines of text, losslessly."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.archive import MUCH, WAYS
from narrows.cli.compressed import yardstick_rows
from narrows.cli.console import aligned, count, number, print_json, print_written
from narrows.cli.inputs import open_data
from narrows.cli.progress import show_progress
from narrows.cli.warned import say
from narrows.errors import recorded
from narrows.io.pipes import through_file

if TYPE_CHECKING:
    from narrows.archive.summary import Summary
    from narrows.codec.parts.parted_codec import PartedCodec
    from narrows.data import Source

__all__ = ["compress_bytes"]


def compress_bytes(
    data: str,
    output: str,
    codec: PartedCodec,
    *,
    model: str,
    reading: dict[str, Any],
    given: dict[str, Any],
    dry_run: bool,
    force: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compress texts with a model of bytes, and print the result; ``given`` are options of `compress_with_bytes`."""
    from narrows.archive.byte_model_writer import compress_with_bytes

    if dry_run:
        raise click.UsageError("--dry-run tries qualities, and a model of bytes restores texts byte for byte. Omit it.")
    with recorded(held=True):
        source = open_data(data, quiet=quiet, record="text", **reading)
        with through_file(output) as path, show_progress(quiet=quiet) as progress:
            summary = compress_with_bytes(source, path, codec, given, force=force, threads=threads, progress=progress)
    named = replace(summary, path=output)
    if as_json:
        print_json(named.to_json())
    else:
        print_written(*_lines(named, source, model, quiet=quiet))
    for warning in summary.warnings:
        say(warning)


def _lines(summary: Summary, source: Source, model: str, *, quiet: bool) -> list[str]:
    """Return the result as lines: a table, the kernels, and whether the model is worth its bytes.

    If ``quiet``, only a log gets the lines, and what takes time to find out is left out.
    """
    from narrows.codec.kernels import kernels_line

    is_more = summary.total_records > summary.records
    where = "inside, and counted above" if summary.model_embedded else f"also needed, in {os.path.basename(model)}"
    ways = ", ".join(f"{n:,} {WAYS[way]}" for way, n in summary.chunks_kept.items())
    rows = [
        ("texts", number(summary.records), "", f"from {source.name}"),
        ("bytes on disk", number(summary.n_bytes), "", f"of all {summary.total_records:,} texts" if is_more else ""),
        *_fixed_rows(summary),
        ("bytes a text", number(summary.bytes_per_record), "", ""),
        ("ratio to raw", number(summary.ratio_to_raw), "", f"{count(summary.raw_bytes, 'byte')} uncompressed"),
        *([] if quiet else yardstick_rows(summary)),
        ("chunks", number(sum(summary.chunks_kept.values())), "", ways),
        ("characters right", "100.00%", "", "restored byte for byte"),
        ("the model", number(summary.model_bytes), "bytes", where),
    ]
    table = [summary.path, "", *aligned(rows, right=[1], indent=2)]
    return table if quiet else [*table, "", kernels_line(summary.kernels), _worth(summary, source)]


def _fixed_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    what, fixed = "header and index", summary.fixed_bytes
    if summary.model_embedded:
        what, fixed = "header, index and model", fixed + summary.model_bytes
    share = fixed / summary.n_bytes
    if share <= MUCH:
        return []
    return [("fixed bytes", number(fixed), "", f"{what}, {share:.0%} of the file; more texts hardly add to them")]


def _worth(summary: Summary, source: Source) -> str:
    """Return a sentence on the number of texts from which the model pays for itself, or on what is smaller."""
    from narrows.archive.text_yardsticks import WITHOUT_MODEL

    together = "archive and model together are smaller than by any of these"
    from_there = None if summary.pays_after is None else f"{together} from about {count(summary.pays_after, 'text')} on"
    if summary.pays_after is not None and summary.pays_after <= summary.total_records:
        return f"The model has paid for itself: {from_there}."
    first = summary.yardsticks[0]
    name = os.path.basename(summary.path) if summary.path != "-" else "FILE.narrows"
    command = f"`narrows compress {source.name} -o {name}` makes a smaller file without a model"
    smaller = command if first.name == WITHOUT_MODEL else f"{first.name} makes a smaller file"
    if from_there is None:
        return f"The model never pays for itself on texts like these, which take fewer bytes all together: {smaller}."
    return f"The model has not paid for itself yet: {from_there}. For these texts alone, {smaller}."
