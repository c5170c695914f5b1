"""Coarser weights of a predictor of symbols, which take fewer bytes in a model, as far as they hardly cost bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.entropy_models.contract import EntropyModel
from narrows.codec.entropy_models.predictor import Predictor

__all__ = ["coarser_predictor"]

_MORE_BITS = 0.0005  # share of the bits that coarse weights of one kind may add
_MOST_OCTAVES = 11  # of 15
_BIAS_OCTAVES = 5  # the biases of location and scale keep 1/32 of a phase, and of a step between scales
_TRIED_SYMBOLS, _MOST_RECORDS, _FEWEST_RECORDS = 1 << 17, 1024, 256


def coarser_predictor(
    predictor: Predictor, symbols: NDArray[np.int32], model_of: Callable[[Predictor, NDArray[np.int32]], EntropyModel]
) -> Predictor:
    """Return a predictor whose weights are multiples of powers of two, and which codes symbols in nearly as few bits.

    Parameters
    ----------
    predictor : Predictor
        Has the weights.
    symbols : ndarray of shape (n, D), int32
        Symbols of training records; with few records the weights stay.
    model_of : callable
        Returns the entropy model with a predictor and tables of symbols.
    """
    n_records = min(len(symbols), _MOST_RECORDS, _TRIED_SYMBOLS // max(1, symbols.shape[1]))
    if n_records < _FEWEST_RECORDS:
        return predictor
    tried = symbols[:n_records]

    def bits(one: Predictor) -> float:
        return float(model_of(one, tried).bits(tried).sum())

    most = bits(predictor)
    best = replace(predictor, biases_out=_rounded(predictor.biases_out, np.maximum(_shifts(predictor), 0)))
    for name in ("weights_out", "weights_in"):
        most *= 1 + _MORE_BITS
        candidates = (_coarse(best, name, octaves) for octaves in range(_MOST_OCTAVES, 0, -1))
        best = next((one for one in candidates if bits(one) <= most), best)
    return best


def _shifts(predictor: Predictor) -> NDArray[np.int64]:
    return np.array(predictor.shifts) - _BIAS_OCTAVES


def _coarse(predictor: Predictor, name: str, octaves: int) -> Predictor:
    """Return a predictor with the weights to its outputs, or those from its inputs, as multiples of 2^octaves."""
    if name == "weights_out":
        return replace(predictor, weights_out=_rounded(predictor.weights_out, octaves))
    inwards: dict[str, Any] = {
        one: _rounded(getattr(predictor, one), octaves) for one in ("weights_in", "weights_near", "biases")
    }
    return replace(predictor, **inwards)


def _rounded(values: NDArray[Any], octaves: NDArray[np.int64] | int) -> NDArray[Any]:
    """Return the nearest multiples of 2^octaves within the values' range."""
    step = np.left_shift(1, octaves)
    largest = np.iinfo(values.dtype).max if values.dtype == np.int16 else 1 << 52
    most = largest // step
    return np.asarray(np.clip(np.rint(values / step), -most, most) * step).astype(values.dtype)
