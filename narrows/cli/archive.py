"""``narrows verify`` and ``recover``, and the description of an archive for ``info``."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.about_table import about_table, size_lines
from narrows.cli.console import aligned, count, number, print_json, print_lines, print_written, shape_text
from narrows.cli.inputs import archive_file, check_archive_output
from narrows.cli.options import (
    archive_argument,
    archive_model_option,
    json_option,
    output_option,
    piped_archive_argument,
    quiet_option,
    threads_option,
    write_options,
)
from narrows.cli.outputs import Verb
from narrows.cli.verbs import FAILED
from narrows.cli.warned import say
from narrows.io.text import psnr_text

if TYPE_CHECKING:
    from narrows.archive import Description, Report
    from narrows.archive.layouts import Field

__all__ = ["MUCH", "WAYS", "about", "recover", "verify"]

MUCH = 0.1
"""Fixed bytes are reported if their share of an archive is at least this."""

_KINDS = {
    "array": "an array",
    "idx": "an IDX file",
    "named": "a named data set",
    "npy": "a .npy file",
    "npz": "an array of a .npz file",
}
"""In words; other formats are called by their titles."""

WAYS = {
    "code": "by the code alone",
    "code and rest": "by the code and its residual",
    "neighbours": "by prediction from neighbours",
    "network": "by the residual model",
    "levels": "pixels rounded to levels, by the residual model",
    "bytes": "byte by byte, from the text before",
    "zstd": "by zstd",
    "plain": "uncompressed",
}
"""Descriptions of the ways to encode a chunk."""

_INSIDE, _OUTSIDE = "inside", "not inside: reading needs its file (-m MODEL)"
_UNUSED = "not inside: no chunk uses it"
_NOT_RESTORED = "The restored records were not compared with the compressed ones: that needs the model (-m MODEL)."


@click.command(cls=Verb)
@piped_archive_argument
@archive_model_option
@threads_option
@json_option
@quiet_option
def verify(*, archive: str, model: str | None, threads: int | None, as_json: bool, quiet: bool) -> None:
    """Check that FILE.narrows is intact. The exit code is 0 if it is, and 1 if anything is damaged.

    Every byte is checked. If the model is given or inside, every record is restored and checked too. With --quiet,
    nothing is printed if the archive is intact.
    """
    import narrows.archive

    report = narrows.archive.verify(archive_file(archive), model=model, threads=threads)
    if as_json:
        print_json({**report.to_json(), "is_intact": report.is_intact})
    elif not (quiet and report.is_intact):
        print_lines(*(_whole(report) if report.is_intact else _damaged(report)))
    if not report.is_intact:
        raise click.exceptions.Exit(FAILED)


@click.command(cls=Verb)
@archive_argument
@output_option("OUT.narrows", "Output: the new archive.")
@archive_model_option
@write_options
def recover(*, archive: str, output: str, model: str | None, force: bool, as_json: bool, quiet: bool) -> None:
    """Copy the intact records of the damaged FILE.narrows into a new archive, and list the lost ones.

    The intact records keep their order and are numbered from 0 without gaps. FILE.narrows is not changed. The exit
    code is 0 if a new archive was written, even if records are lost; a warning then says how many.
    """
    import narrows.archive

    check_archive_output(output, force=force)
    saved = narrows.archive.recover(archive, output, model=model, force=force)
    for warning in saved.warnings:
        say(warning)
    if as_json:
        print_json(saved.to_json())
        return
    kept = f"{saved.path}  {_amount(saved.report, saved.n_records, saved.n_chunks)}"
    needs_model = narrows.archive.inspect(saved.path).needs_model
    model_note = ["It does not contain its model: restoring needs the one it was made with."] if needs_model else []
    if saved.report.is_intact:
        print_written(kept, *model_note, "", f"{archive} was not damaged.")
    else:
        print_written(kept, *model_note, "", *_damaged(saved.report))


def about(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the description of an archive, as JSON and as lines; no model is needed.

    Raises
    ------
    ArchiveError, CorruptArchiveError
        If it is too damaged to be opened, or comes from a newer narrows.
    """
    import narrows.archive
    from narrows.archive.metadata import NO_MODEL

    if (field := narrows.archive.inspect(path).field) is not None:
        return _about_field(narrows.archive.inspect(path), field)
    if narrows.archive.inspect(path).metadata.get("table") is not None:
        return about_table(path)
    found, psnr_db = narrows.archive.inspect(path), narrows.archive.expected_psnr_db(path)
    metadata, container = found.metadata, found.metadata["container"]
    is_bounded = metadata.get("max_error") is not None
    one = "record" if found.tiling is None else "tile"
    is_text = metadata.get("text") is not None
    is_without = metadata["model"] == NO_MODEL
    restored = "of any length" if is_text else f"{number(found.restored_bytes)} bytes restored"
    rows = [
        ("archive", f"{found.path}, {found.n_bytes:,} bytes, written by narrows {metadata['narrows']}"),
        ("records" if found.tiling is None else "images", f"{_contents(found)}, {restored}"),
        ("bytes", _bytes_each(found)),
        ("model", "none, and none is needed" if is_without else f"{found.model_id}, {_where(found)}"),
        *([] if is_bounded else [("quality", _quality(metadata["quality"], psnr_db))]),
        *([] if is_without else [("code", f"{count(metadata['n_symbols'], 'whole number')} a {one}")]),
        *_bound_rows(metadata.get("max_error"), found.largest_error, metadata["dtype"]),
        *_rounded_rows(metadata),
        *_way_rows(found),
        *([] if metadata.get("fill_value") is None else [("fill value", f"{metadata['fill_value']}, kept exactly")]),
        *_series_rows(metadata),
        *_text_rows(metadata, found.n_records),
        *_made_from(container),
    ]
    facts = {**found.to_json(), "expected_psnr_db": psnr_db}
    return facts, [*aligned(rows), *size_lines(found, "chunk")]


