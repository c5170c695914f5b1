"""The numbers of codes by which records are compared in search."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.model.inference import Labels, encode_continuous

__all__ = ["code_numbers", "numbers_of"]


def code_numbers(chain: Chain, values: NDArray[Any], labels: Labels = None) -> NDArray[np.float64]:
    """Return the numbers (n, n_latent) of the codes of records (n, *shape), before any rounding.

    Indices of codewords become the numbers of the codewords. If the chain is in float64, the batch of a record changes
    at most their last bits, and whole numbers that are made of them practically never.
    """
    return numbers_of(chain, encode_continuous(chain, values, labels))


@torch.no_grad()
def numbers_of(chain: Chain, codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the numbers (n, n_latent) of codes (n, n_symbols): codewords in the place of indices."""
    bottleneck = chain.bottleneck
    if bottleneck.n_codes is None:
        return codes
    indices = torch.from_numpy(codes).to(chain.device, chain.dtype)
    numbers: NDArray[np.float64] = bottleneck.continuous_to_z(indices).flatten(1).double().cpu().numpy()
    return numbers
