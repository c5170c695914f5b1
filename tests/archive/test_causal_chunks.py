"""Chunks of records that a causal network predicts: small enough to be read quickly, large enough to cost few bytes."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import narrows
from narrows.archive import causal_chunks
from narrows.archive.causal_chunks import causal_chunk_records
from narrows.archive.layouts.tiling import Tiling
from narrows.archive.layouts.whole import Whole
from narrows.archive.metadata import bounded_chunk_records
from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.predicted import encode_predicted

SIDE, N_HIDDEN = 16, 64
FIXED_BYTES = 118  # of a chunk


@pytest.fixture(scope="module")
def codec():
    """A network that predicts 0 everywhere: each value that is not 0 takes bytes."""
    causal = FrozenCausal(
        lowest=0,
        highest=255,
        reach=5,
        weights_1=np.zeros((1, 60, N_HIDDEN), np.int16),
        rows=np.zeros((1, SIDE, N_HIDDEN), np.int64),
        columns=np.zeros((1, SIDE, N_HIDDEN), np.int64),
        weights_2=np.zeros((1, N_HIDDEN, N_HIDDEN), np.int16),
        biases_2=np.zeros((1, N_HIDDEN), np.int64),
        weights_3=np.zeros((1, N_HIDDEN, 6), np.int16),
        biases_3=np.zeros((1, 6), np.int64),
        shifts=np.zeros(5, np.int64),
    )
    return SimpleNamespace(shape=(SIDE, SIDE), n_symbols=16, causal=causal)


def images(rng, n, share):
    """Images of which a share of the values is 9, and the others 0."""
    return np.where(rng.random((n, SIDE, SIDE)) < share, 9, 0).astype(np.uint8)


def chunk_records(records, codec, bound, layout=None):
    grid = ErrorBound(np.dtype(np.uint8), bound)
    return causal_chunk_records(narrows.data.open(records), layout or Whole(codec.shape), codec, grid)


@pytest.mark.parametrize("bound", [0, 3])
@pytest.mark.parametrize("share", [0.003, 0.02, 0.06, 0.3])
def test_chunks_take_two_percent_more_bytes_at_most_or_have_the_usual_number_of_records(rng, codec, bound, share):
    records = images(rng, 2000, share)
    n = chunk_records(records, codec, bound)
    grid = ErrorBound(np.dtype(np.uint8), bound)
    each = len(encode_predicted(records, None, grid, codec.causal).data) / len(records)
    assert 0.022 * n * each >= FIXED_BYTES or n == bounded_chunk_records(SIDE * SIDE, 16)


def test_chunks_of_records_with_many_bytes_hold_the_work_of_a_quick_read(rng, codec):
    records = images(rng, 2000, 0.3)
    work = codec.causal.work
    assert chunk_records(records, codec, 0) == bounded_chunk_records(SIDE * SIDE, 16, work)
    within = chunk_records(records, codec, 3)
    assert within == bounded_chunk_records(SIDE * SIDE, 16, work, is_lossless=False)
    assert within * SIDE * SIDE * work < 1.3e9


def test_a_chunk_of_all_records_needs_no_sample(rng, codec, monkeypatch):
    monkeypatch.setattr(causal_chunks, "encode_predicted", None)
    few = bounded_chunk_records(SIDE * SIDE, 16, codec.causal.work)
    assert chunk_records(images(rng, few, 0.01), codec, 0) == few


def test_chunks_hold_whole_images(rng, codec):
    shape = (5 * SIDE, 3 * SIDE)
    layout = Tiling.of(shape, codec.shape, 0)
    whole = images(rng, 60 * 15, 0.3).reshape(60, *shape)
    n = chunk_records(whole, codec, 0, layout)
    assert n % layout.n_records == 0
    assert math.isclose(n, bounded_chunk_records(SIDE * SIDE, 16, codec.causal.work), rel_tol=0.1)
