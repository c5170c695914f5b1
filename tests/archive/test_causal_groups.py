"""Groups of records that a causal network codes: small enough to be read quickly, large enough to cost few bytes."""

from types import SimpleNamespace

import numpy as np
import pytest

import narrows
from narrows.archive.causal_groups import causal_group_records
from narrows.archive.chunk_sizes import coded_group_records
from narrows.archive.layouts.whole import Whole
from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.grouped import encode_groups

SIDE, N_HIDDEN = 16, 64
CRC_BYTES = 4


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


def group_records(records, codec, bound):
    grid = ErrorBound(np.dtype(np.uint8), bound)
    return causal_group_records(narrows.data.open(records), Whole(codec.shape), codec, grid)


@pytest.mark.parametrize("bound", [0, 3])
@pytest.mark.parametrize("share", [0.003, 0.02, 0.06, 0.3])
def test_groups_take_one_percent_more_bytes_at_most_or_have_the_largest_number_of_records(rng, codec, bound, share):
    records = images(rng, 512, share)
    n = group_records(records, codec, bound)
    grid = ErrorBound(np.dtype(np.uint8), bound)
    groups = len(encode_groups(records, None, grid, codec.causal, n).data) + CRC_BYTES * 512 / n
    together = len(encode_groups(records, None, grid, codec.causal, 512).data)
    assert n == 256 or groups <= 1.011 * together + CRC_BYTES


def test_groups_of_records_with_many_bytes_hold_the_work_of_a_quick_read(rng, codec):
    records = images(rng, 200, 0.3)
    n, work = group_records(records, codec, 0), codec.causal.work
    assert n == coded_group_records(SIDE * SIDE, work, is_lossless=True)
    assert n * SIDE * SIDE * work < 6.4e8
    assert group_records(records, codec, 3) <= 2 * n


def test_groups_of_large_records_have_few_of_them():
    assert coded_group_records(1 << 22, 100_000, is_lossless=True) == 1
    assert coded_group_records(1 << 14, 1, is_lossless=True) == 4
    assert coded_group_records(1, 1, is_lossless=True, coded_bytes=1) == 256
