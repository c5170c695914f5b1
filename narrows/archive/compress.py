"""Records into an archive: a quality is chosen, the model's encoder makes symbols, the integer decoder checks them."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import narrows.data
from narrows.archive.appending import bound_for, check_together, codec_for, metadata_of
from narrows.archive.describing import inspect
from narrows.archive.items import items_of
from narrows.archive.metadata import Metadata
from narrows.archive.quality import choose_quality, misses_psnr, size_warnings
from narrows.archive.summary import ZSTD_SAMPLE_BYTES, Summary, ways_of
from narrows.archive.tiling import Tiling
from narrows.archive.writer import Writer
from narrows.codec.frozen import FrozenCodec
from narrows.codec.operating_point import Quality
from narrows.codec.residual.chunk import size_on_code
from narrows.codec.residual.grid import Grid
from narrows.data import Source
from narrows.errors import InvalidParameterError, ShapeMismatchError
from narrows.io.files import check_output

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["compress", "tiling_of"]

Watcher = Callable[[int, int], None]
"""Told how many records are done, and how many there are."""

_BATCH_BYTES = 32 << 20
_BATCH_RECORDS = 8192
# From this share of the records on it is worth a word that they are unlike the training data.
_MANY = 0.1
_KEEP_THEM = (
    "Remove or fill such values first, or keep them as they are by max_error or lossless (--max-error, --lossless)."
)
# What is tried to find the quality that makes the smallest file within a bound.
_SAMPLE_RECORDS, _SAMPLE_VALUES, _MOST_TRIED = 128, 1 << 17, 5


def compress(
    data: Data,
    path: str | os.PathLike[str],
    *,
    model: Autoencoder | str | os.PathLike[str],
    psnr: float | None = None,
    bytes_per_record: float | None = None,
    max_error: float | str | None = None,
    lossless: bool = False,
    overlap: int | None = None,
    embed_model: bool = False,
    append: bool = False,
    force: bool = False,
    watcher: Watcher | None = None,
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
        Bit for bit.
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
    watcher : callable, optional
        Is told how far it is: records done, records in all.

    Returns
    -------
    Summary
        Bytes on disk, quality achieved, and what the model costs.

    Raises
    ------
    DataError, ShapeMismatchError
        If the data cannot be used, or are no records of the model's.
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
    check_together(
        psnr=psnr,
        bytes_per_record=bytes_per_record,
        max_error=max_error,
        lossless=lossless,
        overlap=overlap,
        before=before,
    )
    fitted = _fitted(model)
    source = narrows.data.open(data)
    bound = bound_for(path, before, source, max_error=max_error, lossless=lossless)
    if bound is None:
        found: tuple[float, float] | None = narrows.data.finite_range(source, advice=_KEEP_THEM)
    else:
        found = narrows.data.range_of_finite(source)
    tiling = tiling_of(source, fitted.codec_, overlap, before)
    other_scale = fitted._warn_of_scale(source, found)
    asked = psnr is not None or bytes_per_record is not None
    if bound is None or append or fitted.codec_.causal is not None:  # which mostly needs no code
        chosen = choose_quality(fitted.codec_, psnr=psnr, bytes_per_record=bytes_per_record)
    else:
        chosen = _smallest(fitted, source, tiling, bound)
    codec, quality = _choose(
        fitted.codec_,
        path,
        chosen,
        asked=asked,
        embed_model=embed_model,
        before=before,
        is_bounded=bound is not None,
    )
    about = {
        "container": _container(source),
        "tiling": None if tiling is None else tiling.to_json(),
        "max_error": bound,
    }
    tally = _Tally(codec.qualities[quality], codec.peak)
    with Writer(path, codec, quality, about, embed_model=embed_model, append=append, force=force) as writer:
        for start, stop in _batches(source):
            records, names = _records(source, start, stop, tiling)
            symbols = _symbols(fitted, records, _position(fitted.codec_, codec.qualities[quality]))
            restored = codec.decode(symbols, quality)
            writer.add(symbols, restored, names, records=None if bound is None else records)
            tally.add(records, restored)
            if watcher is not None:
                watcher(stop, len(source))
    if bound is not None:
        tally.squared, tally.max_error = writer.errors.squared, writer.errors.largest
    return _summary(
        path,
        source,
        writer,
        tally,
        alone=codec.only(quality),
        asked=psnr,
        asked_bytes=bytes_per_record,
        other_scale=other_scale,
    )


def _fitted(model: Autoencoder | str | os.PathLike[str]) -> Autoencoder:
    from narrows.estimators.autoencoder import Autoencoder
    from narrows.estimators.loading import load

    if isinstance(model, str | os.PathLike):
        model = load(model)
    if isinstance(model, Autoencoder):
        return model
    raise InvalidParameterError(
        f"The 'model' must be a fitted Autoencoder or the path of its file. Got {type(model).__name__}."
    )


def _symbols(fitted: Autoencoder, records: NDArray[Any], quality: int) -> NDArray[np.int32]:
    """Return the symbols of records, as `Autoencoder.quantise` does; what is not finite counts as 0."""
    from narrows.codec.freezing.calibration import to_symbols
    from narrows.model.artefacts import ArchiveCodec
    from narrows.model.inference import encode_unquantised

    if records.dtype.kind == "f" and not np.isfinite(records).all():
        records = np.where(np.isfinite(records), records, np.zeros((), records.dtype))
    return to_symbols(encode_unquantised(fitted.chain_, records), fitted.model_.artefact(ArchiveCodec).steps(quality))


def _smallest(fitted: Autoencoder, source: Source, tiling: Tiling | None, bound: float) -> int:
    """Return the quality with which code and rest together are smallest, by trying some on a sample."""
    codec = fitted.codec_
    n_records = min(_SAMPLE_RECORDS, _SAMPLE_VALUES // math.prod(codec.shape))
    if n_records == 0:  # to try a quality would take as long as to compress
        return codec.usual
    values = np.asarray(source.values[:: -(-len(source) // n_records)])
    records = (values if tiling is None else tiling.cut(values))[:n_records]
    grid, costs = Grid(codec.dtype, bound), dict[int, float]()
    for quality in np.unique(np.linspace(0, len(codec.qualities) - 1, _MOST_TRIED).round().astype(int)).tolist():
        symbols = _symbols(fitted, records, quality)
        code = float(codec.qualities[quality].entropy.bits(symbols).sum()) / 8
        costs[quality] = code + size_on_code(records, codec.decode(symbols, quality), grid)
    return min(costs, key=lambda quality: costs[quality])


def _choose(
    codec: FrozenCodec,
    path: str | os.PathLike[str],
    quality: int,
    *,
    asked: bool,
    embed_model: bool,
    before: Metadata | None,
    is_bounded: bool,
) -> tuple[FrozenCodec, int]:
    """Return the codec that the archive is written with, and which of its qualities."""
    if before is not None:
        return codec_for(path, before, codec, quality if asked else None)
    # An archive that carries its model carries nothing that it has no use for.
    return (codec.only(quality, with_causal=is_bounded), 0) if embed_model else (codec, quality)


def _position(codec: FrozenCodec, quality: Quality) -> int:
    return next(position for position, one in enumerate(codec.qualities) if one is quality)


def tiling_of(source: Source, codec: FrozenCodec, overlap: int | None, before: Metadata | None = None) -> Tiling | None:
    """Return how the source's images are cut into records, None where they are records.

    If nobody says how far tiles overlap, they do as `before`, in the archive that is appended to.
    """
    if source.dtype != codec.dtype:
        raise ShapeMismatchError(
            f"The model restores {codec.dtype} records. Got {source.name} of {source.dtype}: convert it first."
        )
    if source.shape == codec.shape:
        if overlap:
            raise InvalidParameterError(
                f"The records are as large as the model's: 'overlap' has no use. Got {overlap}."
            )
        return None
    if overlap is None:
        overlap = 0 if before is None else _overlap_of(before, codec)
    tiling = Tiling.of(source.shape, codec.shape, overlap)
    if tiling is None:
        raise ShapeMismatchError(
            f"The model was trained on records of shape {codec.shape}. Got {source.shape}.{_hint(source, codec)}"
        )
    return tiling


def _hint(source: Source, codec: FrozenCodec) -> str:
    """Return what to do with data that are one record, or one image to be tiled, without the axis that counts them."""
    whole = (len(source), *source.shape)
    if whole != codec.shape and Tiling.of(whole, codec.shape, 0) is None:
        return ""
    return " Records come along the first axis: one image or field alone is data[None]."


def _overlap_of(before: Metadata, codec: FrozenCodec) -> int:
    items = items_of(before)
    return items.overlap if isinstance(items, Tiling) and items.tile == codec.shape else 0


def _container(source: Source) -> dict[str, Any]:
    """Return what was handed in, for whoever restores it."""
    return {"kind": source.kind}


def _batches(source: Source) -> Iterator[tuple[int, int]]:
    size = max(1, min(_BATCH_RECORDS, _BATCH_BYTES // max(source.values[:1].nbytes, 1)))
    for start in range(0, len(source), size):
        yield start, min(start + size, len(source))


def _records(source: Source, start: int, stop: int, tiling: Tiling | None) -> tuple[NDArray[Any], list[str] | None]:
    """Return the records of some items, and their names if they have any: a tiled image's is that of its first tile."""
    values = np.asarray(source.values[start:stop])
    names = None if source.files is None else list(source.files[start:stop])
    if tiling is None:
        return values, names
    if names is not None:
        names = [text for name in names for text in (name, *[""] * (tiling.n_records - 1))]
    return tiling.cut(values), names


