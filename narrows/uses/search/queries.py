"""Partial queries: records of which values are hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.model.inference import to_stored
from narrows.numerics.randomness import Stream, rng
from narrows.parts.options import Real, check

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["hide_values"]


def hide_values(model: Autoencoder, values: NDArray[Any], share: float, seed: int = 0) -> NDArray[Any]:
    """Return records of which values are hidden, as the corruption "masking" hides them in training.

    Parameters
    ----------
    model : Autoencoder
        Its preprocessing determines what a hidden value is: 0 after preprocessing, or the model's fill value if it was
        trained with missing values.
    values : ndarray of shape (m, *shape)
        The records.
    share : float
        The share of the values that is hidden, from 0 to 1. Which they are does not depend on the number of records.
    seed : int
        Seed of their choice.

    Raises
    ------
    InvalidParameterError
        If the share is not a number from 0 to 1.
    """
    check("hide_values", "share", share, Real(0, 1))
    chain, numbers = model.chain_, rng(seed, Stream.SEARCH_MASK)
    if model.fill_value_ is not None:
        hidden: NDArray[Any] = np.full(values.shape[1:], model.fill_value_, values.dtype)
    else:
        with torch.no_grad():
            zero = torch.zeros((1, *chain.shape), dtype=torch.float64, device=chain.device)
            hidden = to_stored(chain.preprocessor.inverse(zero).cpu().numpy()[0], values.dtype)
    partial = np.array(values)
    for record in partial:
        away = numbers.random(record.shape) < share
        record[away] = hidden[away]
    return partial
