"""Detects collapsed models, whose code or output is the same for all records."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.chain import Chain
from narrows.errors import CollapsedWarning, warn
from narrows.model.inference import Labels
from narrows.numerics.absent import is_absent
from narrows.numerics.batches import batch_size
from narrows.numerics.eval_mode import in_eval_mode

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
    few, of_few = values[::every], None if labels is None else labels[::every]
    size = batch_size(chain.shape, _SAMPLE)
    with in_eval_mode(chain):
        batches = [
            _outputs(chain, few[start : start + size], None if of_few is None else of_few[start : start + size])
            for start in range(0, len(few), size)
        ]
    x, codes, x_hat = (torch.cat(parts).double().cpu() for parts in zip(*batches, strict=True))
    spread = float(x.var(0, correction=0).sum())
    if spread == 0:
        return None
    if chain.bottleneck.draws and bool((codes.var(0, correction=0) < _ACTIVE).all()):
        return (
            "no latent dimension is active: the distribution of each is nearly the same for all records. "
            "Train with a lower weight of the divergence (bottleneck__beta), a warm-up, or for more epochs."
        )
    perplexity = chain.bottleneck.metrics(codes.numpy).get("codebook_perplexity", math.inf)
    if perplexity < _ONE_CODEWORD:
        return "all records use one codeword. Train with a lower learning rate, or with other initial weights."
    if float(x_hat.var(0, correction=0).sum()) <= _NOTHING * spread:
        return "its output is the same for all records. Train with a lower learning rate, or for more epochs."
    return None


def _outputs(chain: Chain, records: NDArray[Any], labels: Labels) -> tuple[Tensor, Tensor, Tensor]:
    """Return preprocessed records, their codes and their reconstruction, in the precision of the weights.

    Cells that are missing are 0 in the records.
    """
    x = chain.prepare(torch.from_numpy(np.array(records)).to(chain.device))
    condition = None if labels is None else chain.condition(torch.from_numpy(np.array(labels)).to(chain.device))
    h, switches = chain.encoder.with_pool_indices(x, condition)
    x_hat = chain.likelihood.mean(chain.decode(chain.bottleneck(h).z, switches, condition))
    return x.masked_fill(is_absent(x), 0.0), chain.bottleneck.continuous_code(h).flatten(1), x_hat
