"""The result of ``narrows compress`` with a model, in words."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from narrows.cli.archive import MUCH, WAYS
from narrows.cli.console import aligned, count, number, shape_text
from narrows.io.text import psnr_text

if TYPE_CHECKING:
    from narrows.archive.summary import Summary
    from narrows.archive.yardsticks import Yardstick
    from narrows.data import Source

__all__ = ["range_text", "result_lines", "text_rows", "yardstick_rows"]

_OTHERS = {"quantised zstd": "rounded values by zstd", "own files": "the files of the folder"}

_SMALL_CHUNK_BYTES = 500
"""A chunk and its entry in the index take over a hundred bytes beside the codes."""


def result_lines(
    summary: Summary, source: Source, model: str, fixed: int, n_chunks: int, *, quiet: bool = False
) -> list[str]:
    """Return the result as lines: a table, which kernels ran, and whether the model is worth its bytes.

    ``fixed`` are the bytes of header and index. If ``quiet``, only a log gets the lines, and what takes time to find
    out is left out.
    """
    from narrows.codec.kernels import kernels_line

    is_more = summary.total_records > summary.records
    of_all = f"of all {summary.total_records:,} records" if is_more else ""
    rows = [
        ("records", number(summary.records), "", f"{_what(summary, source)} from {source.name}"),
        ("bytes on disk", number(summary.n_bytes), "", of_all),
        *_fixed_rows(summary, fixed),
        ("bytes a record", number(summary.bytes_per_record), "", ""),
        ("ratio to raw", number(summary.ratio_to_raw), "", f"{count(summary.raw_bytes, 'byte')} uncompressed"),
        *([] if quiet else yardstick_rows(summary)),
        *_way_rows(summary),
        *_kept_rows(summary),
        *text_rows(summary),
        *_bound_rows(summary),
        *(_error_rows(summary, source) if summary.characters_right is None else _right_rows(summary)),
        ("the model", number(summary.model_bytes), "bytes", _where_model_is(summary, model)),
    ]
    table = [f"{summary.path}", "", *aligned(rows, right=[1], indent=2)]
    return table if quiet else [*table, "", kernels_line(summary.kernels), *_worth(summary, source, fixed, n_chunks)]


def _what(summary: Summary, source: Source) -> str:
    """Return what a record is."""
    if summary.characters_right is not None:
        return f"texts of up to {count(source.shape[0], 'byte')} each, or several,"
    return f"{shape_text(source.shape)} {source.dtype.name}"


def _error_rows(summary: Summary, source: Source) -> list[tuple[str, str, str, str]]:
    """Return rows on the errors of values."""
    max_error = summary.max_error if source.dtype.kind == "f" else int(summary.max_error)
    return [
        _psnr_row(summary),
        *_wrong_rows(summary, source.dtype.kind),
        *_effort_rows(summary),
        ("largest error", number(max_error), "", "of any value, in the data's own units"),
    ]


def _right_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return a row on the bytes of texts that are right."""
    assert summary.characters_right is not None, "the records are texts"
    return [("characters right", f"{summary.characters_right:.2%}", "", "of the bytes of all texts")]


def yardstick_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return a row for each other compressor, with its bytes at the same quality."""
    return [
        (
            "ratio to " + ("the files" if one.name == "own files" else one.name.removeprefix("quantised ")),
            number(one.n_bytes / summary.n_bytes),
            "",
            f"{count(one.n_bytes, 'byte')} {_by(one)}",
        )
        for one in summary.yardsticks
    ]


def _by(one: Yardstick) -> str:
    if one.name == "own files":
        return "of the files of the folder"
    how = "losslessly" if one.psnr_db is None else f"at {psnr_text(one.psnr_db)}"
    name = "rounded, by zstd" if one.name == "quantised zstd" else f"by {one.name}"
    return f"{name} -19, {how}" if "zstd" in one.name else f"{name}, {how}"


def _way_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return a row on the way that was chosen, and one for each other that was measured."""
    rows = []
    for place, way in enumerate(summary.ways if len(summary.ways) > 1 else ()):
        bound = "" if not way.error_bound else f" within {way.error_bound:.4g}"
        quality = f"quality {way.quality}, " if way.name == "code" else ""
        psnr = "exact" if math.isinf(way.psnr_db) else psnr_text(way.psnr_db)
        size = f"{number(way.bytes_per_record)} bytes a record"
        what = f"{quality}{WAYS[way.name]}{bound}: {psnr} in {size}, on a sample"
        rows.append(("way" if place == 0 else "not taken", "", "", what))
    return rows


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
    ways = ", ".join(f"{n:,} {WAYS.get(way, way)}" for way, n in summary.chunks_kept.items())
    return [("chunks", number(sum(summary.chunks_kept.values())), "", ways)]


