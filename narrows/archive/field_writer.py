"""Compression of a field without a model: block by block, each by the way that takes the fewest bytes."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import narrows.data
from narrows.archive.blocks import BlockWriter
from narrows.archive.bound import bound_of, check_fill_value
from narrows.archive.chunks import chunk_bytes
from narrows.archive.field_chunks import pack_block_values
from narrows.archive.layout import Coding, pack_header
from narrows.archive.layouts import Field
from narrows.archive.metadata import OVER_CHANNELS, Metadata, header_entries
from narrows.archive.packing import pack_file
from narrows.archive.series_stored import StoredSeries, layout_of_series, stored_as_field
from narrows.archive.summary import ZSTD_SAMPLE_BYTES, Summary
from narrows.archive.text_writer import compress_texts
from narrows.codec.fields.block import encode_block
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.error_norms import Errors
from narrows.data import Source
from narrows.data.field import FieldSource, open_field
from narrows.data.fill import is_fill
from narrows.data.image_losses import accepted_losses, accepts_nothing, check_lossless
from narrows.data.series.csv_files import is_same_text
from narrows.errors import InvalidParameterError, NarrowsWarning, recorded
from narrows.io.files import as_path, check_output, naming_output, replacing
from narrows.io.progress import Progress
from narrows.numerics.blas import one_blas_thread
from narrows.numerics.pool import Pool

__all__ = ["check_without_model", "compress_field"]

_WAYS = {
    Kind.INTERPOLATED: "interpolation",
    Kind.INTERPOLATED_EXACT: "interpolation",
    Kind.BISECTED: "bisection",
    Kind.BISECTED_CHANNELS: "bisection over channels",
    Kind.LINEAR: "neighbours",
    Kind.EXACT: "neighbours",
    Kind.ZSTD: "zstd",
    Kind.PLAIN: "plain",
}
_FEW_BLOCKS = 2  # from which the index has a copy of the header: of a single block, it would save nothing


def check_without_model(given: dict[str, Any]) -> None:
    """Refuse parameters that have an effect only with a model, given as names and values; None or False for others.

    Raises
    ------
    InvalidParameterError
        If there is such a parameter.
    """
    for name, value in given.items():
        if value is not None and value is not False:
            raise InvalidParameterError(
                f"'{name}' (--{name.replace('_', '-')}) needs a model. Without one, an archive holds one array "
                f"within an error bound. Got {name}={value!r}. Omit it, or give a model ('model', -m MODEL)."
            )


def _check_no_folder(source: Source) -> None:
    """Refuse folders of images."""
    if source.files is not None:
        raise InvalidParameterError(
            f"Without a model, an archive holds one array and no file names. {source.name} is a folder of images. "
            "Give a model (-m MODEL), or an array."
        )


def _check_text(source: Source, given: dict[str, Any]) -> None:
    """Refuse parameters that have no meaning for text, which is always restored byte for byte."""
    for name, value in given.items():
        if value is not None and value is not False and value != ():
            raise InvalidParameterError(
                f"'{name}' (--{name.replace('_', '-')}) has no meaning for the text of {source.name}, which is "
                f"restored byte for byte. Got {name}={value!r}. Omit it."
            )


def compress_field(
    data: Any,
    path: str | os.PathLike[str],
    *,
    max_error: float | str | None = None,
    lossless: bool = False,
    fill_value: float | None = None,
    accept_loss: Any = (),
    as_records: bool = False,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Write an array to an archive that needs no model; parameters and errors are those of `narrows.compress`.

    Parameters
    ----------
    as_records : bool
        Whether the first axis numbers records, which are not predicted from each other.
    """
    check_output(path, force=force)
    with recorded() as warned:
        opened = data if isinstance(data, FieldSource) else open_field(data)
        source, values = opened.source, opened.values
        _check_no_folder(source)
        if source.record == "text":
            unused = {"max_error": max_error, "fill_value": fill_value, "accept_loss": accept_loss}
            _check_text(source, {**unused, "as_records": as_records})
            return compress_texts(source, path, tuple(warned), force=force, threads=threads, progress=progress)
        check_fill_value(fill_value, source, is_bounded=bool(max_error))
        bound = bound_of(max_error, lossless=lossless, source=source, fill_value=fill_value, has_columns=False)
        if bound is None and opened.series is not None and source.kind in {"csv", "wav"}:
            bound = 0.0
        if bound is None:
            raise InvalidParameterError(
                "Without a model, an archive needs an error bound. Give 'max_error' or 'lossless' (--max-error, "
                "--lossless), or a model ('model', -m MODEL)."
            )
        accepted = accepted_losses(accept_loss)
        if bound == 0:
            check_lossless(source.name, source.warnings, accepted)
        elif accepted:
            raise accepts_nothing()
        found = narrows.data.range_of_finite(source, fill_value=fill_value)
    stored = _stored(opened, bound, fill_value)
    field, over_channels = _layout(opened, stored, as_records=as_records)
    metadata = _metadata(stored, source.kind, field, fill_value, over_channels=over_channels)
    made = _write(path, stored, field, metadata, force=force, threads=threads, progress=progress)
    missed: tuple[NarrowsWarning, ...] = ()
    if fill_value is not None and not made.n_fill:
        text = f"No value equals the fill value {fill_value:.17g}. Check 'fill_value' (--fill-value)."
        missed = (NarrowsWarning(text, kind="fill-value"),)
    warnings = {str(one): one.to_json() for one in (*source.warnings, *warned, *missed)}  # each of them once
    peak = 0.0 if found is None else found[1] - found[0]
    errors = _in_units(made.errors, stored)
    squared = errors.squared
    return Summary(
        path=os.fspath(path),
        records=len(values),
        total_records=len(values),
        n_bytes=made.n_bytes,
        raw_bytes=values.nbytes,
        psnr_db=squared.psnr_db(values.size - made.n_fill, peak) if squared and peak > 0 else None,
        max_error=min(errors.largest, bound) if stored.values is not values else errors.largest,
        expected_psnr_db=None,
        expected_bytes_per_record=None,
        model_bytes=0,
        model_embedded=False,
        unlike=0,
        warnings=tuple(warnings.values()),
        error_bound=bound,
        values_range=found,
        fill_value=fill_value,
        n_fill=made.n_fill,
        chunks_kept=dict(Counter(made.ways).most_common()),
        is_same_text=None if bound or opened.series is None else is_same_text(opened.series),
        sample=_sample(values, field),
        some=np.ascontiguousarray(values[field.place(0)]).ravel(),
        some_of=values.size,
    )


