"""Compression of records to an archive: encode to symbols, restore with the integer decoder, and write.

A `Plan` has the bound, layout, codec and quality, which are chosen first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from narrows.archive.appending import check_chunk_records, check_together, metadata_of
from narrows.archive.description import inspect
from narrows.archive.encoder import ModelEncoder
from narrows.archive.field_writer import check_without_model, compress_field
from narrows.archive.layouts import Layout
from narrows.archive.names import list_names
from narrows.archive.plan import Plan, plan_archive
from narrows.archive.quality import size_warnings
from narrows.archive.summary import ZSTD_SAMPLE_BYTES, Summary, ways_of
from narrows.archive.tally import ErrorTally
from narrows.archive.writer import Writer
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.data import Source
from narrows.data.fill import is_fill
from narrows.data.series.csv_files import is_same_text
from narrows.errors import DataWarning, InvalidParameterError, NarrowsWarning, recorded, warn
from narrows.io.files import check_output
from narrows.io.progress import Progress
from narrows.numerics.batches import batch_size
from narrows.numerics.pool import check_threads
from narrows.numerics.surroundings import usual_settings

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["compress"]

_BATCH_BYTES = 32 << 20
_BATCH_RECORDS = 8192
_ENCODED_RECORDS = 1024  # that an encoder processes at once
_COPIES = 3  # of a batch's bytes in memory, when it is done


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
    append: bool = False,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Write records to an archive, or an array without a model.

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
        A fitted model, or a model file. Without a model, `max_error` or `lossless` is required, and `data` is one array
        with 1 to 31 axes, a field: each value is predicted from its neighbours along all axes. Restoring it needs no
        other file. `psnr`, `bytes_per_record`, `quality`, `overlap`, `embed_model`, `chunk_records` and `append` need a
        model.
    psnr : float, optional
        Selects the coarsest quality with at least this PSNR in dB on training data, or the bound on errors with which
        these records have it, if the model has a residual model and that takes fewer bytes on a sample of them. Not
        with `max_error` or `lossless`.
    bytes_per_record : float, optional
        Selects the finest quality with at most this number of bytes per record on training data. An image that is cut
        into tiles is one record.
    quality : int, optional
        Number of a quality of the model, from 0, the coarsest; `narrows.try_qualities` compares them. Without
        `psnr`, `bytes_per_record` and `quality`, the model's default quality is used, or with an error bound the one
        with the smallest file. A model whose residual model was trained for a PSNR gets this PSNR.
    max_error : float or str, optional
        The largest error of a value, in the records' units, or as a share of the data's range such as ``"1%"``. NaNs
        and infinities are restored exactly. The archive is at most a few bytes larger than the records.
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
        Size on disk, achieved quality, and size of the model.

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
    }
    bounds: dict[str, Any] = {"max_error": max_error, "lossless": lossless}
    values: dict[str, Any] = {"accept_loss": accept_loss, "fill_value": fill_value}
    output: dict[str, Any] = {"force": force, "threads": threads, "progress": progress}
    check_threads(threads)
    if model is None:
        check_without_model({**given, "effort": effort or None})
        return compress_field(data, path, **bounds, **values, as_records=as_records, **output)
    if as_records:
        raise InvalidParameterError(
            "'as_records' has no effect with a model, whose archives always hold records. Omit it, or 'model'."
        )
    return _with_model(data, path, model, effort=effort, **given, **bounds, **values, **output)


def _with_model(
    data: Data,
    path: str | os.PathLike[str],
    model: Autoencoder | str | os.PathLike[str],
    *,
    effort: int,
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
    """Compress records with a model, as `compress` does; ``asked`` is what is asked of quality, bound and overlap."""
    check_chunk_records(chunk_records, append=append)
    check_output(path, force=force or append)
    before = metadata_of(path) if append else None
    check_together(**asked, before=before, effort=effort)
    with recorded() as warned:
        encoder = ModelEncoder(model, effort=effort)
        plan = plan_archive(
            encoder.records_of(data),
            path,
            encoder=encoder,
            **asked,
            accept_loss=accept_loss,
            fill_value=fill_value,
            embed_model=embed_model,
            before=before,
        )
        writing = {
            "embed_model": embed_model,
            "append": append,
            "force": force,
            "chunk_records": plan.chunk_records if chunk_records is None else chunk_records,
            "threads": threads,
        }
        writer, tally = _write(path, plan, progress, writing)
        if before is not None and plan.source.files is not None:
            _warn_of_repeated(path, plan.source.files)
    return _summary(path, plan, writer, tally, warned, asked=asked["psnr"], asked_bytes=asked["bytes_per_record"])


def _write(
    path: str | os.PathLike[str], plan: Plan, progress: Progress | None, writing: dict[str, Any]
) -> tuple[Writer, ErrorTally]:
    """Write the records of a plan; return the closed writer and the errors of the records."""
    codec, source = plan.codec, plan.source
    tally = ErrorTally(codec.qualities[plan.quality], codec.peak)
    writing = {"fill_value": plan.fill_value, "series": plan.series, **writing}
    with Writer(path, codec, plan.quality, plan.metadata, **writing) as writer:
        batches = list(_batches(source, plan))
        n_bytes = _COPIES * len(batches[0]) * source.values[:1].nbytes if batches else 0
        for batch in writer.pool.map(partial(_prepared, plan), batches, n_bytes):
            records = None if plan.bound is None else batch.records
            writer.add(batch.symbols, batch.restored, batch.names, records=records)
            tally.extend(batch.tally)
            if progress is not None:
                progress("compressing", batch.stop, len(source), "records")
    if plan.bound is None:
        tally.n_values -= tally.n_fill
    else:
        tally.squared, tally.max_error = writer.errors.squared, writer.errors.largest
    return writer, tally


class _Batch(NamedTuple):
    """Records to be added to an archive: those of the items before `stop` that are not in earlier batches."""

    stop: int
    records: NDArray[Any]
    names: list[str] | None
    symbols: NDArray[np.int32]
    restored: NDArray[Any]
    tally: ErrorTally


def _prepared(plan: Plan, items: range) -> _Batch:
    """Encode and restore the records of some items, and measure their errors."""
    codec = plan.codec
    records, names = _records(plan.source, items.start, items.stop, plan.layout)
    symbols = plan.symbols(records)
    restored = codec.decode(symbols, plan.quality)
    tally = ErrorTally(codec.qualities[plan.quality], codec.peak)
    records = plan.padded(records, restored, items.start)
    missing = plan.fill_value if plan.encoder.fill_value is None else plan.encoder.fill_value
    exact = restored
    if missing is not None:
        places = is_fill(records, missing)
        exact = np.where(places, records, restored)
        tally.n_fill = int(places.sum())
    tally.add(records, exact)
    return _Batch(items.stop, records, names, symbols, restored, tally)


def _warn_of_repeated(path: str | os.PathLike[str], added: Sequence[str]) -> None:
    """Warn of names of appended items that items of the archive had before."""
    names = list_names(path)
    held = set(names[: -len(added)])
    repeated = [name for name in added if name and name in held]
    if repeated:
        warn(
            DataWarning(
                f"{len(repeated):,} of the {len(added):,} appended records have names that already exist in "
                f"{os.fspath(path)} (the first is {repeated[0]}). The names are kept; when a folder is restored, the "
                "later files get a number, such as a-2.png.",
                kind="names",
                count=len(repeated),
                first=repeated[0],
            )
        )


def _batches(source: Source, plan: Plan) -> Iterator[range]:
    """Split the items into ranges, which do not depend on the number of threads.

    The encoder processes so many records at once that the number of records in a range makes no difference to it; of
    these, a quarter at a time on a CPU. With an effort, which takes long, ranges are so short, for the progress.
    """
    size = max(1, min(_BATCH_RECORDS, _BATCH_BYTES // max(source.values[:1].nbytes, 1)))
    encoded = batch_size(plan.codec.shape, _ENCODED_RECORDS)
    part = size if plan.layout.n_records > 1 else encoded if plan.effort == 0 else -(-encoded // 4)
    every = range(len(source))
    for start in range(0, len(source), size):
        batch = every[start : start + size]
        for first in range(0, len(batch), part):
            yield batch[first : first + part]


def _records(source: Source, start: int, stop: int, layout: Layout) -> tuple[NDArray[Any], list[str] | None]:
    """Return the records of items, and their names if they have any. The first record of an item has its name."""
    records = layout.cut(np.asarray(source.values[start:stop]))
    if source.files is None:
        return records, None
    return records, [text for name in source.files[start:stop] for text in (name, *[""] * (layout.n_records - 1))]


def _model_bytes(plan: Plan, writer: Writer) -> int:
    """Return the bytes of the parts of the model that reading the archive needs."""
    codec = plan.codec
    if isinstance(codec, PartedCodec):
        return len(codec.pack(writer.needed)) if writer.needed else 0
    return len(codec.only(plan.quality, with_causal=plan.bound is not None).blob)


def _summary(
    path: str | os.PathLike[str],
    plan: Plan,
    writer: Writer,
    tally: ErrorTally,
    warned: Sequence[NarrowsWarning],
    *,
    asked: float | None,
    asked_bytes: float | None,
) -> Summary:
    source = plan.source
    per_item = tally.n_records // len(source)
    series = None if plan.series is None or plan.given is None else plan.given.series
    n_sample = max(1, ZSTD_SAMPLE_BYTES // max(source.values[:1].nbytes, 1))
    chosen, written = plan.codec.qualities[plan.quality], inspect(path)
    is_bounded = written.metadata.get("max_error") is not None
    largest, psnr_db, bound = tally.max_error, tally.psnr_db, plan.bound
    if plan.asked_bound is not None:  # decimals, which are rounded
        bound, largest = plan.asked_bound, min(largest, plan.asked_bound)
        psnr_db = psnr_db if bound else None
    missed = tally.fill_warnings(plan.fill_value, plan.encoder.fill_value, is_bounded=is_bounded)
    if not is_bounded:
        missed = (*missed, *tally.warnings(asked), *size_warnings(written, asked_bytes))
    warnings = {str(one): one.to_json() for one in (*source.warnings, *warned, *missed)}  # each of them once
    return Summary(
        path=os.fspath(path),
        records=len(source),
        total_records=writer.n_records // per_item,
        n_bytes=writer.n_bytes,
        raw_bytes=writer.n_records // per_item * source.values[:1].nbytes,
        psnr_db=psnr_db,
        max_error=largest,
        expected_psnr_db=None if is_bounded else chosen.psnr_db,
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
        sample=np.ascontiguousarray(source.values[:n_sample]).tobytes(),
    )
