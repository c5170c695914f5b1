"""``narrows compress``."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import click

from narrows.cli.archive import MUCH, fixed_bytes
from narrows.cli.console import aligned, count, note, number, print_json, print_lines, shape_text
from narrows.cli.inputs import check_archive_output, check_not_read, load_model, open_data
from narrows.cli.options import (
    data_argument,
    data_options,
    device_option,
    model_option,
    output_option,
    write_options,
)
from narrows.cli.progress import on_records
from narrows.errors import RangeWarning

if TYPE_CHECKING:
    from narrows.archive.summary import Summary
    from narrows.data import Source

__all__ = ["compress"]

EPILOG = """
A model has several qualities, from coarse to fine. Without --psnr and --bytes-per-record the one is taken that loses
next to nothing beside the model's own error. A model trained by `narrows train --recipe codec --psnr DB` takes the
least bytes at that quality.

With --max-error and --lossless an archive keeps what the model gets wrong as well, as far as asked; a model trained by
`narrows train --recipe lossless` makes these files small. Such data may hold NaNs and infinities. The code is
then chosen for the smallest file, so these options take no --psnr, --bytes-per-record or --overlap.

Images larger than those that the model was trained on are cut into tiles, and come back whole. Tiles that only meet
may show their seams; with --overlap they are blended.

\b
Keep the model: without it an archive cannot be read. --embed-model puts in what reading takes,
so that FILE.narrows is all that anybody needs.
"""


_WAYS = {
    "code and rest": "by the code and what it misses",
    "neighbours": "by what values say of their neighbours",
    "network": "by the model's network for values",
    "zstd": "by zstd",
    "plain": "as they are",
}
"""Ways to keep chunks, in words."""


@click.command(epilog=EPILOG)
@data_argument
@model_option
@output_option("FILE.narrows", "Where to write the archive.")
@click.option("--psnr", type=float, metavar="DB", help="The quality to reach, with as few bytes as the model can.")
@click.option(
    "--bytes-per-record", type=float, metavar="B", help="The bytes that a record or tile may take; best quality."
)
@click.option(
    "--max-error", metavar="E", help="No value comes back further off: in the data's units, or 1% of its range."
)
@click.option("--lossless", is_flag=True, help="Every bit comes back.")
@click.option(
    "--overlap",
    type=int,
    metavar="PIXELS",
    help="How far the tiles of larger images overlap; by default 0, or as in the archive that is appended to.",
)
@click.option("--embed-model", is_flag=True, help="Put into the archive what reading it takes of the model.")
@click.option("--append", is_flag=True, help="Add to an archive that is there, of the same model, quality and bound.")
@data_options
@device_option
@write_options
def compress(
    *,
    data: str,
    model: str,
    output: str,
    psnr: float | None,
    bytes_per_record: float | None,
    max_error: str | None,
    lossless: bool,
    overlap: int | None,
    embed_model: bool,
    append: bool,
    limit: int | None,
    resize: str | None,
    key: str | None,
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Pack DATA into a small archive, FILE.narrows, that `narrows restore` turns back into records.

    What comes back is not quite what went in, as with a JPEG; how much is lost is measured on these very records and
    said at the end. With --max-error no value comes back further off than that, with --lossless every bit does. Every
    machine restores the same bytes.
    """
    _check_options(psnr=psnr, bytes_per_record=bytes_per_record, append=append, force=force)
    qualities = {"--psnr": psnr, "--bytes-per-record": bytes_per_record}
    _check_bound(qualities, max_error=max_error, lossless=lossless, overlap=overlap)
    check_not_read(output, (data, model))
    check_archive_output(output, force=force or append)

    from narrows.archive import inspect
    from narrows.archive.appending import bound_for, check_together, metadata_of
    from narrows.archive.compress import compress as write
    from narrows.archive.layouts import tiling_of
    from narrows.archive.quality import choose_quality
    from narrows.codec import read_frozen

    # What can be refused before PyTorch is loaded, which takes seconds.
    before = None
    if append:
        inspect(output)
        before = metadata_of(output)
    check_together(
        psnr=psnr,
        bytes_per_record=bytes_per_record,
        max_error=max_error,
        lossless=lossless,
        overlap=overlap,
        before=before,
    )
    codec = read_frozen(model)
    choose_quality(codec, psnr=psnr, bytes_per_record=bytes_per_record)
    source = open_data(data, limit=limit, resize=resize, key=key, quiet=quiet)
    bound_for(output, before, source, max_error=max_error, lossless=lossless)
    tiling_of(source, codec, overlap, before)

    loaded = load_model(model, device)
    with on_records("compressing", quiet=quiet) as tell, warnings.catch_warnings():
        warnings.simplefilter("ignore", RangeWarning)  # the summary has them
        summary = write(
            source,
            output,
            model=loaded,
            psnr=psnr,
            bytes_per_record=bytes_per_record,
            max_error=max_error,
            lossless=lossless,
            overlap=overlap,
            embed_model=embed_model,
            append=append,
            force=force,
            watcher=tell,
        )
    if as_json:
        print_json(summary.to_json())
    else:
        print_lines(*_lines(summary, source, model, fixed_bytes(summary.path), quiet=quiet))
    for warning in summary.warnings:
        note(f"Warning: {warning}", quiet=quiet)


