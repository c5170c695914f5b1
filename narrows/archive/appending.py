"""Appending to an archive: its codec, quality and error bound apply to the appended records."""

from __future__ import annotations

import math
import os

from narrows.archive.bound import bound_of, check_fill_value
from narrows.archive.byte_file import ByteFile
from narrows.archive.effort import check_effort
from narrows.archive.header import naming, read_header
from narrows.archive.layout_choice import layout_of
from narrows.archive.metadata import Metadata
from narrows.archive.models import parted_as
from narrows.codec.frozen import FrozenCodec
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.data import Source
from narrows.data.fill import same_fill
from narrows.errors import ArchiveError, InvalidParameterError

__all__ = ["bound_for", "check_chunk_records", "check_together", "codec_for", "fill_value_for", "metadata_of"]

# Relative difference up to which two bounds are equal, for rounded or recomputed numbers.
_SAME_BOUND = 1e-6
# Where what selects a quality is refused.
_WHERE = dict.fromkeys(("psnr", "bytes_per_record"), "'lossless', or appended to an archive with a bound")
_WHERE["quality"] = "an error bound"


def metadata_of(path: str | os.PathLike[str]) -> Metadata:
    """Return the metadata of an archive, after checking its layout."""
    with ByteFile(path) as source, naming(os.fspath(path)):
        metadata = read_header(source).metadata
        layout_of(metadata)
        return metadata


def check_together(
    *,
    psnr: float | None,
    bytes_per_record: float | None,
    max_error: float | str | None,
    lossless: bool,
    overlap: int | None,
    before: Metadata | None,
    quality: int | None = None,
    effort: int = 0,
) -> None:
    """Check that no parameter is given that has no effect with an error bound; loads nothing.

    Parameters
    ----------
    psnr, bytes_per_record, quality, max_error, lossless, overlap, effort
        As for `compress`.
    before : Metadata or None
        Metadata of the archive that is appended to; its bound applies, too.

    Raises
    ------
    InvalidParameterError
        If a quality, an overlap or an effort is given with a bound, or the effort is not valid.
    """
    is_bounded = max_error is not None or lossless or (before is not None and before.max_error is not None)
    check_effort(effort, is_bounded=is_bounded)
    if not is_bounded:
        return
    selects: dict[str, object] = {"quality": quality}
    if before is not None or lossless:  # otherwise the largest error is a further condition
        selects |= {"psnr": psnr, "bytes_per_record": bytes_per_record}
    for name, value in selects.items():
        if value is not None:
            raise InvalidParameterError(
                f"Give '{name}', or 'max_error' or 'lossless', not both: with {_WHERE[name]}, the bound determines the "
                f"restored values, and the smallest file is written. Got {name}={value!r}."
            )
    if overlap:
        raise InvalidParameterError(
            f"'overlap' has no effect on an archive with an error bound, which has no visible seams. Got {overlap}. "
            "Omit it."
        )


def bound_for(
    path: str | os.PathLike[str],
    before: Metadata | None,
    source: Source,
    *,
    max_error: float | str | None,
    lossless: bool,
    fill_value: float | None = None,
) -> float | None:
    """Return the error bound, as `bound_of` does; that of the archive if records are appended.

    Raises
    ------
    InvalidParameterError
        If the given bound or fill value is not valid.
    ArchiveError
        If the given bound is tighter than the archive's.
    """
    check_fill_value(fill_value, source, is_bounded=bool(max_error) or (before is not None and bool(before.max_error)))
    asked = bound_of(max_error, lossless=lossless, source=source, fill_value=fill_value)
    if before is None:
        return asked
    bound = before.max_error
    if asked is not None and before.rounding_weight is not None:
        raise ArchiveError(
            f"{os.fspath(path)} has records whose pixels are rounded to a few levels, and appended ones are rounded as "
            "well. Omit 'max_error' and 'lossless', or write a new archive."
        )
    if asked is None or (bound is not None and asked >= bound * (1 - _SAME_BOUND)):
        return bound
    given = "'lossless' (--lossless)" if lossless else f"'max_error' (--max-error) of {asked!r}"
    if bound is None:
        raise ArchiveError(
            f"{os.fspath(path)} has no error bound, so records cannot be appended within one. Got {given}. Omit it to "
            "append in the archive's quality, or write a new archive."
        )
    raise ArchiveError(
        f"{os.fspath(path)} has the error bound {bound!r}, and appended records get the same one. Got {given}, which "
        "is smaller. Omit 'max_error' and 'lossless' to append within the archive's bound, or write a new archive."
    )


