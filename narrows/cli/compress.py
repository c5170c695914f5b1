"""``narrows compress``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.archive_options import bound_options, quality_options, stored_options
from narrows.cli.compress_bytes import compress_bytes
from narrows.cli.compress_field import compress_without_model
from narrows.cli.compress_options import check_bound, check_model, check_options, check_values, choose, losses
from narrows.cli.compress_shard import compress_shard
from narrows.cli.compress_table import compress_by_model, table_options, without_bound
from narrows.cli.compressed import result_lines
from narrows.cli.console import print_json, print_written
from narrows.cli.inputs import check_archive_output, load_model, open_data
from narrows.cli.options import (
    data_argument,
    data_options,
    device_option,
    threads_option,
    write_options,
)
from narrows.cli.outputs import READS, WRITES_PIPE, Verb
from narrows.cli.progress import show_progress
from narrows.cli.warned import say
from narrows.errors import recorded
from narrows.io.pipes import through_file

if TYPE_CHECKING:
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["compress"]

_ONLY_WRITTEN = {"append", "force", "labels", "keep_codes"}  # options that trials have no use for
EPILOG = """
--psnr DB makes the smallest archive that reaches this quality, by any way that the model has: one of its qualities,
within a bound on the errors, or lossless. --bytes-per-record B makes the best archive of this size likewise. What
counts is measured on some of the records of DATA; the result says which way was taken and what the others need. With
neither, the quality of the model is taken that it was trained for, or a bound that is as good in fewer bytes. --dry-run
tries all qualities on DATA and writes nothing, and --quality K takes one of them. A model trained by `narrows train
--recipe codec --psnr DB` needs the fewest bytes at that quality.

With --max-error no value differs by more than E, also beside --psnr or --bytes-per-record; with --lossless every bit is
restored. A model trained by `narrows train --recipe lossless` makes such files small. The data may contain NaNs and
infinities. --lossless cannot be combined with --psnr, --bytes-per-record, --quality or --overlap.

--lossless refuses image files that lose something when they are read: animations (frames: only the first is read), CMYK
(cmyk), more than 8 bits per channel in formats of which 8 are read (depth), and transparency (alpha). --accept-loss
frames,alpha accepts such losses.

Without -m, DATA is one array of 1 to 4 axes or more, a field such as temperatures by time, latitude and longitude, and
--max-error or --lossless is required. Each value is predicted from its neighbours along all axes; nothing is trained,
and `narrows restore` needs no other file. With --as records, the first axis numbers records, and those are not
predicted from each other. Lines of text (.txt, .log, .jsonl) need no bound either: each byte is predicted from those
before it in its chunk.

Without -m, a table in a CSV, TSV, Parquet or Feather file is compressed in one step: its columns are typed, what they
have in common is learned, and the archive has all that restoring needs. CSV files come back byte for byte, as they were
before gzip or zstd. A CSV file of numbers at a date each is a series; --as table makes it a table. Text from standard
input (-) is a table, too. With --max-error price=1%,carat=0.01 the values of these columns have a bound, in seconds
those of dates; all others are exact.

Several processes or machines compress one set of records with --plan and --shard, see `narrows plan --help`.

Images larger than those that the model was trained on are cut into tiles and restored as a whole. Tiles without
overlap may have visible seams; with --overlap they are blended.

