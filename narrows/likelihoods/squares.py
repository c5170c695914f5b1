"""The squared errors of reconstructions, the same for all likelihoods."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from narrows.likelihoods.contract import LikelihoodModule

__all__ = ["Squares", "squares"]

Squares = tuple[Tensor, Tensor | int]
"""The sum of the squared errors of the values of some records, without a graph, and the number of these values."""


@torch.no_grad()
def squares(likelihood: LikelihoodModule, parameters: Tensor, x: Tensor, missing: Tensor | None) -> Squares:
    """Return the squared errors of preprocessed records x (n, *shape), restored as the means of their likelihoods.

    Values that are ``missing`` (n, *shape) count neither in the sum nor in the number.
    """
    x_hat = likelihood.mean(parameters)
    if missing is None:
        return functional.mse_loss(x_hat, x, reduction="sum"), x.numel()
    return (x - x_hat).masked_fill(missing, 0.0).square().sum(), (~missing).sum()
