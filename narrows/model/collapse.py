"""Detects collapsed models: codes that say nothing about the records, or the same output for every record."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.errors import CollapsedWarning, warn
from narrows.model.inference import Labels, encode_continuous, reconstruct

__all__ = ["collapse_of", "warn_if_collapsed"]

_SAMPLE = 512
_NOTHING = 1e-6  # of the records' variance: that of outputs which are all the same, up to rounding
_ACTIVE = 0.01  # variance over records of the mean of a drawn number that is in use
_ONE_CODEWORD = 1.001  # perplexity


def warn_if_collapsed(chain: Chain, values: NDArray[Any], labels: Labels = None) -> None:
    """Warn if a trained chain has collapsed on a sample of records.

    Parameters
    ----------
    chain : Chain
        The trained chain.
    values : ndarray of shape (n, *shape)
        Records in their stored dtype.
    labels : ndarray of int, shape (n,), optional
        Their classes, for a conditional chain.
    """
    text = collapse_of(chain, values, labels)
    if text is not None:
        warn(CollapsedWarning(f"The model has collapsed: {text}"))


@torch.no_grad()
def collapse_of(chain: Chain, values: NDArray[Any], labels: Labels = None) -> str | None:
    """Return in which way a chain has collapsed, as a sentence with advice; None if it has not.

    Parameters and records are those of `warn_if_collapsed`.
    """
    every = -(-len(values) // _SAMPLE)
    few, told = values[::every], None if labels is None else labels[::every]
    divisor = chain.preprocessor.divisor.numpy()
    spread = _spread(few.astype(np.float64), divisor)
    if len(few) < 2 or spread == 0:
        return None
    codes = encode_continuous(chain, few, told)
    if chain.bottleneck.draws and (codes.var(0) < _ACTIVE).all():
        return (
            "no number of the code is in use (each is drawn from nearly the same distribution for all records). "
            "Train with a lower weight of the divergence (bottleneck__beta), a warm-up, or for more epochs."
        )
    perplexity = chain.bottleneck.metrics(lambda: codes).get("codebook_perplexity", math.inf)
    if perplexity < _ONE_CODEWORD:
        return "all records use one codeword. Train with a lower learning rate, or with other initial weights."
    if _spread(reconstruct(chain, few, told), divisor) <= _NOTHING * spread:
        return "its output is the same for all records. Train with a lower learning rate, or for more epochs."
    return None


def _spread(values: NDArray[np.float64], divisor: NDArray[np.float64]) -> float:
    """Return the variance over records, summed over their values, in preprocessed units."""
    return float((values / divisor).var(0).sum())
