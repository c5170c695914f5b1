"""Which of a model's qualities is meant, and whether what was asked for has been met."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING

from narrows.codec.frozen import FrozenCodec
from narrows.errors import InvalidParameterError, NarrowsWarning

if TYPE_CHECKING:
    from narrows.archive.description import Description
    from narrows.codec.operating_point import OperatingPoint

__all__ = ["choose_quality", "coarser_qualities", "misses_bytes", "misses_psnr", "size_warnings"]

# What is asked for is met within so many dB, 6 % of the squared error, and within as large a share of the bytes.
_CLOSE_ENOUGH_DB = 0.25


def choose_quality(codec: FrozenCodec, *, psnr: float | None = None, bytes_per_record: float | None = None) -> int:
    """Return the index of the quality that is asked for, by what was measured on training data.

    Parameters
    ----------
    codec : FrozenCodec
        Its qualities go from coarse to fine.
    psnr : float, optional
        The coarsest quality of at least so many dB.
    bytes_per_record : float, optional
        The finest quality of at most so many bytes. Neither: the codec's default.

    Raises
    ------
    InvalidParameterError
        If both are given, or the model has no such quality.
    """
    if psnr is not None and bytes_per_record is not None:
        raise InvalidParameterError("Give 'psnr' or 'bytes_per_record', not both: one decides the other.")
    qualities = codec.qualities
    if bytes_per_record is not None:
        _check("bytes_per_record", bytes_per_record)
        small = [position for position, one in enumerate(qualities) if one.bytes_per_record <= bytes_per_record]
        if not small:
            least = min(one.bytes_per_record for one in qualities)
            raise InvalidParameterError(
                f"This model needs at least {least:.1f} bytes a record. Got bytes_per_record={bytes_per_record:g}. "
                "Train one for smaller files: recipe codec with a lower --psnr."
            )
        return max(small, key=lambda position: qualities[position].psnr_db)
    if psnr is None:
        return codec.default
    _check("psnr", psnr)
    best = max(one.psnr_db for one in qualities)
    good = [position for position, one in enumerate(qualities) if one.psnr_db >= psnr]
    if not good:
        raise InvalidParameterError(
            f"This model restores its training data at {best:.2f} dB at best. Got psnr={psnr:g}. "
            f"Train one for that quality: recipe codec with --psnr {psnr:g}."
        )
    return min(good, key=lambda position: qualities[position].bytes_per_record)


def coarser_qualities(codec: FrozenCodec) -> list[OperatingPoint]:
    """Return up to two qualities below the default: the nearest to half its bytes, and the coarsest.

    Parameters
    ----------
    codec : FrozenCodec
        Its qualities go from coarse to fine.

    Returns
    -------
    list of OperatingPoint
        From fine to coarse; empty if the default is the coarsest.
    """
    below = codec.qualities[: codec.default]
    if not below:
        return []
    half = codec.qualities[codec.default].bytes_per_record / 2
    middle = min(below, key=lambda quality: abs(quality.bytes_per_record - half))
    return [middle] if middle is below[0] else [middle, below[0]]


def misses_psnr(psnr_db: float, asked: float) -> bool:
    """Return whether a signal-to-noise ratio is so far below the one asked for that it is worth a word."""
    return psnr_db < asked - _CLOSE_ENOUGH_DB


def misses_bytes(bytes_per_record: float, asked: float) -> bool:
    """Return whether a size is so far above the one asked for that it is worth a word.

    Examples
    --------
    >>> misses_bytes(6.3, 6), misses_bytes(6.98, 6)
    (False, True)
    """
    return bytes_per_record > asked * 10 ** (_CLOSE_ENOUGH_DB / 10)


def size_warnings(found: Description, asked: float | None) -> tuple[NarrowsWarning, ...]:
    """Return what a person should know who asked for so many bytes a record and got this archive.

    The model is not counted: whoever puts it in asks for its bytes.
    """
    if asked is None or not misses_bytes(found.bytes_per_record, asked):
        return ()
    one = "tile" if found.metadata["tiling"] else "record"
    own = found.records_bytes / found.n_records
    advice = "train on more data" if misses_bytes(own, asked) else f"put more {one}s into one archive"
    text = (
        f"The archive takes {found.bytes_per_record:.2f} bytes a {one}, not the {asked:g} asked for: {own:.2f} are the "
        f"{one}'s own, {found.bytes_per_record - own:.2f} its share of header and index. The quality was chosen by "
        f"what training data take, without that share. Ask for less, or {advice}."
    )
    return (NarrowsWarning(text, kind="bytes", count=found.n_records),)


def _check(name: str, value: object) -> None:
    if not (isinstance(value, Real) and math.isfinite(value) and float(value) > 0):
        raise InvalidParameterError(f"The '{name}' of compress must be a number > 0. Got {value!r}.")
