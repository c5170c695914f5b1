"""An operating point of a frozen codec: quantisation steps, entropy model, and rate and error on training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.entropy_models import MAX_SYMBOL, EntropyModel
from narrows.codec.program import Program

__all__ = ["OperatingPoint", "to_symbols"]


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """A quantisation of a model's codes, with its rate and error on the training data.

    Attributes
    ----------
    rescale : Program
        From symbols to the decoder's input: factors that contain the quantisation steps, or a codebook.
    entropy : EntropyModel
        Codes the symbols.
    steps : ndarray of shape (n_symbols,), float64
        The quantisation step of each latent dimension, 1 for an index; only the encoder needs it.
    psnr_db, bytes_per_record : float
        Measured on training data, with the integer decoder.
    mse_limit : float
        Mean squared error of a record, in the records' squared units, above which it counts as unlike the training
        data: four times the 99.9th percentile of the training records.
    """

    rescale: Program
    entropy: EntropyModel
    steps: NDArray[np.float64]
    psnr_db: float
    bytes_per_record: float
    mse_limit: float

    def fits(self, n_symbols: int, z_shape: tuple[int, ...]) -> bool:
        """Return whether it maps n_symbols symbols to codes of shape z_shape, with finite, positive steps."""
        return (
            self.entropy.n_symbols == n_symbols
            and (self.rescale.in_shape, self.rescale.out_shape) == ((n_symbols,), z_shape)
            and _are_steps(self.steps, n_symbols)
        )


def _are_steps(steps: NDArray[Any], n: int) -> bool:
    return steps.shape == (n,) and steps.dtype == np.float64 and bool((steps > 0).all() and np.isfinite(steps).all())


def to_symbols(codes: NDArray[np.floating[Any]], steps: NDArray[np.float64]) -> NDArray[np.int32]:
    """Quantise codes (n, n_symbols): round(codes / steps), clipped to ±32,767; 0 for NaN.

    Records far beyond the training data can overflow the encoder, so that codes are infinite or NaN.
    """
    with np.errstate(over="ignore"):
        symbols = np.nan_to_num(np.rint(codes / steps), copy=False)
    return np.clip(symbols, -MAX_SYMBOL, MAX_SYMBOL, out=symbols).astype(np.int32)