def _about_field(found: Description, field: Field) -> tuple[dict[str, Any], list[str]]:
    """Return the description of an archive of a field."""
    metadata = found.metadata
    values = math.prod(field.whole)
    fill = metadata.get("fill_value")
    rows = [
        ("archive", f"{found.path}, {found.n_bytes:,} bytes, written by narrows {metadata['narrows']}"),
        (
            "values",
            f"{shape_text(field.whole)} {metadata['dtype']}{', records' if field.are_records else ', one field'}, "
            f"{number(found.restored_bytes)} bytes restored",
        ),
        ("bits", f"{number(8 * found.n_bytes / values)} a value"),
        ("blocks", f"{found.n_chunks:,} of {shape_text(field.block)}"),
        ("model", "none, and none is needed"),
        *_bound_rows(metadata.get("max_error"), found.largest_error, metadata["dtype"]),
        *([] if fill is None else [("fill value", f"{fill}, kept exactly")]),
        *_series_rows(metadata),
        *_made_from(metadata["container"]),
    ]
    return {**found.to_json(), "expected_psnr_db": None}, [*aligned(rows), *size_lines(found, "block")]


def _where(found: Description) -> str:
    """Return where the model of an archive is."""
    from narrows.archive.model_search import find_model

    if not found.needs_model:
        return _INSIDE if found.has_model else _UNUSED
    file = find_model(found.path, found.model_id if found.metadata.get("parts") else found.metadata["model"])
    return _OUTSIDE if file is None else f"found in {file}"


def _bound_rows(max_error: float | None, largest: float | None, dtype: str) -> list[tuple[str, str]]:
    """Return a row on the error bound, if the archive has one."""
    if max_error is None or largest is None:
        return []
    if max_error == 0:
        return [("kept", "bit for bit")]
    if not dtype.startswith("float"):  # errors of whole numbers are whole numbers
        max_error, largest = int(max_error), int(largest)
    return [("kept", f"every value within {number(max_error)}; the largest error is {number(largest)}")]


