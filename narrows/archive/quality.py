"""The choice of a model's quality, and warnings if the requested PSNR or size was not reached."""

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

# The tolerance for a requested PSNR, 6 % of the squared error, and the same factor for a requested size.
_CLOSE_ENOUGH_DB = 0.25


def choose_quality(codec: FrozenCodec, *, psnr: float | None = None, bytes_per_record: float | None = None) -> int:
    """Return the index of the requested quality, by PSNR and size as measured on training data.

    Parameters
    ----------
    codec : FrozenCodec
        Its qualities go from coarse to fine.
    psnr : float, optional
        Selects the coarsest quality with at least this PSNR in dB.
    bytes_per_record : float, optional
        Selects the finest quality with at most this number of bytes per record. Without `psnr` and
        `bytes_per_record`, the codec's default is selected.

    Raises
    ------
    InvalidParameterError
        If both are given, or the model has no such quality.
    """
    if psnr is not None and bytes_per_record is not None:
        raise InvalidParameterError("Give 'psnr' or 'bytes_per_record', not both: each of them selects the quality.")
    qualities = codec.qualities
    if bytes_per_record is not None:
        _check("bytes_per_record", bytes_per_record)
        small = [position for position, one in enumerate(qualities) if one.bytes_per_record <= bytes_per_record]
        if not small:
            least = min(one.bytes_per_record for one in qualities)
            raise InvalidParameterError(
                f"The 'bytes_per_record' of this model must be at least {least:.1f}. Got {bytes_per_record:g}. "
                "For smaller files, train a model with the recipe codec and a lower --psnr."
            )
        return max(small, key=lambda position: qualities[position].psnr_db)
    if psnr is None:
        return codec.default
    _check("psnr", psnr)
    best = max(one.psnr_db for one in qualities)
    good = [position for position, one in enumerate(qualities) if one.psnr_db >= psnr]
    if not good:
        raise InvalidParameterError(
            f"The 'psnr' of this model may be at most {best:.2f} dB, its PSNR on the training data. Got {psnr:g}. "
            f"For this quality, train a model with the recipe codec and --psnr {psnr:g}."
        )
    return min(good, key=lambda position: qualities[position].bytes_per_record)


def coarser_qualities(codec: FrozenCodec) -> list[OperatingPoint]:
    """Return up to two qualities below the default: the one nearest to half its bytes, and the coarsest.

    Parameters
    ----------
    codec : FrozenCodec
        Its qualities go from coarse to fine.

    Returns
    -------
    list of OperatingPoint
        From fine to coarse; empty if the default is the coarsest quality.
    """
    below = codec.qualities[: codec.default]
    if not below:
        return []
    half = codec.qualities[codec.default].bytes_per_record / 2
    middle = min(below, key=lambda quality: abs(quality.bytes_per_record - half))
    return [middle] if middle is below[0] else [middle, below[0]]


def misses_psnr(psnr_db: float, asked: float) -> bool:
    """Return whether a PSNR is below the requested PSNR by more than the tolerance."""
    return psnr_db < asked - _CLOSE_ENOUGH_DB


def misses_bytes(bytes_per_record: float, asked: float) -> bool:
    """Return whether a size is above the requested size by more than the tolerance.

    Examples
    --------
    >>> misses_bytes(6.3, 6), misses_bytes(6.98, 6)
    (False, True)
    """
    return bytes_per_record > asked * 10 ** (_CLOSE_ENOUGH_DB / 10)


def size_warnings(found: Description, asked: float | None) -> tuple[NarrowsWarning, ...]:
    """Return a warning if an archive takes more than the requested number of bytes per record.

    The bytes of a model inside the archive are not counted, since the user has requested them.
    """
    if asked is None or not misses_bytes(found.bytes_per_record, asked):
        return ()
    one = "tile" if found.metadata["tiling"] else "record"
    own = found.records_bytes / found.n_records
    advice = "train on more data" if misses_bytes(own, asked) else f"put more {one}s into one archive"
    text = (
        f"The archive takes {found.bytes_per_record:.2f} bytes per {one}, more than the requested {asked:g}: {own:.2f} "
        f"for the {one} itself and {found.bytes_per_record - own:.2f} for its share of header and index. The quality "
        f"was chosen by the size of training data, without this share. Request fewer bytes, or {advice}."
    )
    return (NarrowsWarning(text, kind="bytes", count=found.n_records),)


def _check(name: str, value: object) -> None:
    if not (isinstance(value, Real) and math.isfinite(value) and float(value) > 0):
        raise InvalidParameterError(f"The '{name}' of compress must be a number > 0. Got {value!r}.")
