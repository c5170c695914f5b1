"""Errors of restored records, accumulated over batches, and the resulting warnings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.archive.quality import misses_psnr, misses_trained_psnr
from narrows.codec.operating_point import OperatingPoint
from narrows.data.text.comparison import compared
from narrows.errors import NarrowsWarning
from narrows.numerics.squares import SquaredSum

__all__ = ["ErrorTally"]

# A warning is given if more than this share of the records is unlike the training data.
_MANY = 0.1


class ErrorTally:
    """Squared and largest errors over batches of records, and the number of records unlike the training data.

    Parameters
    ----------
    quality : OperatingPoint
        Its ``mse_limit`` decides which records are unlike the training data.
    peak : float
        The peak of PSNR, in the records' units.
    """

    def __init__(self, quality: OperatingPoint, peak: float) -> None:
        self.quality, self.peak = quality, peak
        self.squared, self.max_error, self.n_values, self.n_records, self.unlike = SquaredSum(), 0.0, 0, 0, 0
        self.first_unlike: int | None = None
        self.n_fill = 0
        self.n_right = self.n_bytes = 0  # of texts

    def add_texts(self, records: NDArray[Any], restored: NDArray[Any]) -> None:
        """Count right bytes of texts, given symbols (n, length)."""
        right, n_bytes = compared(records, restored)
        self.n_right += int(right.sum())
        self.n_bytes += int(n_bytes.sum())

    def add(self, records: NDArray[Any], restored: NDArray[Any]) -> None:
        """Add the errors of original and restored records, both (n, *shape)."""
        with np.errstate(over="ignore", invalid="ignore"):
            error = _errors(records, restored).reshape(len(records), -1)
            error[~np.isfinite(error)] = 0
            mse = np.einsum("nv,nv->n", error, error) / error.shape[1]
            self.squared += SquaredSum.of(error)
        self.max_error = max(self.max_error, float(error.max()), -float(error.min()))
        unlike = np.flatnonzero(mse > self.quality.mse_limit)
        if self.first_unlike is None and len(unlike):
            self.first_unlike = self.n_records + int(unlike[0])
        self.unlike += len(unlike)
        self.n_values += error.size
        self.n_records += len(error)

    def extend(self, later: ErrorTally) -> None:
        """Add the errors of records that come after those so far."""
        if self.first_unlike is None and later.first_unlike is not None:
            self.first_unlike = self.n_records + later.first_unlike
        self.squared += later.squared
        self.max_error = max(self.max_error, later.max_error)
        self.unlike += later.unlike
        self.n_values += later.n_values
        self.n_records += later.n_records
        self.n_fill += later.n_fill
        self.n_right += later.n_right
        self.n_bytes += later.n_bytes

    @property
    def psnr_db(self) -> float | None:
        """The PSNR in dB so far; None without an error, or if the peak is 0."""
        if not self.squared or self.peak <= 0 or self.n_values <= 0:
            return None
        return self.squared.psnr_db(self.n_values, self.peak)

    def fill_warnings(
        self, fill_value: float | None, of_model: float | None, *, is_bounded: bool
    ) -> tuple[NarrowsWarning, ...]:
        """Return a warning if a fill value was given that no record has, or missing values are not kept."""
        if of_model is not None and self.n_fill > 0 and not is_bounded:
            text = (
                f"{self.n_fill:,} values are {of_model:.17g}, the fill value of the model. Without an error bound they "
            )
            text += (
                "are restored as the model's estimates of the missing values. Set max_error or lossless (--max-error, "
            )
            text += "--lossless) to keep them."
            return (NarrowsWarning(text, kind="fill-value", count=self.n_fill),)
        if fill_value is None or of_model is not None or self.n_fill > 0:
            return ()
        text = f"No value equals the fill value {fill_value:.17g}. Check 'fill_value' (--fill-value)."
        return (NarrowsWarning(text, kind="fill-value"),)

    def warnings(
        self, asked: float | None, more_db: float = 0.0, trained_for: float | None = None
    ) -> tuple[NarrowsWarning, ...]:
        """Return warnings about records unlike the training data, or about missing the PSNR that was asked for.

        ``more_db`` is added to the PSNR of training data, to have it over the range of the records. ``trained_for`` is
        the PSNR of the model, if none was asked for; a model that misses it on training data is warned of.
        """
        found = []
        share = self.unlike / self.n_records
        psnr = math.inf if self.psnr_db is None else self.psnr_db
        if share > _MANY:
            text = f"{self.unlike:,} of {self.n_records:,} records ({share:.0%}) are unlike the training data. "
            text += f"{self._compared(more_db)}Train a model on data like these."
            found.append(NarrowsWarning(text, kind="unlike", count=self.unlike, first=self.first_unlike))
        elif asked is not None and misses_psnr(psnr, asked):
            text = f"The records are restored at {psnr:.2f} dB, less than the requested {asked:g} dB. The quality was "
            text += "chosen by its PSNR on training data. Request a higher PSNR, or train on more data."
            found.append(NarrowsWarning(text, kind="psnr", count=self.n_records))
        elif trained_for is not None and misses_trained_psnr(max(psnr, self.quality.psnr_db), trained_for):
            text = f"The records are restored at {psnr:.2f} dB, and the model was trained for {trained_for:g} dB, "
            text += f"which its code misses. `narrows compress --psnr {trained_for:g}` reaches it, in more bytes."
            found.append(NarrowsWarning(text, kind="psnr", count=self.n_records))
        return tuple(found)

    def _compared(self, more_db: float) -> str:
        """Return a sentence with the achieved and the expected PSNR; empty if one is not defined."""
        if self.psnr_db is None or math.isinf(self.quality.psnr_db):
            return ""
        expected = self.quality.psnr_db + more_db
        return f"All records are restored at {self.psnr_db:.2f} dB, training data at {expected:.2f} dB. "


def _errors(records: NDArray[Any], restored: NDArray[Any]) -> NDArray[np.float64]:
    """Return records − restored records; of whole numbers beyond 2^53 too, which floats round, with one rounding."""
    if records.dtype.kind not in "iu" or records.itemsize < 8:
        return np.asarray(np.subtract(records, restored, dtype=np.float64))
    distance = np.maximum(records, restored).astype(np.uint64) - np.minimum(records, restored).astype(np.uint64)
    return np.asarray(np.where(records < restored, -1.0, 1.0) * distance)
