"""What an archive that is there decides for whatever is appended to it: the codec, the quality and the bound."""

from __future__ import annotations

import os

from narrows.archive.bound import bound_of
from narrows.archive.byte_file import ByteFile
from narrows.archive.header import naming, read_header
from narrows.archive.layout_choice import layout_of
from narrows.archive.metadata import Metadata
from narrows.codec.frozen import FrozenCodec
from narrows.data import Source
from narrows.errors import ArchiveError, InvalidParameterError

__all__ = ["bound_for", "check_together", "codec_for", "metadata_of"]

# A bound that is read off a screen, or worked out anew from a range, is the same one.
_SAME_BOUND = 1e-6


def metadata_of(path: str | os.PathLike[str]) -> Metadata:
    """Return what an archive says about itself, its tiles included."""
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
) -> None:
    """Refuse what has no use where records are kept within a bound; nothing is loaded for it.

    Parameters
    ----------
    psnr, bytes_per_record, max_error, lossless, overlap
        As for `compress`.
    before : Metadata or None
        Of the archive that is appended to: its bound counts as asked for.

    Raises
    ------
    InvalidParameterError
        If a quality or an overlap is asked for beside a bound.
    """
    if max_error is None and not lossless and (before is None or before.max_error is None):
        return
    for name, value in (("psnr", psnr), ("bytes_per_record", bytes_per_record)):
        if value is not None:
            raise InvalidParameterError(
                f"Give '{name}', or 'max_error' or 'lossless', not both: within a bound nothing of the code's quality "
                f"is left in what comes back, and the code is chosen for the smallest file. Got {name}={value!r}."
            )
    if overlap:
        raise InvalidParameterError(
            f"Tiles that are kept within a bound have no seams, so 'overlap' has no use. Got {overlap}."
        )


def bound_for(
    path: str | os.PathLike[str],
    before: Metadata | None,
    source: Source,
    *,
    max_error: float | str | None,
    lossless: bool,
) -> float | None:
    """Return the largest error allowed, as `bound_of` does; of what is appended, that of the archive.

    Raises
    ------
    InvalidParameterError
        If what is asked for is no bound.
    ArchiveError
        If it is tighter than the archive's.
    """
    asked = bound_of(max_error, lossless=lossless, source=source)
    if before is None:
        return asked
    bound = before.max_error
    if asked is None or (bound is not None and asked >= bound * (1 - _SAME_BOUND)):
        return bound
    raise ArchiveError(
        f"{os.fspath(path)} {_bound_in_words(bound)}, and cannot be appended to with a tighter one, {asked!r}. "
        "Append without 'max_error' and 'lossless', which takes the archive's, or make another archive."
    )


def _bound_in_words(max_error: float | None) -> str:
    return "has no bound to its errors" if max_error is None else f"has a largest error of {max_error!r}"


def codec_for(
    path: str | os.PathLike[str], before: Metadata, codec: FrozenCodec, asked: int | None
) -> tuple[FrozenCodec, int]:
    """Return the codec and the quality of an archive that is there; the quality must be the one asked for, if any.

    Whether it's this model's archive at all, and in this quality of the whole model, the writer checks.
    """
    for position in range(len(codec.qualities)):
        alone = codec.only(position, with_causal=before.max_error is not None)
        if alone.digest != before.model:
            continue
        if asked not in (None, position):
            raise ArchiveError(
                f"{os.fspath(path)} is of quality {position}, and cannot be appended to in quality {asked}. "
                "Append in the same quality, or make another archive."
            )
        return alone, 0
    if asked is None and before.model == codec.digest and before.quality < len(codec.qualities):
        return codec, before.quality
    return codec, asked or 0