def fill_value_for(
    path: str | os.PathLike[str],
    before: Metadata | None,
    fill_value: float | None,
    of_model: float | None = None,
    *,
    is_bounded: bool = False,
) -> float | None:
    """Return the fill value: the given one, or that of the archive that is appended to, or that of the model.

    The model's applies only to archives with an error bound. NaN needs none, since it is always kept exactly.

    Raises
    ------
    InvalidParameterError
        If the model has another fill value.
    ArchiveError
        If the archive has another fill value, or none.
    """
    if fill_value is not None and of_model is not None and not same_fill(fill_value, of_model):
        raise InvalidParameterError(
            f"The model was trained with the fill value {of_model:.17g}, which applies to its archives as well. "
            f"Got the 'fill_value' (--fill-value) {fill_value:.17g}. Omit it, or train a model with this fill value."
        )
    if before is None:
        default = of_model if is_bounded and of_model is not None and not math.isnan(of_model) else None
        return default if fill_value is None else fill_value
    held = before.fill_value
    if held is not None and of_model is not None and held != of_model:
        raise ArchiveError(
            f"{os.fspath(path)} has the fill value {held:g}, and the model has the fill value {of_model:g}. "
            "Append with the archive's model, or write a new archive."
        )
    if fill_value is not None and fill_value != held:
        raise ArchiveError(
            f"{os.fspath(path)} has {'no fill value' if held is None else f'the fill value {held:g}'}. "
            f"Got {fill_value:g}. Omit 'fill_value' (--fill-value) to append, or write a new archive."
        )
    return held


def check_chunk_records(chunk_records: int | None, *, append: bool) -> None:
    """Check the number of records of a chunk, as far as that is possible without a model.

    Raises
    ------
    InvalidParameterError
        If it is not a whole number above 0, or given when records are appended.
    """
    if chunk_records is None:
        return
    if isinstance(chunk_records, bool) or not isinstance(chunk_records, int) or chunk_records < 1:
        raise InvalidParameterError(
            f"The 'chunk_records' (--chunk-records) must be a whole number above 0. Got {chunk_records!r}."
        )
    if append:
        raise InvalidParameterError(
            "'chunk_records' (--chunk-records) can be set only for new archives. Omit it with 'append'."
        )


def codec_for(
    path: str | os.PathLike[str], before: Metadata, codec: FrozenCodec, asked: int | None
) -> tuple[FrozenCodec | PartedCodec, int]:
    """Return the codec and the quality of an existing archive; a requested quality must be the archive's.

    The writer checks whether the archive was written with this model.
    """
    if before.parts is not None:
        parted = parted_as(codec, before)
        if parted is None:
            return PartedCodec.of(codec, asked or 0), 0
        if asked not in (None, parted.number):
            raise _other_quality(path, parted.number, asked)
        return parted, 0
    for position in range(len(codec.qualities)):
        alone = codec.only(position, with_causal=before.max_error is not None)
        if alone.digest != before.model:
            continue
        if asked not in (None, position):
            raise _other_quality(path, position, asked)
        return alone, 0
    if asked is None and before.model == codec.digest and before.quality < len(codec.qualities):
        return codec, before.quality
    return codec, asked or 0


def _other_quality(path: str | os.PathLike[str], quality: int, asked: int | None) -> ArchiveError:
    return ArchiveError(
        f"{os.fspath(path)} has quality {quality}. Got records in quality {asked}. "
        "Append in the archive's quality, or write a new archive."
    )
