"""``narrows restore``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import count, print_json, print_lines, shape_text
from narrows.cli.options import archive_argument, archive_model_option, output_option, write_options
from narrows.cli.outputs import Verb
from narrows.cli.progress import show_progress

if TYPE_CHECKING:
    from narrows.archive import Archive
    from narrows.io.progress import Progress

__all__ = ["parse_range", "restore"]

EPILOG = """
\b
The name of OUT decides the format:
  x.npy                           one array (n, *shape)
  x.idx, t10k-images-idx3-ubyte   an IDX file; gzipped if .gz follows
  folder/                         PNG images, under their original names; names that would be
                                  the same, as of a.bmp and a.png, become a.bmp.png and a.png.png
  -                               standard output, which gets a .npy file

--force replaces an existing file. In a folder, it replaces files of the same names and keeps other files, but
files of these names that are older than the archive are refused: they may be the originals.
"""


@click.command(cls=Verb, epilog=EPILOG)
@archive_argument
@output_option("OUT", "Output; see below.", pipe=True)
@archive_model_option
@click.option("--only", metavar="START:STOP", help="Only these records, counted from 0: 100:200, 100:, :50 or 7.")
@write_options
def restore(
    *, archive: str, output: str, model: str | None, only: str | None, force: bool, as_json: bool, quiet: bool
) -> None:
    """Restore the records of FILE.narrows, the same bytes on every machine.

    With --only, only the chunks that contain those records are read and decoded. Records are written only if their
    checksums are right.
    """
    wanted = (0, None) if only is None else parse_range(only)

    from narrows.archive import open_archive
    from narrows.archive.originals import check_originals
    from narrows.data.writing import check_target, stream

    check_target(output, force=force)
    with open_archive(archive, model=model) as opened, show_progress(quiet=quiet) as progress:
        records = _within(wanted, len(opened), archive, only)
        check_originals(opened, records, output)
        path = stream(
            output,
            _pieces(opened, records, progress),
            shape=(len(records), *opened.shape[1:]),
            dtype=opened.dtype,
            files=lambda: opened.names(records),
            force=force,
        )
        n, shape, dtype = len(records), opened.shape[1:], opened.dtype.name
    if as_json:
        print_json({"path": str(path), "records": n, "shape": shape, "dtype": dtype})
    else:
        print_lines(f"{path}  {count(n, 'record')} of {shape_text(shape)} {dtype}")


def parse_range(text: str) -> tuple[int, int | None]:
    """Return the first record of ``--only`` and the one after the last, None for the end.

    Raises
    ------
    click.UsageError
        If the text has another form, or selects no records.

    Examples
    --------
    >>> parse_range("100:200"), parse_range(":50"), parse_range("100:"), parse_range("7")
    ((100, 200), (0, 50), (100, None), (7, 8))
    """
    found = re.fullmatch(r"\s*(\d{0,18})\s*(?:(:)\s*(\d{0,18})\s*)?", text, re.ASCII)
    first, colon, last = found.groups(default="") if found else ("", "", "")
    if not first and not colon:
        hint = ""
        if re.search(r"-\s*\d", text, re.ASCII):
            hint = " Numbers count from 0, the first record, and cannot be negative; `narrows info` shows how many "
            hint += "there are."
        raise click.UsageError(
            f"--only must have the form START:STOP, for example 100:200, 100:, :50 or 7. Got {text!r}.{hint}"
        )
    start, end = int(first or 0), int(last) if last else None
    stop = end if colon else start + 1
    if stop is not None and stop <= start:
        raise click.UsageError(
            f"The STOP of --only must be above START, since the record STOP is not included. Got {text}."
        )
    return start, stop


def _within(wanted: tuple[int, int | None], n: int, archive: str, only: str | None) -> range:
    """Return the range of requested records, after checking that all of them exist."""
    from narrows.errors import InvalidParameterError

    start, stop = wanted[0], n if wanted[1] is None else wanted[1]
    if only is not None and not start < stop <= n:
        numbers = f", numbered 0 to {n - 1:,}" if n else ""
        hint = f" The STOP must be at most {n}; {start}: selects all from record {start} on." if start < n else ""
        raise InvalidParameterError(f"{archive} has {count(n, 'record')}{numbers}. Got --only {only}.{hint}")
    return range(start, stop)


def _pieces(opened: Archive, records: range, progress: Progress | None) -> Iterator[Any]:
    """Yield the records as they are restored, and report the progress."""
    done = 0
    for piece in opened.pieces(records):
        yield piece
        done += len(piece)
        if progress is not None:
            progress("restoring", done, len(records), "records")
