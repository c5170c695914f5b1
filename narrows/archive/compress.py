"""Compression of records to an archive: encode to symbols, restore with the integer decoder, and write.

A `Plan` has the bound, layout, codec and quality, which are chosen first.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from narrows.archive.appending import check_chunk_records, check_together, metadata_of
from narrows.archive.byte_model_writer import byte_model_of, compress_with_bytes
from narrows.archive.encoder import ModelEncoder
from narrows.archive.field_writer import check_without_model
from narrows.archive.names import warn_of_repeated
from narrows.archive.plan import Plan, plan_archive
from narrows.archive.plan_writing import TooLow, write_plan
from narrows.archive.summary import Summary
from narrows.archive.summary_of import summary_of
from narrows.archive.table_codec import is_table_model
from narrows.archive.table_summary import TableSummary
from narrows.archive.without_model import compress_with_table, compress_without_model
from narrows.errors import InvalidParameterError, recorded
from narrows.io.files import check_output
from narrows.io.progress import Progress
from narrows.numerics.pool import check_threads
from narrows.numerics.surroundings import usual_settings

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["compress", "compress_within"]

_TRIES, _MARGIN_DB = 4, 0.01  # to reach a PSNR, for which a way is chosen on some of the records


@usual_settings()
def compress(
    data: Data,
    path: str | os.PathLike[str],
    *,
    model: Autoencoder | str | os.PathLike[str] | None = None,
    psnr: float | None = None,
    bytes_per_record: float | None = None,
    quality: int | None = None,
    max_error: float | str | None = None,
    lossless: bool = False,
    accept_loss: str | Sequence[str] = (),
    fill_value: float | None = None,
    overlap: int | None = None,
    effort: int = 0,
    embed_model: bool = False,
    chunk_records: int | None = None,
    as_records: bool = False,
    labels: str | os.PathLike[str] | ArrayLike | None = None,
    keep_codes: bool = False,
    append: bool = False,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Summary | TableSummary:
    """Write records to an archive, or an array or a table without a model.

    With a model, restored records are the model's reconstructions, the same bytes on every machine. With `max_error` or
    `lossless`, the archive also stores the errors of the model, as far as necessary. Records unlike the training data
    are restored with larger errors, or take more bytes.

    Parameters
    ----------
    data : array_like of shape (n, *shape), path, name or Source
        The records, with the shape and dtype of the training data. Larger images are cut into tiles of that shape and
        restored as whole images.
    path : path-like
        The archive to write, usually ``something.narrows``.
    model : Autoencoder or path, optional
        A fitted model, or a model file. Without a model, `data` are texts, which are restored byte for byte, or one
        array with 1 to 31 axes, a field within `max_error` or `lossless`: each value is predicted from its neighbours
        along all axes. Restoring them needs no other file. `psnr`, `bytes_per_record`, `quality`, `overlap`,
        `embed_model`, `chunk_records` and `append` need a model.
    psnr : float, optional
        The smallest archive with at least this PSNR in dB, by a quality of the code or within a bound on errors, as
        measured on a sample of these records. The range of the PSNR is 255 for bytes, otherwise that of these records.
        A PSNR that is 0.05 dB lower counts as reached. Not with `lossless`.
    bytes_per_record : float, optional
        The archive with the highest PSNR in at most this number of bytes per record, likewise; header and index are not
        counted. An image that is cut into tiles is one record. Not with `lossless`.
    quality : int, optional
        Number of a quality of the model, from 0, the coarsest; `narrows.try_qualities` compares them. Without
        `psnr`, `bytes_per_record` and `quality`, the model's default quality is used, or a bound with which the records
        have the same PSNR, or that which the model was trained for, in fewer bytes.
    max_error : float or str, optional
        The largest error of a value, in the records' units, or as a share of the data's range such as ``"1%"``. NaNs
        and infinities are restored exactly. The archive is at most a few bytes larger than the records. With `psnr` or
        `bytes_per_record` it is a further condition.
    lossless : bool
        Restore every record bit for bit. Image files and data frames that lose something when they are read are
        refused.
    accept_loss : str or sequence of str
        With `lossless`: accepted losses in reading image files, ``"frames"``, ``"cmyk"``, ``"depth"`` and ``"alpha"``
        (see `narrows.data.images`), and in reading data frames, ``"precision"``.
    fill_value : float, optional
        With `max_error`: a value that stands for missing values, such as -9999. It is restored exactly, and excluded
        from the range that a percentage refers to. By default it is the fill value of the model, and it cannot be
        another one.
    overlap : int, optional
        Number of pixels by which tiles overlap and are blended. With 0, seams between tiles may be visible. By default
        as in the archive that is appended to, otherwise 0.
    effort : int
        0 to 9. With more effort, the code of each record is refined for this record, which takes time and gives fewer
        bytes at the same quality; reading takes no longer. With `psnr` a coarser quality is chosen where it reaches the
        PSNR now, with `bytes_per_record` a finer one. Not with `max_error`, `lossless` or vector-quantised models.
    embed_model : bool
        Store the part of the model that restores records in the archive, which can then be restored without the model
        file.
    chunk_records : int, optional
        The largest number of records (or tiles) of a chunk. To read one record, its chunk is decoded: small chunks make
        random access fast, and large ones save a few bytes. By default up to 16,384, with an error bound up to 4,096,
        and fewer if the records are large, or the model has a residual model. Not with `append`, which keeps the
        archive's.
    as_records : bool
        Without a model: the first axis of the array numbers records, which are not predicted from each other.
    labels : "auto", path or array_like of shape (n,), optional
        Labels to store with the records, which search shows and filters by: those of the data, or one for each record,
        in an array or in a file (.npy, IDX, or lines of text).
    keep_codes : bool
        With an error bound: also keep codes that restoring does not need, so that the archive can be searched. They
        have the model's default quality. They take a few bytes a record.
    append : bool
        Append to an existing archive, within its error bound if it has one. A larger `max_error` is accepted, but the
        archive's bound applies. The end of the archive and its index are checked first, but not its chunks (see
        `verify`).
    force : bool
        Overwrite an existing file.
    threads : int, optional
        How many threads compress, by default as many as CPUs that the process may use. The archive does not depend on
        it.
    progress : callable, optional
        Called as `narrows.data.Progress` with the activity ``"compressing"`` and the number of records done.

    Returns
    -------
    Summary
        Size on disk, achieved quality, and size of the model; of a table a `TableSummary`.

    Raises
    ------
    DataError, ShapeMismatchError
        If the data cannot be used, do not have the shape and dtype of the model's records, or with `lossless` were not
        read unchanged.
    InvalidParameterError
        If the model has no such quality, or parameters contradict each other.
    NotFreezableError
        If the model has no archive codec; the message has the reason.
    OutputExistsError, OutputError, DataNotFoundError
        If the archive cannot be written.
    WrongModelError, ArchiveError
        If the archive cannot be appended to.

    Warns
    -----
    RangeWarning
        If the records have another scale than the training data. It is also among the warnings of the summary.
    DataWarning
        If appended records have names of earlier ones, or replace those of an interrupted append.
    """
    if append and force:
        raise InvalidParameterError(
            "Give 'append' or 'force', not both: 'append' keeps the archive, and 'force' replaces it."
        )
    given: dict[str, Any] = {
        "psnr": psnr,
        "bytes_per_record": bytes_per_record,
        "quality": quality,
        "overlap": overlap,
        "embed_model": embed_model,
        "chunk_records": chunk_records,
        "append": append,
        "labels": labels,
        "keep_codes": keep_codes,
    }
    bounds: dict[str, Any] = {"max_error": max_error, "lossless": lossless}
    values: dict[str, Any] = {"accept_loss": accept_loss, "fill_value": fill_value}
    output: dict[str, Any] = {"force": force, "threads": threads, "progress": progress}
    check_threads(threads)
    if model is None:
        check_without_model({**given, "effort": effort or None})
        return compress_without_model(data, path, **bounds, **values, as_records=as_records, output=output)
    if as_records:
        raise InvalidParameterError(
            "'as_records' has no effect with a model, whose archives always hold records. Omit it, or 'model'."
        )
    if (found := byte_model_of(model)) is not None:
        given |= {**values, "max_error": max_error, "effort": effort}
        return compress_with_bytes(data, path, found, given, **output)
    if is_table_model(model):
        return compress_with_table(data, path, model, output, {**given, **values, "effort": effort, **bounds})
    return _with_model(data, path, model, effort=effort, **given, **bounds, **values, **output)


def compress_within(
    data: Data,
    path: str | os.PathLike[str],
    planned: Plan,
    *,
    model: Autoencoder | str | os.PathLike[str],
    fill_value: float | None = None,
    embed_model: bool = False,
    chunk_records: int | None = None,
    threads: int | None = None,
) -> Summary:
    """Write records within the bound of a plan, with the quality of its code; other parameters are those of `compress`.

    `compress` with the same bound would choose the quality anew, by the size alone.
    """
    is_rounded = planned.weight is not None
    return _with_model(
        data,
        path,
        model,
        planned=planned,
        max_error=planned.bound or None,
        lossless=planned.bound == 0 and not is_rounded,
        accept_loss=(),
        fill_value=fill_value,
        psnr=None,
        bytes_per_record=None,
        quality=planned.number if is_rounded else None,
        overlap=None,
        effort=0,
        labels=None,
        keep_codes=False,
        append=False,
        force=False,
        embed_model=embed_model,
        chunk_records=chunk_records,
        threads=threads,
        progress=None,
    )


def _with_model(
    data: Data,
    path: str | os.PathLike[str],
    model: Autoencoder | str | os.PathLike[str],
    *,
    planned: Plan | None = None,
    effort: int,
    labels: Any,
    keep_codes: bool,
    append: bool,
    embed_model: bool,
    chunk_records: int | None,
    force: bool,
    threads: int | None,
    progress: Progress | None,
    accept_loss: str | Sequence[str],
    fill_value: float | None,
    **asked: Any,
) -> Summary:
    """Compress records with a model, as `compress` does; ``asked`` is what is asked of quality, bound and overlap.

    With ``planned``, its codec and its rounding of pixels are taken.
    """
    check_chunk_records(chunk_records, append=append)
    check_output(path, force=force or append)
    before = metadata_of(path) if append else None
    check_together(**asked, before=before, effort=effort)
    writing = {
        "embed_model": embed_model,
        "append": append,
        "force": force,
        "chunk_records": chunk_records,
        "threads": threads,
    }
    planning: dict[str, Any] = {"accept_loss": accept_loss, "fill_value": fill_value, "before": before}
    planning |= {"labels": labels, "keep_codes": keep_codes}
    with recorded() as warned:
        encoder = ModelEncoder(model, effort=effort)
        source = encoder.records_of(data)
        plan = plan_archive(source, path, encoder=encoder, **asked, **planning)
        plan = plan if planned is None else _as_planned(plan, planned)
        wanted = plan.least_db
        for n_left in reversed(range(_TRIES)):
            try:
                writer, tally = write_plan(path, plan, progress, writing, least_db=wanted if n_left else None)
                break
            except TooLow as missed:  # nothing is left of the archive
                assert plan.psnr is not None
                assert wanted is not None
                nearer = {**asked, "psnr": plan.psnr + (wanted - missed.psnr_db) + _MARGIN_DB}
                with recorded(held=True):
                    plan = plan_archive(source, path, encoder=encoder, **nearer, **planning)
        if before is not None and plan.source.files is not None:
            warn_of_repeated(path, plan.source.files)
    return summary_of(path, plan, writer, tally, warned, asked=asked["psnr"], asked_bytes=asked["bytes_per_record"])


def _as_planned(plan: Plan, planned: Plan) -> Plan:
    """Return a plan with the codec of another, and with its rounding of pixels."""
    plan = replace(plan, codec=planned.codec)
    if planned.weight is None:
        return plan
    return replace(plan, bound=planned.bound, weight=planned.weight, group_records=planned.group_records)
