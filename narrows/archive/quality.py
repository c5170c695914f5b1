"""The choice of a model's quality, and warnings if the requested PSNR or size was not reached."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import TYPE_CHECKING

from narrows.codec.frozen import FrozenCodec
from narrows.errors import InvalidParameterError, NarrowsWarning

if TYPE_CHECKING:
    from narrows.archive.description import Description
    from narrows.codec.operating_point import OperatingPoint

__all__ = ["choose_quality", "coarser_qualities", "misses_bytes", "misses_psnr", "misses_trained_psnr", "size_warnings"]

# The tolerance for a requested PSNR, 6 % of the squared error, and the same factor for a requested size.
_CLOSE_ENOUGH_DB = 0.25
_TRAINED_DB = 0.05  # the tolerance on training data, of which a model knows its PSNR


def choose_quality(
    codec: FrozenCodec,
    *,
    psnr: float | None = None,
    bytes_per_record: float | None = None,
    quality: int | None = None,
    n_tiles: int = 1,
    has_bounds: bool = False,
) -> int:
    """Return the index of the requested quality, by its number, or by PSNR and size as measured on training data.

    Parameters
    ----------
    codec : FrozenCodec
        Its qualities go from coarse to fine.
    psnr : float, optional
        Selects the coarsest quality with at least this PSNR in dB.
    bytes_per_record : float, optional
        Selects the finest quality with at most this number of bytes per record.
    quality : int, optional
        The index itself. Without `psnr`, `bytes_per_record` and `quality`, the codec's default is selected.
    n_tiles : int
        Number of the codec's records that make one of the data: of tiles of an image.
    has_bounds : bool
        Whether records may be stored within a bound, which reaches every PSNR: the finest quality is then selected if
        none has the wanted one.

    Raises
    ------
    InvalidParameterError
        If more than one is given, or the model has no such quality.
    """
    given = {"psnr": psnr, "bytes_per_record": bytes_per_record, "quality": quality}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise InvalidParameterError(f"Give '{names[0]}' or '{names[1]}', not both: each of them selects the quality.")
    qualities = codec.qualities
    if quality is not None:
        return _position(quality, len(qualities))
    if bytes_per_record is not None:
        _check("bytes_per_record", bytes_per_record)
        each = bytes_per_record / n_tiles
        small = [position for position, one in enumerate(qualities) if one.bytes_per_record <= each]
        if not small:
            least = min(one.bytes_per_record for one in qualities) * n_tiles
            tiles = f" for images of {n_tiles:,} tiles" if n_tiles > 1 else ""
            raise InvalidParameterError(
                f"The 'bytes_per_record' of this model must be at least {least:.1f}{tiles}. Got {bytes_per_record:g}. "
                "For smaller files, train a model with the recipe codec and a lower --psnr."
            )
        return max(small, key=lambda position: qualities[position].psnr_db)
    if psnr is None:
        return codec.default
    _check("psnr", psnr)
    best = max(one.psnr_db for one in qualities)
    good = [position for position, one in enumerate(qualities) if one.psnr_db >= psnr]
    if not good and has_bounds:
        return len(qualities) - 1
    if not good:
        raise InvalidParameterError(
            f"The 'psnr' of this model may be at most {best:.2f} dB, its PSNR on the training data, since an "
            f"'overlap', a fill value and appending exclude error bounds. Got {psnr:g}. "
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


def misses_trained_psnr(psnr_db: float, trained_for: float) -> bool:
    """Return whether a PSNR on training data is below the one that the model was trained for.

    Examples
    --------
    >>> misses_trained_psnr(19.96, 20.0), misses_trained_psnr(19.79, 20.0)
    (False, True)
    """
    return psnr_db < trained_for - _TRAINED_DB


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
    each = (found.n_bytes - found.model_bytes) / max(1, found.n_records)
    if asked is None or not misses_bytes(each, asked):
        return ()
    one = "image" if found.metadata["tiling"] else "record"
    own = found.records_bytes / found.n_records
    advice = "train on more data" if misses_bytes(own, asked) else f"put more {one}s into one archive"
    text = (
        f"The archive takes {each:.2f} bytes per {one}, more than the requested {asked:g}: {own:.2f} "
        f"for the {one} itself and {each - own:.2f} for its share of header and index. The quality "
        f"was chosen by the size of training data, without this share. Request fewer bytes, or {advice}."
    )
    return (NarrowsWarning(text, kind="bytes", count=found.n_records),)


def _position(quality: object, n: int) -> int:
    """Return the number of a quality after checking it."""
    try:
        position = -1 if isinstance(quality, bool) else operator.index(quality)  # type: ignore[arg-type]
    except TypeError:
        position = -1
    if 0 <= position < n:
        return position
    raise InvalidParameterError(
        f"The 'quality' of this model must be a whole number from 0, the coarsest, to {n - 1}, the finest. "
        f"Got {quality!r}. `narrows compress --dry-run` shows what each of them yields."
    )


def _check(name: str, value: object) -> None:
    if not (isinstance(value, Real) and math.isfinite(value) and float(value) > 0):
        raise InvalidParameterError(f"The '{name}' of compress must be a number > 0. Got {value!r}.")
