"""Which of a model's qualities is meant."""

from __future__ import annotations

import math
from numbers import Real

from narrows.codec.frozen import FrozenCodec
from narrows.errors import InvalidParameterError

__all__ = ["choose_quality"]


def choose_quality(codec: FrozenCodec, *, psnr: float | None = None, bytes_per_record: float | None = None) -> int:
    """Return the index of the quality that is asked for, by what was measured on training data.

    Parameters
    ----------
    codec : FrozenCodec
        Its qualities go from coarse to fine.
    psnr : float, optional
        The coarsest quality of at least so many dB.
    bytes_per_record : float, optional
        The finest quality of at most so many bytes. Neither: the codec's usual one.

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
        return codec.usual
    _check("psnr", psnr)
    best = max(one.psnr_db for one in qualities)
    good = [position for position, one in enumerate(qualities) if one.psnr_db >= psnr]
    if not good:
        raise InvalidParameterError(
            f"This model restores its training data at {best:.2f} dB at best. Got psnr={psnr:g}. "
            f"Train one for that quality: recipe codec with --psnr {psnr:g}."
        )
    return min(good, key=lambda position: qualities[position].bytes_per_record)


def _check(name: str, value: object) -> None:
    if not (isinstance(value, Real) and math.isfinite(value) and float(value) > 0):
        raise InvalidParameterError(f"The '{name}' of compress must be a number > 0. Got {value!r}.")