def _stored(opened: FieldSource, bound: float, fill_value: float | None) -> StoredSeries:
    """Return the numbers to be coded, and their bound: those of decimals are integers."""
    if opened.series is None:
        return StoredSeries(opened.values, bound, None)
    return stored_as_field(opened.series, bound, may_be_decimals=fill_value is None)


def _layout(opened: FieldSource, stored: StoredSeries, *, as_records: bool) -> tuple[Field, bool]:
    """Return how the numbers are cut into blocks, and whether channels are predicted from each other by bisection."""
    if opened.series is None or as_records:
        return Field.of(stored.values.shape, stored.values.dtype.itemsize, are_records=as_records), False
    return layout_of_series(stored.values, stored.bound or 0.0)


def _in_units(errors: Errors, stored: StoredSeries) -> Errors:
    """Return the errors of integers in the units of the decimals, of which those of the fewest digits are largest."""
    digits = None if stored.described is None else stored.described.digits
    return errors if digits is None or stored.values.dtype.kind == "f" else errors.scaled(10.0 ** -min(digits))


class _Made:
    """What was written: the errors of values, the ways of blocks, the number of fill values, and the file's size."""

    def __init__(self) -> None:
        self.errors = Errors()
        self.ways: list[str] = []
        self.n_fill = self.n_bytes = 0


def _write(
    path: str | os.PathLike[str],
    stored: StoredSeries,
    field: Field,
    metadata: Metadata,
    *,
    force: bool,
    threads: int | None,
    progress: Progress | None,
) -> _Made:
    header, made = pack_header(header_entries(metadata)), _Made()
    target = Path(os.path.realpath(as_path(path)))
    encode = partial(_encoded, stored.values, field, metadata)
    with naming_output(os.fspath(path)), replacing(target, force=force) as file, Pool(threads) as pool:
        file.write(header)
        copied = header if field.n_blocks >= _FEW_BLOCKS else b""
        blocks = BlockWriter(file, copied, len(header))
        for column in () if stored.described is None else stored.described.blocks():
            blocks.column(*column)
        for number, block in enumerate(pool.map(encode, range(field.n_blocks), chunk_bytes(metadata))):
            made.errors += block.errors
            made.ways.append(_WAYS[block.kind])
            made.n_fill += block.n_fill
            blocks.records(block.payload, number, 1, Coding.FIELD)
            if progress is not None:
                progress("compressing", number + 1, field.n_blocks, "blocks")
        blocks.finish(field.n_blocks)
        made.n_bytes = blocks.offset if stored.described is None else pack_file(file, blocks.offset)
    return made


class _EncodedBlock(NamedTuple):
    """A block, ready to be written, the way it is coded, its errors, and its number of fill values."""

    payload: bytes
    kind: Kind
    errors: Errors
    n_fill: int


def _encoded(array: Any, field: Field, metadata: Metadata, number: int) -> _EncodedBlock:
    """Encode a block of an array, with one thread of BLAS, on whose number the fitted weights would depend."""
    grid = ErrorBound(metadata.dtype, metadata.max_error or 0.0, metadata.fill_value)
    values = np.ascontiguousarray(array[field.place(number)])
    with one_blas_thread():
        records, over_channels = values.reshape(field.coded_shape(number)), OVER_CHANNELS in metadata.more
        coded = encode_block(records, grid, over_channels=over_channels)
    errors = Errors.of(values, coded.restored.reshape(values.shape))
    n_fill = 0 if metadata.fill_value is None else int(is_fill(values, metadata.fill_value).sum())
    return _EncodedBlock(pack_block_values(coded, errors.largest), coded.kind, errors, n_fill)


def _metadata(
    stored: StoredSeries, kind: str, field: Field, fill_value: float | None, *, over_channels: bool
) -> Metadata:
    from narrows import __version__

    return Metadata.from_json(
        {
            "dtype": stored.values.dtype.name,
            "field": field.to_json(),
            "max_error": stored.bound,
            "container": {"kind": kind},
            "narrows": __version__,
        }
        | ({} if stored.described is None else stored.described.to_json())
        | ({} if fill_value is None else {"fill_value": fill_value})
        | ({OVER_CHANNELS: 1} if over_channels else {})
    )


def _sample(values: Any, field: Field) -> bytes:
    """Return the first values without compression, at most 2 MiB of them."""
    first = np.ascontiguousarray(values[field.place(0)]).ravel()
    return first[: max(1, ZSTD_SAMPLE_BYTES // values.dtype.itemsize)].tobytes()
