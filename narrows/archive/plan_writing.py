"""Writing of the records of a plan into an archive."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from narrows.archive.batches import batches_of, prepared
from narrows.archive.plan import Plan
from narrows.archive.tally import ErrorTally
from narrows.archive.texts import text_chunk_records
from narrows.archive.writer import Writer
from narrows.io.progress import Progress

__all__ = ["TooLow", "write_plan"]

_COPIES = 3  # of a batch's bytes in memory, when it is done


class TooLow(Exception):  # noqa: N818
    """Raised when the restored records have a lower PSNR than wanted, so that no archive is written."""

    def __init__(self, psnr_db: float) -> None:
        super().__init__(psnr_db)
        self.psnr_db = psnr_db


def write_plan(
    path: str | os.PathLike[str],
    plan: Plan,
    progress: Progress | None,
    writing: dict[str, Any],
    *,
    least_db: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> tuple[Writer, ErrorTally]:
    """Write the records of a plan; return the closed writer and the errors of the records.

    Parameters
    ----------
    path : path-like
        The archive.
    plan : Plan
        Its records and how they are written.
    progress : callable or None
        As for `narrows.compress`.
    writing : dict
        Parameters of the `Writer`.
    least_db : float, optional
        The PSNR that the records must reach.
    metadata : mapping, optional
        What the header has; by default what the plan decides.

    Raises
    ------
    TooLow
        If the records are restored at less than `least_db`.
    """
    codec, source = plan.codec, plan.source
    tally = ErrorTally(codec.qualities[plan.quality], plan.peak)
    planned = {
        "fill_value": plan.fill_value,
        "parts_of": plan.series or plan.texts,
        "group_records": plan.group_records,
    }
    if source.text is not None and plan.bound is not None and writing["chunk_records"] is None:
        writing = {**writing, "chunk_records": text_chunk_records(source.text, codec.n_symbols)}
    writing = {**planned, **writing}
    with Writer(path, codec, plan.quality, plan.metadata if metadata is None else metadata, **writing) as writer:
        batches = list(batches_of(plan, writer.metadata.chunk_records))
        n_bytes = _COPIES * len(batches[0]) * source.values[:1].nbytes if batches else 0
        for batch in writer.pool.map(partial(prepared, plan), batches, n_bytes):
            records = None if plan.bound is None else batch.records
            writer.add(batch.symbols, batch.restored, batch.names, records=records, labels=batch.labels)
            tally.extend(batch.tally)
            if progress is not None:
                progress("compressing", batch.stop, len(source), "records")
        writer.flush()
        if plan.bound is None:
            tally.n_values -= tally.n_fill
        elif plan.weight is None:
            tally.squared, tally.max_error = writer.errors.squared, writer.errors.largest
        if least_db is not None and tally.psnr_db is not None and tally.psnr_db < least_db:
            raise TooLow(tally.psnr_db)
    return writer, tally
