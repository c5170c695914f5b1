"""The options of ``narrows compress`` that ``narrows plan`` has as well: how good an archive is, and what is in it."""

from __future__ import annotations

import click

from narrows.cli.options import together
from narrows.cli.outputs import READS

__all__ = ["bound_options", "quality_options", "stored_options"]

quality_options = together(
    click.option("--psnr", type=float, metavar="DB", help="Reach this quality with the fewest bytes, by any way."),
    click.option(
        "--bytes-per-record", type=float, metavar="B", help="Best quality in at most B bytes for each record."
    ),
    click.option(
        "--quality",
        type=int,
        metavar="K",
        help="Number of a quality, from 0, the coarsest; see `narrows compress --dry-run`.",
    ),
)
bound_options = together(
    click.option(
        "--max-error",
        metavar="E",
        help="Largest error of any value: in the data's units, or 1% of their range. Also beside --psnr.",
    ),
    click.option(
        "--fill-value",
        type=float,
        metavar="V",
        help="With --max-error: a value that stands for missing ones; it is restored exactly and is no part of the "
        "range.  [default: that of the model]",
    ),
    click.option("--lossless", is_flag=True, help="Restore every bit."),
    click.option(
        "--accept-loss",
        metavar="KINDS",
        help="With --lossless: what reading image files may lose: frames, cmyk, depth or alpha, or several with "
        "commas.",
    ),
)
stored_options = together(
    click.option(
        "--overlap",
        type=int,
        metavar="PIXELS",
        help="Overlap of the tiles of larger images, in pixels; by default 0, or that of the archive to append to.",
    ),
    click.option(
        "--effort",
        type=click.IntRange(0, 9),
        default=0,
        show_default=True,
        help="More effort: fewer bytes at the same quality, in more time. Reading takes no longer.",
    ),
    click.option(
        "--embed-model", is_flag=True, help="Store the decoder in the archive, so that reading needs no model."
    ),
    click.option(
        "--chunk-records",
        type=int,
        metavar="N",
        help="Largest number of records in a chunk. Smaller chunks make single records faster to read and the archive "
        "larger; shards consist of chunks.  [default: up to 16,384; with --max-error or --lossless up to 4,096; with a "
        "residual model fewer]",
    ),
    click.option(
        "--labels",
        type=READS,
        metavar="FILE|auto",
        help="Store a label with each record, for `narrows search`: auto: those that come with DATA; or those in a "
        ".npy or IDX file, or on the lines of a text.",
    ),
    click.option(
        "--keep-codes",
        is_flag=True,
        help="With --max-error or --lossless: keep codes that restoring does not need, to search the archive.",
    ),
)
