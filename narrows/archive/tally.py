"""Errors of restored records, accumulated over batches, and the resulting warnings."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.archive.quality import misses_psnr
from narrows.codec.operating_point import OperatingPoint
from narrows.numerics.psnr import psnr_db

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
        self.squared, self.max_error, self.n_values, self.n_records, self.unlike = 0.0, 0.0, 0, 0, 0

    def add(self, records: NDArray[Any], restored: NDArray[Any]) -> None:
        """Add the errors of original and restored records, both (n, *shape)."""
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
        """The PSNR in dB so far; None without an error, or if the peak is 0."""
        if self.squared == 0 or self.peak <= 0:
            return None
        return psnr_db(self.squared / self.n_values, self.peak)

    def warnings(self, asked: float | None) -> tuple[str, ...]:
        """Return warnings about records unlike the training data, or about missing the PSNR that was asked for."""
        found = []
        share = self.unlike / self.n_records
        psnr = math.inf if self.psnr_db is None else self.psnr_db
        if share > _MANY:
            found.append(
                f"{self.unlike:,} of {self.n_records:,} records ({share:.0%}) are unlike the training data. "
                f"{self._compared()}Train a model on data like these."
            )
        elif asked is not None and misses_psnr(psnr, asked):
            found.append(
                f"The records are restored at {psnr:.2f} dB, less than the requested {asked:g} dB. The quality was "
                "chosen by its PSNR on training data. Request a higher PSNR, or train on more data."
            )
        return tuple(found)

    def _compared(self) -> str:
        """Return a sentence with the achieved and the expected PSNR; empty if one is not defined."""
        if self.psnr_db is None or math.isinf(self.quality.psnr_db):
            return ""
        return f"All records are restored at {self.psnr_db:.2f} dB, training data at {self.quality.psnr_db:.2f} dB. "