def _rounded_rows(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a row on the rounding of pixels, if they are rounded."""
    if metadata.get("rounded") is None:
        return []
    return [("kept", "pixels rounded to a few levels, by their errors and their bytes")]


def _text_rows(metadata: dict[str, Any], n_records: int) -> list[tuple[str, str]]:
    """Return a row on the texts of an archive, if it has any."""
    described = metadata.get("text")
    if not isinstance(described, dict):
        return []
    origin = described.get("origin")
    is_file = isinstance(origin, dict) and origin.get("kind") == "text"
    return [("text", count(n_records, "line" if is_file else "text"))]


def _series_rows(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    """Return rows on the series of an archive, if it has any."""
    described = metadata.get("series") or metadata.get("windows")
    if not isinstance(described, dict):
        return []
    known = metadata.get("windows") or described
    lengths = known.get("lengths") or [(metadata.get("field") or {}).get("shape", [0])[0]]
    channels = described.get("channels")
    text = f"{count(len(lengths), 'series').replace('seriess', 'series')} of {count(sum(lengths), 'step')}"
    rows = [("series", text + (f", {', '.join(map(str, channels))}" if channels else ""))]
    if isinstance(described.get("time"), dict):
        rows.append(("times", f"from the column {described['time'].get('name', 'time')}"))
    digits = (metadata.get("decimals") or {}).get("digits")
    return rows + ([("decimals", f"with {', '.join(map(str, digits))} digits")] if digits else [])


def _way_rows(found: Description) -> list[tuple[str, str]]:
    """Return a row on how chunks are encoded, and one for each other way that was measured, if that is known."""
    rows = []
    if found.chunks_kept:
        ways = ", ".join(f"{n:,} {WAYS.get(way, way)}" for way, n in found.chunks_kept.items())
        rows.append(("way", f"{count(sum(found.chunks_kept.values()), 'chunk')}: {ways}"))
    for name, size, psnr_db in found.other_ways:
        psnr = "exact" if psnr_db is None else psnr_text(psnr_db)
        rows.append(("not taken", f"{WAYS.get(name, name)}: {psnr} in {number(size)} bytes a record, on a sample"))
    return rows


def _made_from(container: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a row that says what was compressed; none if the archive does not say it in a way that is known here."""
    from narrows.data.formats import Format

    kind = container.get("kind")
    titles = {name: known.title for name, known in Format.registry.items()} | _KINDS
    return [("made from", titles[kind])] if isinstance(kind, str) and kind in titles else []


def _contents(found: Description) -> str:
    """Return number and shape of the records, or of the images and their tiles."""
    metadata, tiling = found.metadata, found.tiling
    if metadata.get("text") is not None:
        return f"{found.n_records:,} texts, in records of up to {metadata['record_shape'][0]:,} bytes"
    if tiling is None or found.n_tiles is None:
        return f"{found.n_records:,} of {shape_text(metadata['record_shape'])} {metadata['dtype']}"
    by = f" that overlap by {count(tiling.overlap, 'pixel')}" if tiling.overlap else ""
    return (
        f"{found.n_records:,} of {shape_text(tiling.shape)} {metadata['dtype']}, "
        f"in {count(found.n_tiles, 'tile')} of {shape_text(tiling.tile)}{by}"
    )


def _bytes_each(found: Description) -> str:
    """Return the size of the file for each record, and how much of it is the model inside."""
    from narrows.archive.metadata import NO_MODEL

    if found.bytes_per_tile is None:
        each = f"{number(found.bytes_per_record)} a record"
    else:
        each = f"{number(found.bytes_per_record)} an image, {number(found.bytes_per_tile)} a tile"
    if found.metadata["model"] == NO_MODEL:
        return each
    if not found.has_model:
        return f"{each}; the model's are not among them"
    alone = (found.n_bytes - found.model_bytes) / max(1, found.n_records)
    return f"{each}; {number(alone)} {'a record' if found.n_tiles is None else 'an image'} without the model inside"


def _quality(position: int, psnr_db: float | None) -> str:
    """Return a quality by its PSNR on the training data if that is known, otherwise by its number."""
    if psnr_db is None:
        return f"number {position} of the model's, where 0 is the coarsest; `narrows info MODEL` lists them"
    return f"expected: {psnr_text(psnr_db)}, measured on the training data"


def _amount(report: Report, n_records: int, n_chunks: int) -> str:
    """Return a number of records and of their chunks; blocks of a field are chunks of their own."""
    records = count(n_records, report.unit)
    return records if report.unit == "block" else f"{records} in {count(n_chunks, 'chunk')}"


def _whole(report: Report) -> list[str]:
    size = f"{_amount(report, report.n_intact, report.n_chunks)}, {count(report.n_bytes, 'byte')}"
    lines = [f"{report.path} is intact: {size}."]
    if report.largest_error is not None:
        error = report.largest_error
        shown = number(int(error) if error.is_integer() else error)
        lines.append(f"The largest error of a value is {shown}, measured when it was compressed.")
    if report.is_restored:
        return [*lines, f"Every {report.unit} was restored, and its checksum is right."]
    return [*lines, f"All bytes have the right checksums. {_NOT_RESTORED}"]


def _damaged(report: Report) -> list[str]:
    """Return the list of the damage, and of the records lost by it."""
    where = [(f"at byte {one.offset:,}", _records(one.records, report.unit), one.what) for one in report.problems]
    of_all = f" of {report.n_records:,}" if report.n_records is not None else ""
    chunks = "" if report.unit == "block" else f", in {count(report.n_chunks, 'chunk')}"
    intact = f"Intact: {count(report.n_intact, report.unit)}{of_all}{chunks}."
    return [
        f"{report.path} is damaged:",
        *aligned(where, indent=2),
        "",
        intact,
        f"Lost: {_ranges(report)}.",
        *([] if report.is_restored else [_NOT_RESTORED]),
    ]


def _ranges(report: Report) -> str:
    if not report.lost and report.n_records is not None:
        return f"no {report.unit}"
    known = ", ".join(_records(gap, report.unit) for gap in report.lost)
    beyond = "" if report.n_records is not None else f"any {report.unit}s after these"
    return " and ".join(part for part in (known, beyond) if part)


def _records(span: tuple[int, int] | None, unit: str) -> str:
    """Return a range of records as text, both ends included."""
    if span is None:
        return ""
    first, last = span[0], span[1] - 1
    return f"{unit} {first:,}" if first == last else f"{unit}s {first:,} to {last:,}"
