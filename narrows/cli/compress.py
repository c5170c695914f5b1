"""``narrows compress``."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.archive import MUCH
from narrows.cli.compress_field import compress_without_model, text_rows
from narrows.cli.compress_options import check_bound, check_model, check_options, check_values, choose, losses
from narrows.cli.console import aligned, count, number, print_json, print_lines, shape_text
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
from narrows.io.text import psnr_text

if TYPE_CHECKING:
    from narrows.archive.summary import Summary
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["compress"]

EPILOG = """
A model has several qualities, from coarse to fine. The default is one whose quantisation adds almost nothing to the
model's own error; --psnr, --bytes-per-record or --quality choose another one. With --dry-run all of them are tried on
DATA, and nothing is written. A model trained by `narrows train --recipe codec
--psnr DB` needs the fewest bytes at that quality.

With --max-error or --lossless an archive also stores the model's errors, within the bound or exactly; a model trained
by `narrows train --recipe lossless` makes such files small. The data may contain NaNs and infinities. The quality of
the code is chosen for the smallest file, so these options cannot be combined with --psnr, --bytes-per-record,
--quality or --overlap.

--lossless refuses image files that lose something when they are read: animations (frames: only the first is read), CMYK
(cmyk), more than 8 bits per channel in formats of which 8 are read (depth), and transparency (alpha). --accept-loss
frames,alpha accepts such losses.

Without -m, DATA is one array of 1 to 4 axes or more, a field such as temperatures by time, latitude and longitude, and
--max-error or --lossless is required. Each value is predicted from its neighbours along all axes; nothing is trained,
and `narrows restore` needs no other file. With --as records, the first axis numbers records, and those are not
predicted from each other.

Images larger than those that the model was trained on are cut into tiles and restored as a whole. Tiles without
overlap may have visible seams; with --overlap they are blended.

\b
Keep the model: without it an archive cannot be read. --embed-model stores the decoder in the archive,
so that reading needs FILE.narrows alone.
"""


_WAYS = {
    "code and rest": "by the code and its residual",
    "neighbours": "by prediction from neighbours",
    "network": "by the residual model",
    "zstd": "by zstd",
    "plain": "uncompressed",
}
"""Descriptions of the ways to encode a chunk."""
_BY_MODEL = {"code and rest", "network"}

_SMALL_CHUNK_BYTES = 500
"""A chunk and its entry in the index take over a hundred bytes beside the codes."""


@click.command(cls=Verb, epilog=EPILOG)
@data_argument
@click.option(
    "-m", "--model", type=READS, metavar="MODEL", help="A model saved by `narrows train`; without it, DATA is a field."
)
@click.option(
    "-o", "--output", type=WRITES_PIPE, metavar="FILE.narrows", help="Output: the archive; - for standard output."
)
@click.option("--psnr", type=float, metavar="DB", help="Reach this quality with the fewest bytes.")
@click.option("--bytes-per-record", type=float, metavar="B", help="Best quality with at most B bytes for each record.")
@click.option("--quality", type=int, metavar="K", help="Number of a quality, from 0, the coarsest; see --dry-run.")
@click.option("--dry-run", is_flag=True, help="Show what each quality would yield for DATA; write nothing.")
@click.option("--max-error", metavar="E", help="Largest error of any value: in the data's units, or 1% of their range.")
@click.option(
    "--fill-value",
    type=float,
    metavar="V",
    help="With --max-error: a value that stands for missing ones; it is restored exactly and is no part of the range.  "
    "[default: that of the model]",
)
@click.option("--lossless", is_flag=True, help="Restore every bit.")
@click.option(
    "--accept-loss",
    metavar="KINDS",
    help="With --lossless: what reading image files may lose: frames, cmyk, depth or alpha, or several with commas.",
)
@click.option(
    "--overlap",
    type=int,
    metavar="PIXELS",
    help="Overlap of the tiles of larger images, in pixels; by default 0, or that of the archive to append to.",
)
@click.option(
    "--effort",
    type=click.IntRange(0, 9),
    default=0,
    show_default=True,
    help="More effort: fewer bytes at the same quality, in more time. Reading takes no longer.",
)
@click.option("--embed-model", is_flag=True, help="Store the decoder in the archive, so that reading needs no model.")
@click.option(
    "--chunk-records",
    type=int,
    metavar="N",
    help="Largest number of records in a chunk. Smaller chunks make single records faster to read and the archive "
    "larger.  [default: up to 16,384; with --max-error or --lossless up to 4,096; with a residual model fewer]",
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["field", "records"]),
    help="Without -m: whether DATA is one field over all axes, or records along the first axis.  [default: field]",
)
@click.option("--append", is_flag=True, help="Add to an existing archive of the same model, quality and bound.")
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
    append: bool,
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

    Without a model, one array or series is compressed within a bound; CSV and WAV files by default losslessly.
    """
    if model is None and max_error is None:
        from narrows.data.field import series_format

        lossless = lossless or series_format(data) is not None
    wanted: dict[str, Any] = {"psnr": psnr, "bytes_per_record": bytes_per_record, "quality": quality}
    check_options(output, wanted, overlap=overlap, append=append, force=force, dry_run=dry_run)
    check_bound(wanted, max_error=max_error, lossless=lossless, overlap=overlap)
    check_model(
        model,
        {**wanted, "overlap": overlap, "effort": effort or None, "chunk_records": chunk_records},
        {"dry_run": dry_run, "embed_model": embed_model, "append": append},
        kind=kind,
        is_bounded=lossless or max_error is not None,
    )

    from narrows.archive.appending import check_chunk_records, check_together, metadata_of
    from narrows.archive.description import check_readable
    from narrows.archive.quality import choose_quality
    from narrows.cli.dry_run import print_trials
    from narrows.codec import read_frozen

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
            data, output, {"limit": limit, **reading}, max_error=max_error, lossless=lossless, **values,
            as_records=kind == "records", force=force, threads=threads, as_json=as_json, quiet=quiet,
        )  # fmt: skip
        return
    if append:
        check_readable(output)
    before = metadata_of(output) if append else None
    bound = {"max_error": max_error, "lossless": lossless}
    asked: dict[str, Any] = {**wanted, **bound, "overlap": overlap, "effort": effort}
    check_together(**asked, before=before)
    codec = read_frozen(model)
    choose_quality(codec, psnr=psnr, quality=quality)
    source = open_data(data, shape=codec.shape, limit=limit, quiet=quiet, **reading)
    chosen = choose(source, codec, asked, model=model, output=output, before=before, fill_value=fill_value)

    loaded = load_model(model, device)
    how = {**values, "embed_model": embed_model, "chunk_records": chunk_records, "threads": threads}
    if dry_run:
        print_trials(source, loaded, model, chosen, asked, as_json=as_json, quiet=quiet, **how)
        return
    how |= {"append": append, "force": force}
    _compress(source, loaded, model, output, {**asked, **how}, as_json=as_json, quiet=quiet)


