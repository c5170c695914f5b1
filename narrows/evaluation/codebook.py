"""Measures how much of its codebook a vector-quantised model uses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.bottlenecks.vector_quantised import VectorQuantisedModule
from narrows.chain import Chain
from narrows.model.inference import Labels, encode_unquantised

__all__ = ["codebook_use"]


def codebook_use(chain: Chain, values: NDArray[Any], labels: Labels = None) -> dict[str, float | None]:
    """Measure the distribution of records' codes over the codewords.

    Parameters
    ----------
    chain : Chain
        A trained chain with a vector-quantised bottleneck.
    values : ndarray of shape (n, *shape)
        Records in their stored dtype.
    labels : ndarray of int, shape (n,), optional
        Classes of the records, for a conditional chain.

    Returns
    -------
    use : dict
        ``codebook_perplexity``, exp(−Σ_k p_k log p_k) with p_k the share of all vectors that choose codeword k, an
        effective number of codewords; and ``codewords_in_use``, how many codewords are chosen.
    """
    assert isinstance(chain.bottleneck, VectorQuantisedModule)
    indices = encode_unquantised(chain, values, labels).astype(np.int64)
    counts = np.bincount(indices.ravel())
    p = counts[counts > 0] / indices.size
    return {"codebook_perplexity": math.exp(-float((p * np.log(p)).sum())), "codewords_in_use": len(p)}
