"""The size of groups of records that a causal network codes."""

from __future__ import annotations

import math

import numpy as np

from narrows.archive.layouts import Layout
from narrows.archive.metadata import coded_group_records
from narrows.codec.frozen import FrozenCodec
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.predicted import MOST_VALUES, SIZES, encode_predicted
from narrows.codec.residual.rounding import rounded
from narrows.data import Source

__all__ = ["causal_group_records"]

_SAMPLE_RECORDS, _SAMPLE_VALUES = 64, 1 << 16


def causal_group_records(
    source: Source, layout: Layout, codec: FrozenCodec, grid: ErrorBound, weight: float | None = None
) -> int:
    """Return the number of records of a group for a codec with a causal network, by the bytes that some records take.

    Parameters
    ----------
    source : Source
        The records.
    layout : Layout
        How they are cut into those of the codec.
    codec : FrozenCodec
        The codec.
    grid : ErrorBound
        The bound.
    weight : float, optional
        If pixels are rounded to levels, how much squared error a bit is worth.
    """
    assert codec.causal is not None
    n_values, is_lossless = math.prod(codec.shape), grid.max_error == 0 and weight is None
    coded_bytes = math.inf
    if n_values <= MOST_VALUES:
        coded_bytes = _coded_bytes(source, layout, codec, grid, weight)
    return coded_group_records(n_values, codec.causal.work, is_lossless=is_lossless, coded_bytes=coded_bytes)


def _coded_bytes(source: Source, layout: Layout, codec: FrozenCodec, grid: ErrorBound, weight: float | None) -> float:
    """Return the bytes that one of a few evenly spaced records takes with the causal network."""
    n_items = max(1, min(_SAMPLE_RECORDS, _SAMPLE_VALUES // (math.prod(codec.shape) * layout.n_records)))
    items = np.unique(np.linspace(0, len(source) - 1, n_items).round().astype(np.int64))
    records = np.ascontiguousarray(layout.cut(np.asarray(source.values[items]))[:_SAMPLE_RECORDS])
    if weight is not None and codec.causal is not None:
        records = rounded(records, codec.causal, weight)
    return (len(encode_predicted(records, None, grid, codec.causal).data) - SIZES.size) / len(records)