\b
Keep the model: without it an archive cannot be read. --embed-model stores the decoder in the archive,
so that reading needs FILE.narrows alone.
"""


@click.command(cls=Verb, epilog=EPILOG)
@data_argument
@click.option(
    "-m", "--model", type=READS, metavar="MODEL", help="A model saved by `narrows train`; without it, DATA is a field."
)
@click.option(
    "-o", "--output", type=WRITES_PIPE, metavar="FILE.narrows", help="Output: the archive; - for standard output."
)
@quality_options
@click.option("--dry-run", is_flag=True, help="Show what each quality would yield for DATA; write nothing.")
@bound_options
@stored_options
@click.option(
    "--as",
    "kind",
    type=click.Choice(["field", "records", "table"]),
    help="Without -m: whether DATA is one field over all axes, records along the first axis, or the rows of a table.  "
    "[default: files of text are tables or series, other arrays are fields]",
)
@click.option("--plan", type=READS, metavar="PLAN", help="Compress as a plan says, made by `narrows plan`.")
@click.option(
    "--shard", metavar="I/N", help="With --plan: the I-th of N parts of DATA, to be joined by `narrows merge`."
)
@click.option("--append", is_flag=True, help="Add to an existing archive of the same model, quality and bound.")
@table_options
@data_options
@threads_option
@device_option
@write_options
def compress(
    *,
    data: str,
    model: str | None,
    output: str | None,
    psnr: float | None,
    bytes_per_record: float | None,
    quality: int | None,
    dry_run: bool,
    max_error: str | None,
    fill_value: float | None,
    lossless: bool,
    accept_loss: str | None,
    overlap: int | None,
    effort: int,
    embed_model: bool,
    chunk_records: int | None,
    kind: str | None,
    labels: str | None,
    keep_codes: bool,
    plan: str | None,
    shard: str | None,
    append: bool,
    as_table: dict[str, Any],
    limit: int | None,
    reading: dict[str, Any],
    threads: int | None,
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compress DATA into a small archive, FILE.narrows, from which `narrows restore` restores the records.

    Restored records differ a little from the originals, as with JPEG; the command measures the difference and prints
    it. With --max-error the error of every value is bounded, with --lossless every bit is restored. Every machine
    restores the same bytes.

    Without a model, one array or series is compressed within a bound; CSV and WAV files by default losslessly. Tables
    in CSV and Parquet files and lines of text are always restored exactly, by what is learned from them in this step.
    """
    if plan is not None or shard is not None:
        running: dict[str, Any] = {"force": force, "threads": threads, "as_json": as_json, "quiet": quiet}
        compress_shard(data, output, plan=plan, shard=shard, model=model, device=device, **running)
        return
    given: dict[str, Any] = {"model": model, "max_error": max_error, "lossless": lossless}
    kind, lossless, max_error = without_bound(data, kind, as_table, **given)
    wanted: dict[str, Any] = {"psnr": psnr, "bytes_per_record": bytes_per_record, "quality": quality}
    check_options(output, wanted, overlap=overlap, append=append, force=force, dry_run=dry_run)
    check_bound(wanted, max_error=max_error, lossless=lossless, overlap=overlap)
    check_model(
        model,
        {**wanted, "overlap": overlap, "effort": effort or None, "chunk_records": chunk_records, "labels": labels},
        {"dry_run": dry_run, "embed_model": embed_model, "append": append, "keep_codes": keep_codes},
        kind=kind,
        is_bounded=lossless or max_error is not None,
    )

    from narrows.archive.appending import check_chunk_records
    from narrows.archive.byte_model_writer import byte_model_of
    from narrows.archive.description import check_readable
    from narrows.archive.table_codec import is_table_model

    # Refuse wrong options before PyTorch is loaded, which takes seconds.
    check_chunk_records(chunk_records, append=append)
    accepted = losses(accept_loss)
    values: dict[str, Any] = {"fill_value": fill_value, "accept_loss": accepted}
    check_values(fill_value, accepted, max_error=max_error, lossless=lossless, append=append)
    output = "" if output is None else output
    if not dry_run:
        check_archive_output(output, force=force or append)
    if model is None:
        compress_without_model(
            data, output, {"limit": limit, **reading}, as_table, max_error=max_error, lossless=lossless, **values,
            kind=kind, force=force, threads=threads, as_json=as_json, quiet=quiet,
        )  # fmt: skip
        return
    if is_table_model(model):
        given = {"append": append, "dry_run": dry_run, "embed_model": embed_model, "effort": effort, **wanted, **values}
        given |= {"max_error": max_error, "labels": labels, "keep_codes": keep_codes, **reading}
        options = {"force": force, "threads": threads, "as_json": as_json, "quiet": quiet}
        compress_by_model(data, model, output, given=given, as_table={"limit": limit, **as_table}, **options)
        return
    if append:
        check_readable(output)
    asked: dict[str, Any] = {**wanted, "max_error": max_error, "lossless": lossless, "overlap": overlap}
    asked["effort"] = effort
    how: dict[str, Any] = {**values, "embed_model": embed_model, "chunk_records": chunk_records, "append": append}
    how |= {"labels": labels, "keep_codes": keep_codes}
    writing: dict[str, Any] = {"force": force, "threads": threads}
    printing: dict[str, Any] = {"dry_run": dry_run, "as_json": as_json, "quiet": quiet}
    if (found := byte_model_of(model)) is not None:
        given = {**asked, **how, "lossless": None}
        reading |= {"limit": limit}
        compress_bytes(data, output, found, model=model, reading=reading, given=given, **writing, **printing)
        return
    source = _source(
        data, model, output, asked, {**reading, "limit": limit}, append=append, quiet=quiet, fill_value=fill_value
    )
    _compress(source, load_model(model, device), model, output, asked=asked, how=how | writing, **printing)


def _source(
    data: str,
    model: str,
    output: str,
    asked: dict[str, Any],
    reading: dict[str, Any],
    *,
    append: bool,
    fill_value: float | None,
    quiet: bool,
) -> Source:
    """Return the records, after checking what is asked for without PyTorch."""
    from narrows.archive.appending import check_together, metadata_of
    from narrows.archive.quality import choose_quality
    from narrows.codec import read_frozen

    before = metadata_of(output) if append else None
    check_together(**asked, before=before)
    codec = read_frozen(model)
    choose_quality(codec, quality=asked["quality"])
    source = open_data(data, shape=codec.shape, quiet=quiet, **reading)
    choose(source, codec, asked, model=model, output=output, before=before, fill_value=fill_value)
    return source


def _compress(
    source: Source,
    loaded: Autoencoder,
    model: str,
    output: str,
    *,
    asked: dict[str, Any],
    how: dict[str, Any],
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compress records with the model of an autoencoder, or try its qualities, and print the result."""
    from narrows.archive import inspect
    from narrows.archive.compress import compress as write
    from narrows.archive.summary import Summary
    from narrows.cli.dry_run import print_trials

    if dry_run:
        tried = {name: value for name, value in how.items() if name not in _ONLY_WRITTEN}
        print_trials(source, loaded, model, asked, as_json=as_json, quiet=quiet, **tried)
        return
    # The summary contains the warnings.
    with through_file(output) as path, show_progress(quiet=quiet) as progress, recorded(held=True):
        summary = write(source, path, model=loaded, **asked, **how, progress=progress)
        assert isinstance(summary, Summary), "records of a model are no table"
        made = inspect(path)
        named = replace(summary, path=output)
        lines = result_lines(named, source, model, made.fixed_bytes, made.n_chunks, quiet=quiet)
    if as_json:
        print_json({**summary.to_json(), "path": output})
    else:
        print_written(*lines)
    for warning in summary.warnings:
        say(warning)
