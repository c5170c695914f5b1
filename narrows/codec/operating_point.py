"""An operating point of a frozen codec: the step sizes, the entropy model and what they gave on training data."""

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
    """One way to write the codes of a model as whole numbers, and what it gave on the training data.

    Attributes
    ----------
    rescale : Program
        From symbols to the decoder's input: factors that hold the steps of quantisation, or a codebook.
    entropy : EntropyModel
        How symbols become bits.
    steps : ndarray of shape (n_symbols,), float64
        What one symbol is worth in the code, 1 where it is an index; only the encoder needs it.
    psnr_db, bytes_per_record : float
        Measured on training data, with this integer decoder.
    mse_limit : float
        Mean squared error, in the records' units, beyond which a record looks nothing like the training data: four
        times what one training record in a thousand exceeded.
    """

    rescale: Program
    entropy: EntropyModel
    steps: NDArray[np.float64]
    psnr_db: float
    bytes_per_record: float
    mse_limit: float

    def fits(self, n_symbols: int, z_shape: tuple[int, ...]) -> bool:
        """Return whether it takes so many symbols to codes of this shape, with steps that are finite and positive."""
        return (
            self.entropy.n_symbols == n_symbols
            and (self.rescale.in_shape, self.rescale.out_shape) == ((n_symbols,), z_shape)
            and _are_steps(self.steps, n_symbols)
        )


def _are_steps(steps: NDArray[Any], n: int) -> bool:
    return steps.shape == (n,) and steps.dtype == np.float64 and bool((steps > 0).all() and np.isfinite(steps).all())


def to_symbols(codes: NDArray[np.floating[Any]], steps: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the whole numbers of steps nearest to codes (n, n_symbols), within ±32,767; 0 where a code is none.

    Records far beyond the training data can overflow the encoder: such codes are infinite, or not even that.
    """
    with np.errstate(over="ignore"):
        symbols = np.nan_to_num(np.rint(codes / steps), copy=False)
    return np.clip(symbols, -MAX_SYMBOL, MAX_SYMBOL, out=symbols).astype(np.int32)