class _Tally:
    """Errors, counted up over batches of records."""

    def __init__(self, quality: Quality, peak: float) -> None:
        self.quality, self.peak = quality, peak
        self.squared, self.max_error, self.n_values, self.n_records, self.unlike = 0.0, 0.0, 0, 0, 0

    def add(self, records: NDArray[Any], restored: NDArray[Any]) -> None:
        """Take note of records (n, *shape) and what came back."""
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.subtract(records, restored, dtype=np.float64).reshape(len(records), -1)
            error[~np.isfinite(error)] = 0
            mse = np.einsum("nv,nv->n", error, error) / error.shape[1]
            self.squared = min(self.squared + float(mse.sum()) * error.shape[1], sys.float_info.max)
        self.max_error = max(self.max_error, float(error.max()), -float(error.min()))
        self.unlike += int((mse > self.quality.mse_limit).sum())
        self.n_values += error.size
        self.n_records += len(error)

    @property
    def psnr_db(self) -> float | None:
        """The signal-to-noise ratio so far; None without an error, or without a range to compare it with."""
        if self.squared == 0 or self.peak <= 0:
            return None
        return 20 * math.log10(self.peak) - 10 * (math.log10(self.squared) - math.log10(self.n_values))

    def warnings(self, asked: float | None) -> tuple[str, ...]:
        """Return what a person should know."""
        found = []
        share = self.unlike / self.n_records
        psnr = math.inf if self.psnr_db is None else self.psnr_db
        if share > _MANY:
            found.append(
                f"{self.unlike:,} of {self.n_records:,} records ({share:.0%}) look nothing like the training data. "
                f"{self._compared()}Train a model on data like these."
            )
        elif asked is not None and misses_psnr(psnr, asked):
            found.append(
                f"The records come back at {psnr:.2f} dB, not at the {asked:g} dB asked for, which is what the quality "
                "gives on training data. Ask for more, or train on more data."
            )
        return tuple(found)

    def _compared(self) -> str:
        """Return the qualities achieved and expected, in a sentence, where there are such."""
        if self.psnr_db is None or math.isinf(self.quality.psnr_db):
            return ""
        return f"All together come back at {self.psnr_db:.2f} dB, training data at {self.quality.psnr_db:.2f} dB. "


def _summary(
    path: str | os.PathLike[str],
    source: Source,
    writer: Writer,
    tally: _Tally,
    *,
    alone: FrozenCodec,
    asked: float | None,
    asked_bytes: float | None,
    other_scale: str | None,
) -> Summary:
    per_item = tally.n_records // len(source)
    n_sample = max(1, ZSTD_SAMPLE_BYTES // max(source.values[:1].nbytes, 1))
    chosen, written = alone.qualities[0], inspect(path)
    is_bounded = written.metadata.get("max_error") is not None
    warnings = () if is_bounded else (*tally.warnings(asked), *size_warnings(written, asked_bytes))
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
        warnings=warnings if other_scale is None else (other_scale, *warnings),
        chunks_kept=ways_of(writer.kept),
        sample=np.ascontiguousarray(source.values[:n_sample]).tobytes(),
    )
