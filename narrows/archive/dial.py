"""The way to reach a PSNR with the fewest bytes: a quality of the code, or a bound on the errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.archive.contract import Encoder
from narrows.archive.layouts import Layout
from narrows.codec.frozen import FrozenCodec
from narrows.codec.residual.bound_choice import bounds_for
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.predicted import encode_predicted
from narrows.data import Source

__all__ = ["smallest_bound"]

_RECORDS, _VALUES = 256, 1 << 18  # largest sample on which sizes are measured
_COUNTED, _TOGETHER = 1 << 26, 4096  # values that are counted at most, and records at a time
_TRIED = 3  # bounds, of those that reach the PSNR


def smallest_bound(encoder: Encoder, source: Source, layout: Layout, psnr: float, quality: int | None) -> int | None:
    """Return the bound that reaches a PSNR in fewer bytes than the code; None if the code takes fewer.

    Sizes are measured on a sample of the records.

    Parameters
    ----------
    encoder : Encoder
        Of the model.
    source : Source
        The records, of bytes.
    layout : Layout
        How they are cut into those of the model.
    psnr : float
        The wanted PSNR in dB, for a range of 255.
    quality : int or None
        The quality of the code that reaches it; None if there is none.
    """
    codec = encoder.codec
    bounds = bounds_for(_counts(source), psnr)[:_TRIED]
    n_records = max(min(_RECORDS, _VALUES // math.prod(codec.shape)), 1)
    some = np.unique(np.linspace(0, len(source) - 1, n_records).round().astype(np.int64))
    records = layout.cut(np.asarray(source.values[some]))[:n_records]
    of_code = math.inf
    if quality is not None:
        of_code = float(codec.qualities[quality].entropy.bits(encoder.symbols(records, quality)).sum()) / 8
    sizes = {bound: _size(records, ErrorBound(codec.dtype, bound), codec) for bound in bounds}
    best = min(bounds, key=lambda bound: sizes[bound])
    return best if sizes[best] < of_code else None


def _size(records: NDArray[Any], bound: ErrorBound, codec: FrozenCodec) -> int:
    """Return the size of records within a bound, without a code."""
    return min(len(encode_predicted(records, None, bound, causal).data) for causal in (None, codec.causal))


def _counts(source: Source) -> NDArray[np.int64]:
    """Return the number of values 0 to 255, of evenly spaced records if there are many."""
    every = -(-len(source) * math.prod(source.shape) // _COUNTED)
    counts = np.zeros(256, np.int64)
    for start in range(0, len(source), _TOGETHER * every):
        some = np.asarray(source.values[start : start + _TOGETHER * every : every])
        counts += np.bincount(some.ravel(), minlength=256)
    return counts