def _check_options(*, psnr: float | None, bytes_per_record: float | None, append: bool, force: bool) -> None:
    """Refuse options that contradict each other, before anything is opened."""
    if psnr is not None and bytes_per_record is not None:
        raise click.UsageError("--psnr and --bytes-per-record each choose the quality. Give one of them.")
    for option, value in (("--psnr", psnr), ("--bytes-per-record", bytes_per_record)):
        if value is not None and not 0 < value < float("inf"):
            raise click.UsageError(f"{option} must be a number above 0. Got {value:g}.")
    if append and force:
        raise click.UsageError("--append adds to an archive and --force replaces one. Give one of them.")


def _check_bound(asked: dict[str, float | None], *, max_error: str | None, lossless: bool, overlap: int | None) -> None:
    """Refuse options that have no use, or no sense, beside a bound."""
    if lossless and max_error is not None:
        raise click.UsageError("--lossless has no error, and --max-error allows some. Give one of them.")
    if not lossless and max_error is None:
        return
    bound = "--lossless" if lossless else "--max-error"
    for option, value in asked.items():
        if value is not None:
            raise click.UsageError(
                f"{option} chooses the quality of the code, of which {bound} leaves nothing in what comes back: "
                "there it is chosen for the smallest file. Give one of them."
            )
    if overlap:
        raise click.UsageError(f"Tiles have no seams with {bound}, so --overlap has no use. Got {overlap}.")


def _lines(summary: Summary, source: Source, model: str, fixed: int, *, quiet: bool = False) -> list[str]:
    """Return what came of it: a table, and unless quiet which kernels ran and whether the model is worth its bytes.

    ``fixed`` are the bytes of header and index.
    """
    from narrows.codec.inner import kernels_line

    is_more = summary.total_records > summary.records
    max_error = summary.max_error if source.dtype.kind == "f" else int(summary.max_error)
    of_all = f"of all {summary.total_records:,} records" if is_more else ""
    rows = [
        ("records", number(summary.records), "", f"{shape_text(source.shape)} {source.dtype.name} from {source.name}"),
        ("bytes on disk", number(summary.n_bytes), "", of_all),
        *_fixed_rows(summary, fixed),
        ("bytes a record", number(summary.bytes_per_record), "", ""),
        ("ratio to raw", number(summary.ratio_to_raw), "", f"{count(summary.raw_bytes, 'byte')} as they were"),
        (
            "ratio to zstd",
            number(summary.ratio_to_zstd),
            "",
            f"{count(summary.zstd_bytes, 'byte')} by zstd -19, which loses nothing",
        ),
        *_kept_rows(summary),
        _psnr_row(summary),
        ("largest error", number(max_error), "", "of any value, in the data's own units"),
        ("the model", number(summary.model_bytes), "bytes", _where_model_is(summary, model)),
    ]
    table = [f"{summary.path}", "", *aligned(rows, right=[1], indent=2)]
    return table if quiet else [*table, "", kernels_line(summary.kernels), _worth(summary, fixed)]


def _fixed_rows(summary: Summary, fixed: int) -> list[tuple[str, str, str, str]]:
    """Return a row on what the file has for any number of records, if that is much of it."""
    what = "header and index"
    if summary.model_embedded:
        what, fixed = "header, index and model", fixed + summary.model_bytes
    share = fixed / summary.n_bytes
    if share <= MUCH:
        return []
    return [("fixed bytes", number(fixed), "", f"{what}, {share:.0%} of the file; more records hardly add to them")]


def _kept_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return a row on how chunks are kept, where there is a bound."""
    if not summary.chunks_kept:
        return []
    ways = ", ".join(f"{n:,} {_WAYS.get(way, way)}" for way, n in summary.chunks_kept.items())
    return [("chunks", number(sum(summary.chunks_kept.values())), "", ways)]


def _psnr_row(summary: Summary) -> tuple[str, str, str, str]:
    known = summary.expected_psnr_db is not None
    expected = f"expected: {number(summary.expected_psnr_db)} dB, as of the training data" if known else ""
    if summary.psnr_db is None:
        return ("PSNR", "-", "", "restored exactly")
    return ("PSNR", number(summary.psnr_db), "dB", expected)


def _where_model_is(summary: Summary, model: str) -> str:
    if summary.model_embedded:
        return "that reading takes; inside, and counted above"
    return f"that reading takes besides, in {os.path.basename(model)}: keep it"


def _worth(summary: Summary, fixed: int) -> str:
    """Return in a sentence at how many records the model has paid for itself."""
    if summary.pays_after is None:
        ours = summary.n_bytes - (summary.model_bytes if summary.model_embedded else 0)
        theirs = f"and zstd, which loses nothing, takes {number(summary.zstd_bytes / summary.total_records)}"
        if ours - fixed < summary.zstd_bytes or fixed > ours / 2:
            each = number((ours - fixed) / summary.total_records)
            return (
                "These are too few records to say from when on the model pays for itself: "
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
