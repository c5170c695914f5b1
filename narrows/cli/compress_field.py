"""``narrows compress`` without a model: one array within a bound."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from narrows.cli.archive import WAYS
from narrows.cli.compress_table import compress_table, opened_table
from narrows.cli.compressed import range_text, text_rows, yardstick_rows
from narrows.cli.console import aligned, count, number, print_json, print_written, shape_text
from narrows.cli.progress import show_progress
from narrows.cli.warned import say
from narrows.errors import recorded
from narrows.io.pipes import through_file
from narrows.io.text import psnr_text

if TYPE_CHECKING:
    from narrows.archive.summary import Summary
    from narrows.data.field import FieldSource

__all__ = ["compress_without_model"]

_WAYS = {
    "interpolation": "by interpolation",
    "bisection": "by bisection",
    "bisection over channels": "by bisection over channels",
    "neighbours": "by prediction from neighbours",
    "zstd": "by zstd",
    "plain": "uncompressed",
}
_BITS = 8


def compress_without_model(
    data: str,
    output: str,
    reading: dict[str, Any],
    as_table: dict[str, Any],
    *,
    kind: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compress a table or an array, and print the result.

    ``reading`` are options of `narrows.data.field.open_field`, ``as_table`` those of `table_options`, and ``options``
    others of `compress_field`.
    """
    from narrows.archive.field_writer import compress_field
    from narrows.data.field import open_field

    table = opened_table(data, {**reading, **as_table}, kind=kind, options=options, quiet=quiet)
    if table is not None:
        compress_table(table, output, force=force, threads=options["threads"], as_json=as_json, quiet=quiet)
        return
    options["as_records"] = kind == "records"

    with recorded(held=True):
        with show_progress(quiet=quiet) as progress:
            opened = open_field(data, progress=progress, **reading)
        with through_file(output) as path, show_progress(quiet=quiet) as progress:
            summary = compress_field(opened, path, force=force, progress=progress, **options)
    if as_json:
        print_json({**summary.to_json(), "path": output})
    else:
        print_written(*_lines(replace(summary, path=output), opened, quiet=quiet))
    for warning in summary.warnings:
        say(warning)


def _lines(summary: Summary, opened: FieldSource, *, quiet: bool) -> list[str]:
    """Return the result as lines; see `result_lines`."""
    from narrows.codec.kernels import kernels_line

    if summary.characters_right is not None:
        table = [f"{summary.path}", "", *aligned(_rows_of_text(summary, opened, quiet=quiet), right=[1], indent=2)]
        return table if quiet else [*table, "", kernels_line(summary.kernels)]
    values = opened.values
    max_error = summary.max_error if values.dtype.kind == "f" else int(summary.max_error)
    ways = ", ".join(f"{n:,} {_WAYS[way]}" for way, n in summary.chunks_kept.items())
    rows = [
        (
            "values",
            number(values.size),
            "",
            f"{shape_text(values.shape)} {values.dtype.name} from {opened.source.name}",
        ),
        ("bytes on disk", number(summary.n_bytes), "", "no model is needed to restore them"),
        ("bits a value", number(_BITS * summary.n_bytes / values.size), "", ""),
        ("ratio to raw", number(summary.ratio_to_raw), "", f"{count(summary.raw_bytes, 'byte')} uncompressed"),
        *([] if quiet else yardstick_rows(summary)),
        ("blocks", number(sum(summary.chunks_kept.values())), "", ways),
    ]
    if summary.error_bound and summary.values_range is not None:
        low, high = summary.values_range
        rows.append(("error bound", f"{summary.error_bound:.4g}", "", f"the values are from {low:.6g} to {high:.6g}"))
    rows += text_rows(summary)
    if summary.fill_value is not None:
        rows.append(("fill values", number(summary.n_fill), "", f"{summary.fill_value:.17g}, restored exactly"))
    if summary.max_error == 0:
        rows.append(("PSNR", "-", "", "restored exactly"))
    elif summary.psnr_db is not None:
        rows.append(("PSNR", psnr_text(summary.psnr_db).removesuffix(" dB"), "dB", range_text(summary)))
    rows.append(("largest error", number(max_error) if max_error else "0", "", "of any value, in the data's own units"))
    table = [f"{summary.path}", "", *aligned(rows, right=[1], indent=2)]
    return table if quiet else [*table, "", kernels_line(summary.kernels)]


def _rows_of_text(summary: Summary, opened: FieldSource, *, quiet: bool) -> list[tuple[str, str, str, str]]:
    """Return the rows of the table for text."""
    ways = ", ".join(f"{n:,} {WAYS[way]}" for way, n in summary.chunks_kept.items())
    return [
        ("texts", number(summary.records), "", f"from {opened.source.name}"),
        ("bytes on disk", number(summary.n_bytes), "", "no model is needed to restore them"),
        ("bytes a text", number(summary.bytes_per_record), "", ""),
        ("ratio to raw", number(summary.ratio_to_raw), "", f"{count(summary.raw_bytes, 'byte')} uncompressed"),
        *([] if quiet else yardstick_rows(summary)),
        ("chunks", number(sum(summary.chunks_kept.values())), "", ways),
        ("characters right", "100.00%", "", "restored byte for byte"),
    ]