def _compress(
    source: Source,
    loaded: Autoencoder,
    model: str,
    output: str,
    options: dict[str, Any],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compress records with a model, and print the result."""
    from narrows.archive import inspect
    from narrows.archive.compress import compress as write

    # The summary contains the warnings.
    with through_file(output) as path, show_progress(quiet=quiet) as progress, recorded(held=True):
        summary = write(source, path, model=loaded, **options, progress=progress)
        made = inspect(path)
        lines = _lines(replace(summary, path=output), source, model, made.fixed_bytes, made.n_chunks, quiet=quiet)
    if as_json:
        print_json({**summary.to_json(), "path": output})
    else:
        print_lines(*lines)
    for warning in summary.warnings:
        say(warning)


def _lines(
    summary: Summary, source: Source, model: str, fixed: int, n_chunks: int, *, quiet: bool = False
) -> list[str]:
    """Return the result as lines: a table, and unless quiet which kernels ran and whether the model is worth its bytes.

    ``fixed`` are the bytes of header and index.
    """
    from narrows.codec.kernels import kernels_line

    is_more = summary.total_records > summary.records
    max_error = summary.max_error if source.dtype.kind == "f" else int(summary.max_error)
    of_all = f"of all {summary.total_records:,} records" if is_more else ""
    rows = [
        ("records", number(summary.records), "", f"{shape_text(source.shape)} {source.dtype.name} from {source.name}"),
        ("bytes on disk", number(summary.n_bytes), "", of_all),
        *_fixed_rows(summary, fixed),
        ("bytes a record", number(summary.bytes_per_record), "", ""),
        ("ratio to raw", number(summary.ratio_to_raw), "", f"{count(summary.raw_bytes, 'byte')} uncompressed"),
        (
            "ratio to zstd",
            number(summary.ratio_to_zstd),
            "",
            f"{count(summary.zstd_bytes, 'byte')} by zstd -19, which is lossless",
        ),
        *_kept_rows(summary),
        *text_rows(summary),
        *_bound_rows(summary),
        _psnr_row(summary),
        *_wrong_rows(summary, source.dtype.kind),
        *_effort_rows(summary),
        ("largest error", number(max_error), "", "of any value, in the data's own units"),
        ("the model", number(summary.model_bytes), "bytes", _where_model_is(summary, model)),
    ]
    table = [f"{summary.path}", "", *aligned(rows, right=[1], indent=2)]
    return table if quiet else [*table, "", kernels_line(summary.kernels), _worth(summary, fixed, n_chunks)]


def _fixed_rows(summary: Summary, fixed: int) -> list[tuple[str, str, str, str]]:
    """Return a row on the bytes that do not depend on the number of records, if their share is large."""
    what = "header and index"
    if summary.model_embedded:
        what, fixed = "header, index and model", fixed + summary.model_bytes
    share = fixed / summary.n_bytes
    if share <= MUCH:
        return []
    return [("fixed bytes", number(fixed), "", f"{what}, {share:.0%} of the file; more records hardly add to them")]


def _kept_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return a row on how chunks are encoded, if there is a bound."""
    if not summary.chunks_kept:
        return []
    ways = ", ".join(f"{n:,} {_WAYS.get(way, way)}" for way, n in summary.chunks_kept.items())
    return [("chunks", number(sum(summary.chunks_kept.values())), "", ways)]


def _bound_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return rows on the error bound, with the range of the values, and on the fill value, if there are any."""
    if not summary.error_bound or summary.values_range is None:
        return []
    low, high = summary.values_range
    rows = [("error bound", number(summary.error_bound), "", f"the values are from {low:.6g} to {high:.6g}")]
    if summary.fill_value is not None:
        of_model = ", the fill value of the model" if summary.fill_of_model else ""
        exactly = f"{summary.fill_value:.17g}{of_model}, restored exactly"
        rows.append(("fill values", number(summary.n_fill), "", exactly))
    return rows


def _psnr_row(summary: Summary) -> tuple[str, str, str, str]:
    expected = ""
    if summary.expected_psnr_db is not None:
        expected = f"expected: {psnr_text(summary.expected_psnr_db)}, measured on the training data"
        expected += ", without effort" if summary.effort else ""
    if summary.max_error == 0:
        return ("PSNR", "-", "", "restored exactly")
    if summary.psnr_db is None:
        return ("PSNR", "-", "", "not defined: the training data have no range")
    return ("PSNR", number(summary.psnr_db), "dB", expected)


def _effort_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return a row on the effort, if there was any."""
    if summary.effort == 0:
        return []
    return [("effort", number(summary.effort), "", "the code of each record was refined; reading takes no longer")]


def _wrong_rows(summary: Summary, kind: str) -> list[tuple[str, str, str, str]]:
    """Return a row on the share of wrong values of data of 0 and 1, of which that is the only kind of error."""
    if kind != "b" or summary.psnr_db is None or summary.max_error == 0:
        return []
    share = 10 ** (-summary.psnr_db / 10)  # the mean squared error
    return [("wrong values", f"{100 * share:.2f}", "%", "0 for 1 or 1 for 0; --lossless restores all values")]


def _where_model_is(summary: Summary, model: str) -> str:
    if summary.model_embedded:
        return "needed for reading; inside, and counted above"
    return f"also needed for reading, in {os.path.basename(model)}: keep it"


def _worth(summary: Summary, fixed: int, n_chunks: int) -> str:
    """Return a sentence on the number of records at which archive and model are smaller than zstd's file."""
    if summary.chunks_kept and not summary.chunks_kept.keys() & _BY_MODEL:
        return "No chunk uses the model: these records are as small without it."
    if summary.pays_after is None:
        ours = summary.n_bytes - (summary.model_bytes if summary.model_embedded else 0)
        if n_chunks > 1 and ours < n_chunks * _SMALL_CHUNK_BYTES:
            return (
                f"The {n_chunks:,} chunks are too small to tell when the model pays for itself: they take "
                f"{number(ours / n_chunks)} bytes each, much of which does not depend on the records. Larger chunks "
                "(--chunk-records) make the archive smaller."
            )
        theirs = f"and zstd, which is lossless, takes {number(summary.zstd_bytes / summary.total_records)}"
        if ours - fixed < summary.zstd_bytes or fixed > ours / 2:
            each = number((ours - fixed) / summary.total_records)
            return (
                "There are too few records to tell when the model pays for itself: "
                f"without header and index they take {each} bytes each, {theirs}."
            )
        return (
            "The model never pays for itself on records like these: "
            f"they take {number(ours / summary.total_records)} bytes each without it, {theirs}."
        )
    from_there = f"archive and model together beat zstd from {count(summary.pays_after, 'record')} on"
    if summary.pays_after <= summary.total_records:
        return f"The model has paid for itself: {from_there}."
    return f"The model has not paid for itself yet: {from_there}."
