"""The summary of an archive that `compress` has written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from narrows.archive.description import inspect
from narrows.archive.plan import Plan
from narrows.archive.quality import size_warnings
from narrows.archive.summary import ZSTD_SAMPLE_BYTES, Summary, ways_of
from narrows.archive.tally import ErrorTally
from narrows.archive.writer import Writer
from narrows.archive.yardsticks import own_bytes_of, records_to_measure
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.data.series.csv_files import is_same_text
from narrows.data.text import Texts
from narrows.errors import NarrowsWarning

__all__ = ["summary_of"]


def _model_bytes(plan: Plan, writer: Writer) -> int:
    """Return the bytes of the parts of the model that reading the archive needs."""
    codec = plan.codec
    if isinstance(codec, PartedCodec):
        return len(codec.pack(writer.needed)) if writer.needed else 0
    return len(codec.only(plan.quality, with_causal=plan.bound is not None).blob)


def summary_of(
    path: str | os.PathLike[str],
    plan: Plan,
    writer: Writer,
    tally: ErrorTally,
    warned: Sequence[NarrowsWarning],
    *,
    asked: float | None,
    asked_bytes: float | None,
) -> Summary:
    """Return what `compress` tells of an archive that it has written.

    Parameters
    ----------
    path : path-like
        The archive.
    plan, writer, tally
        How its records were written, what wrote them, and their errors.
    warned : sequence of NarrowsWarning
        The warnings so far.
    asked, asked_bytes : float or None
        The PSNR and the size of a record that were asked for.
    """
    source = plan.source
    per_item = tally.n_records // len(source)
    series = None if plan.series is None or plan.given is None else plan.given.series
    n_sample = max(1, ZSTD_SAMPLE_BYTES // max(source.values[:1].nbytes, 1))
    chosen, written = plan.codec.qualities[plan.quality], inspect(path)
    is_bounded = written.metadata.get("max_error") is not None
    largest, psnr_db, bound = tally.max_error, tally.psnr_db, plan.bound if plan.weight is None else None
    if plan.asked_bound is not None:  # decimals, which are rounded
        bound, largest = plan.asked_bound, min(largest, plan.asked_bound)
        psnr_db = psnr_db if bound else None
    missed = tally.fill_warnings(plan.fill_value, plan.encoder.fill_value, is_bounded=is_bounded)
    if not is_bounded or plan.weight is not None:
        missed = (*missed, *tally.warnings(asked, plan.more_db, plan.trained_for), *size_warnings(written, asked_bytes))
    elif plan.trained_for is not None:  # a bound that is as good as the code of a model that misses its quality
        found = tally.warnings(None, plan.more_db, plan.trained_for)
        missed = (*missed, *(one for one in found if one.kind == "psnr"))
    warnings = {str(one): one.to_json() for one in (*source.warnings, *warned, *missed)}  # each of them once
    made = Summary(
        path=os.fspath(path),
        records=len(source),
        total_records=writer.n_records // per_item,
        n_bytes=writer.n_bytes,
        raw_bytes=writer.n_records // per_item * source.values[:1].nbytes,
        psnr_db=psnr_db,
        max_error=largest,
        expected_psnr_db=None if is_bounded else chosen.psnr_db + plan.more_db,
        expected_bytes_per_record=None if is_bounded else chosen.bytes_per_record * per_item,
        model_bytes=_model_bytes(plan, writer),
        model_embedded=written.has_model,
        unlike=tally.unlike,
        warnings=tuple(warnings.values()),
        error_bound=bound,
        is_same_text=None if bound != 0 or series is None else is_same_text(series),
        values_range=plan.values_range,
        effort=plan.effort,
        fill_value=plan.fill_value,
        n_fill=tally.n_fill,
        fill_of_model=plan.encoder.fill_value is not None,
        chunks_kept=ways_of(writer.kept),
        ways=plan.ways,
        own_bytes=own_bytes_of(source),
        sample=np.ascontiguousarray(source.values[:n_sample]).tobytes(),
        some=records_to_measure(source.values),
        are_images=plan.encoder.are_images,
    )
    return made if source.text is None else _of_texts(made, source.text.texts, written.n_records, tally)


def _of_texts(summary: Summary, texts: Texts, n_written: int, tally: ErrorTally) -> Summary:
    """Return the summary of an archive of texts: in texts and their bytes, and without errors of symbols."""
    lines = texts.n_bytes + len(texts)
    warnings = tuple(one for one in summary.warnings if one["kind"] != "unlike")
    return replace(
        summary,
        records=len(texts),
        total_records=n_written,
        raw_bytes=round(lines * n_written / len(texts)),
        psnr_db=None,
        expected_psnr_db=None,
        characters_right=1.0 if summary.error_bound == 0 else tally.n_right / max(tally.n_bytes, 1),
        unlike=0,
        warnings=warnings,
        values_range=None,
        sample=texts.first_bytes(ZSTD_SAMPLE_BYTES),
        some=None,
    )
