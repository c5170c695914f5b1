"""``narrows restore``."""

from __future__ import annotations

import click

from narrows.cli.console import count, print_json, print_written, shape_text
from narrows.cli.inputs import archive_file
from narrows.cli.only import check_only, chosen_records
from narrows.cli.options import (
    archive_model_option,
    output_option,
    piped_archive_argument,
    threads_option,
    write_options,
)
from narrows.cli.outputs import Verb
from narrows.cli.progress import show_progress

__all__ = ["restore"]

EPILOG = """
\b
The name of OUT decides the format:
  x.npy                           one array (n, *shape)
  x.idx, t10k-images-idx3-ubyte   an IDX file; gzipped if .gz follows
  x.csv, x.wav                    series with their times and names, or sound; other arrays as rows or samples
  folder/                         PNG images, under their original names; names that would be
                                  the same, as of a.bmp and a.png, become a.bmp.png and a.png.png
  x.csv, x.parquet, x.feather     tables; a table of a CSV file as the same file again
  -                               standard output: tables and series of a CSV file as such a file, texts as lines,
                                  all others as a .npy file

--force replaces an existing file. In a folder, it replaces files of the same names and keeps other files, but
files of these names that are older than the archive are refused: they may be the originals.
"""


@click.command(cls=Verb, epilog=EPILOG)
@piped_archive_argument
@output_option("OUT", "Output; see below.", pipe=True)
@archive_model_option
@click.option(
    "--only",
    multiple=True,
    metavar="RECORDS",
    help="Records to restore: numbers from 0, ranges START:STOP (STOP excluded) and names shown by `narrows list`, "
    "separated by commas, for example 5,9,20:30 or cats/a.png. It can be repeated; a name with a comma needs an --only "
    "of its own. Of series: steps, 1000:2000, or times, 2024-03-01:2024-03-08.",
)
@threads_option
@write_options
def restore(
    *,
    archive: str,
    output: str,
    model: str | None,
    only: tuple[str, ...],
    threads: int | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Restore the records of FILE.narrows. The restored bytes are the same on every machine.

    With --only, only the chunks that contain those records are read and decoded, and files in a folder have the names
    that they have when all are restored. Records are written only if their checksums are right.
    """
    check_only(only)

    from narrows.archive import open_archive
    from narrows.archive.restore import restore_to
    from narrows.data.writing import check_target

    check_target(output, force=force)
    with (
        open_archive(archive_file(archive), model=model, threads=threads) as opened,
        show_progress(quiet=quiet) as progress,
    ):
        records = chosen_records(opened, only) if only else range(len(opened))
        path = restore_to(opened, records, output, force=force, progress=progress)
        n, shape, dtype, unit = len(records), opened.shape[1:], opened.dtype.name, opened.items.unit
    if as_json:
        print_json({"path": str(path), "records": n, "shape": shape, "dtype": dtype})
    elif unit == "text":
        print_written(f"{path}  {count(n, 'text')}")
    elif unit == "row":
        print_written(f"{path}  {count(n, 'row')} of {count(shape[0], 'column')}")
    else:
        what = f"{count(n, 'record')} of {shape_text(shape)}" if shape else f"{count(n, 'value')} of"
        print_written(f"{path}  {what} {dtype}")