def _bound_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return rows on the error bound, with the range of the values, and on the fill value, if there are any."""
    if not summary.error_bound or summary.values_range is None:
        return []
    low, high = summary.values_range
    rows = [("error bound", f"{summary.error_bound:.4g}", "", f"the values are from {low:.6g} to {high:.6g}")]
    if summary.fill_value is not None:
        of_model = ", the fill value of the model" if summary.fill_of_model else ""
        exactly = f"{summary.fill_value:.17g}{of_model}, restored exactly"
        rows.append(("fill values", number(summary.n_fill), "", exactly))
    return rows


def _psnr_row(summary: Summary) -> tuple[str, str, str, str]:
    if summary.max_error == 0:
        return ("PSNR", "-", "", "restored exactly")
    if summary.psnr_db is None:
        return ("PSNR", "-", "", "not defined: the values have no range")
    what = range_text(summary)
    if summary.expected_psnr_db is not None:
        what += f"; expected: {psnr_text(summary.expected_psnr_db)}, measured on the training data"
        what += ", without effort" if summary.effort else ""
    return ("PSNR", number(summary.psnr_db), "dB", what)


def range_text(summary: Summary) -> str:
    """Return the range of which the PSNR is the ratio to the error."""
    if summary.is_of_bytes or summary.values_range is None:
        return "over 0 to 255"
    low, high = summary.values_range
    return f"over the records' own range {low:.6g} to {high:.6g}"


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
    if not summary.uses_model:
        return "not needed for reading: no chunk uses it"
    if summary.model_embedded:
        return "needed for reading; inside, and counted above"
    return f"also needed for reading, in {os.path.basename(model)}: keep it"


def _worth(summary: Summary, source: Source, fixed: int, n_chunks: int) -> list[str]:
    """Return a sentence on who is smallest, or on the number of records at which archive and model are."""
    if not summary.uses_model:
        return [f"The model did nothing: no chunk uses it, and reading needs no model.{_without(summary, source)}"]
    rival = summary.rival
    if rival is None:
        return []
    name = _OTHERS.get(rival.name, rival.name)
    quality = _quality_text(summary)
    if summary.pays_after is None:
        return [_loses(summary, rival, fixed, n_chunks)]
    from_there = f"archive and model together beat {name} {quality} from {count(summary.pays_after, 'record')} on"
    if summary.pays_after <= summary.total_records:
        return [f"The model has paid for itself: {from_there}."]
    return [f"The model has not paid for itself yet: {from_there}."]


def _loses(summary: Summary, rival: Yardstick, fixed: int, n_chunks: int) -> str:
    """Return a sentence on who is smaller, or on why that cannot be told."""
    name, quality = _OTHERS.get(rival.name, rival.name), _quality_text(summary)
    is_plural = rival.name in _OTHERS
    ours = summary.n_bytes - (summary.model_bytes if summary.model_embedded else 0)
    if n_chunks > 1 and ours < n_chunks * _SMALL_CHUNK_BYTES:
        return (
            f"The {n_chunks:,} chunks are too small to tell when the model pays for itself: they take "
            f"{number(ours / n_chunks)} bytes each, much of which does not depend on the records. Larger chunks "
            "(--chunk-records) make the archive smaller."
        )
    theirs = f"{name} {'take' if is_plural else 'takes'} {number(rival.n_bytes / summary.total_records)}"
    if ours - fixed < rival.n_bytes or fixed > ours / 2:
        each = number((ours - fixed) / summary.total_records)
        wins = f"{name[0].upper()}{name[1:]} {'are' if is_plural else 'is'} smaller. "
        return (wins if rival.n_bytes < ours else "") + (
            "There are too few records to tell when the model pays for itself: "
            f"without header and index they take {each} bytes each, and {theirs} {quality}."
        )
    return (
        f"{name[0].upper()}{name[1:]} {'win' if is_plural else 'wins'}: records like these take "
        f"{number(ours / summary.total_records)} bytes each here without the model, and {theirs} {quality}. "
        "The model never pays for itself on them."
    )


def _quality_text(summary: Summary) -> str:
    return "losslessly" if summary.max_error == 0 else "at the same quality"


def _without(summary: Summary, source: Source) -> str:
    """Return what to type to compress without a model; empty for folders of images, which need one, and for pipes."""
    if source.files is not None or source.kind == "array" or summary.error_bound is None:
        return ""
    options = " --lossless" if summary.error_bound == 0 else f" --max-error {summary.error_bound:.12g}"
    options += " --as records"
    if source.text is not None:
        column = source.text.texts.origin.get("column")
        options = "" if column is None else f" --column {column}"
    name = os.path.basename(summary.path)
    return f" `narrows compress {source.name} -o {name}{options}` makes such a file without one."


def text_rows(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Return a row on a CSV or WAV file that was compressed losslessly, if it was one."""
    if summary.is_same_text is None:
        return []
    how = "restored byte for byte" if summary.is_same_text else "restored as the same values, not the same bytes"
    return [("file", "", "", how)]
