"""Records into an archive: the model's encoder makes symbols, the integer decoder restores them, a writer stores them.

What is decided beforehand (bound, layout, codec and quality) is a `Plan`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.archive.appending import metadata_of
from narrows.archive.description import inspect
from narrows.archive.layouts import Layout
from narrows.archive.plan import Plan, plan_archive
from narrows.archive.quality import size_warnings
from narrows.archive.summary import ZSTD_SAMPLE_BYTES, Summary, ways_of
from narrows.archive.tally import ErrorTally
from narrows.archive.writer import Writer
from narrows.data import Source
from narrows.errors import InvalidParameterError, NarrowsWarning, recorded
from narrows.io.files import check_output

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["compress"]

Progress = Callable[[int, int], None]
"""Told how many records are done, and how many there are."""

_BATCH_BYTES = 32 << 20
_BATCH_RECORDS = 8192


def compress(
    data: Data,
    path: str | os.PathLike[str],
    *,
    model: Autoencoder | str | os.PathLike[str],
    psnr: float | None = None,
    bytes_per_record: float | None = None,
    max_error: float | str | None = None,
    lossless: bool = False,
    accept_loss: str | Sequence[str] = (),
    overlap: int | None = None,
    embed_model: bool = False,
    append: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Write records into an archive, a fraction of their size.

    Records come back as the model restores them, the same bytes on every machine; with `max_error` or `lossless`, what
    the model gets wrong is kept as well. Data that are unlike what the model was trained on cost quality, or bytes.

    Parameters
    ----------
    data : array_like of shape (n, *shape), path, name or Source
        The records, of the shape and dtype that the model was trained on. Larger images are cut into tiles of that
        shape and come back whole.
    path : path-like
        The archive to write, usually ``something.narrows``.
    model : Autoencoder or path
        Fitted, or the file of one.
    psnr : float, optional
        The quality that is wanted, in dB on data like the training data. Not with `max_error` or `lossless`.
    bytes_per_record : float, optional
        Or the size. Neither: near the best that the model can do; within a bound, what makes the smallest file.
    max_error : float or str, optional
        No value may come back further off than this, in the records' units, or than ``"1%"`` of the range of the data.
        NaNs and infinities come back as they are. Never takes more than the records themselves and a few bytes.
    lossless : bool
        Bit for bit. Image files that are not read unchanged are refused.
    accept_loss : str or sequence of str
        With `lossless`: losses in reading image files that are accepted, ``"frames"``, ``"cmyk"``, ``"depth"`` and
        ``"alpha"`` (see `narrows.data.images`).
    overlap : int, optional
        Pixels by which tiles overlap and are blended; 0: they meet, and their seams may be seen. By default as in the
        archive that is appended to, otherwise 0.
    embed_model : bool
        Put what a reader needs of the model into the archive, which can then be restored by itself.
    append : bool
        Add to the archive that is there, within its bound if it has one; a wider one may be asked for, and the
        archive's holds. Its end and its index are checked first, its chunks are not; `verify` does.
    force : bool
        Replace an archive that is there.
    progress : callable, optional
        Is told how far it is: records done, records in all.

    Returns
    -------
    Summary
        Bytes on disk, quality achieved, and what the model costs.

    Raises
    ------
    DataError, ShapeMismatchError
        If the data cannot be used, are no records of the model's, or with `lossless` were not read unchanged.
    InvalidParameterError
        If the model has no such quality, or parameters contradict each other.
    NotFreezableError
        If the model cannot restore archives; says why.
    OutputExistsError, OutputError, DataNotFoundError
        If the archive cannot be written.
    WrongModelError, ArchiveError
        If the archive cannot be appended to.

    Warns
    -----
    RangeWarning
        If the records are on another scale than the training data; the summary has it among its warnings.
    """
    if append and force:
        raise InvalidParameterError("Give 'append' or 'force', not both: one keeps the archive, the other replaces it.")
    check_output(path, force=force or append)
    before = metadata_of(path) if append else None
    with recorded() as warned:
        plan = plan_archive(
            data,
            path,
            model=model,
            psnr=psnr,
            bytes_per_record=bytes_per_record,
            max_error=max_error,
            lossless=lossless,
            accept_loss=accept_loss,
            overlap=overlap,
            embed_model=embed_model,
            before=before,
        )
        writing = {"embed_model": embed_model, "append": append, "force": force}
        writer, tally = _write(path, plan, progress, writing)
    return _summary(path, plan, writer, tally, warned, asked=psnr, asked_bytes=bytes_per_record)


def _write(
    path: str | os.PathLike[str], plan: Plan, progress: Progress | None, writing: dict[str, bool]
) -> tuple[Writer, ErrorTally]:
    """Write the records of a plan; return the closed writer and the errors of the records."""
    codec, source = plan.codec, plan.source
    tally = ErrorTally(codec.qualities[plan.quality], codec.peak)
    with Writer(path, codec, plan.quality, plan.metadata, **writing) as writer:
        for start, stop in _batches(source):
            records, names = _records(source, start, stop, plan.layout)
            symbols = plan.symbols(records)
            restored = codec.decode(symbols, plan.quality)
            writer.add(symbols, restored, names, records=None if plan.bound is None else records)
            tally.add(records, restored)
            if progress is not None:
                progress(stop, len(source))
    if plan.bound is not None:
        tally.squared, tally.max_error = writer.errors.squared, writer.errors.largest
    return writer, tally


def _batches(source: Source) -> Iterator[tuple[int, int]]:
    size = max(1, min(_BATCH_RECORDS, _BATCH_BYTES // max(source.values[:1].nbytes, 1)))
    for start in range(0, len(source), size):
        yield start, min(start + size, len(source))


def _records(source: Source, start: int, stop: int, layout: Layout) -> tuple[NDArray[Any], list[str] | None]:
    """Return the records of some items, and their names if they have any: the first record of an item has its name."""
    records = layout.cut(np.asarray(source.values[start:stop]))
    if source.files is None:
        return records, None
    return records, [text for name in source.files[start:stop] for text in (name, *[""] * (layout.n_records - 1))]


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
    source, alone = plan.source, plan.codec.only(plan.quality)
    per_item = tally.n_records // len(source)
    n_sample = max(1, ZSTD_SAMPLE_BYTES // max(source.values[:1].nbytes, 1))
    chosen, written = alone.qualities[0], inspect(path)
    is_bounded = written.metadata.get("max_error") is not None
    missed = () if is_bounded else (*tally.warnings(asked), *size_warnings(written, asked_bytes))
    warnings = {str(one): one.to_json() for one in (*source.warnings, *warned, *missed)}  # each of them once
    return Summary(
        path=os.fspath(path),
        records=len(source),
        total_records=writer.n_records // per_item,
        n_bytes=writer.n_bytes,
        raw_bytes=writer.n_records // per_item * source.values[:1].nbytes,
        psnr_db=tally.psnr_db,
        max_error=tally.max_error,
        expected_psnr_db=None if is_bounded else chosen.psnr_db,
        expected_bytes_per_record=None if is_bounded else chosen.bytes_per_record * per_item,
        model_bytes=len(alone.blob),
        model_embedded=written.has_model,
        unlike=tally.unlike,
        warnings=tuple(warnings.values()),
        chunks_kept=ways_of(writer.kept),
        sample=np.ascontiguousarray(source.values[:n_sample]).tobytes(),
    )
