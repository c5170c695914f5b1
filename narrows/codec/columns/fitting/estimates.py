"""Estimates, without coding, of the bits that numbers need given a context."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.trees import Leaves

__all__ = ["Symbols", "bits_given", "codes_of", "leaves_of"]

_MOST_SYMBOLS = 256
_NOVELTY_BITS = 1.5
_LEAF_BITS, _DENSE_LEAF_BITS = 14.0, 5.0
_MOST_LEAVES = (1 << 14, 4096, 1024, 256, 64)


def codes_of(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 … k - 1 for the k different values."""
    return np.unique(values, return_inverse=True)[1].reshape(-1)


class Symbols:
    """Numbers as at most about 256 symbols, and the bits of each alone.

    Parameters
    ----------
    values : ndarray of shape (n,), int64
        The numbers.
    """

    def __init__(self, values: NDArray[np.int64]) -> None:
        leaves = Leaves.of(values if len(values) else np.zeros(1, np.int64), _MOST_SYMBOLS)
        self.codes, self.n = leaves.leaf_of(values), len(leaves.starts)
        counts = np.bincount(self.codes, minlength=self.n)
        self.bits = np.log2(max(len(values), 1) / np.maximum(counts, 1)) + _NOVELTY_BITS
        self.rest = float(np.log2(leaves.widths[self.codes]).sum())

    @property
    def is_constant(self) -> bool:
        """Whether nothing is left to code."""
        return self.n <= 1 and not self.rest


def _starts(ordered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where another number begins in numbers in order, of which there is at least one."""
    is_first = np.empty(len(ordered), bool)
    is_first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return is_first.nonzero()[0]


def _sizes(starts: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    """Return the distances to the next start, or to the end."""
    sizes = np.empty(len(starts), np.int64)
    np.subtract(starts[1:], starts[:-1], out=sizes[:-1])
    sizes[-1] = end - starts[-1]
    return sizes


@lru_cache(maxsize=4)
def _logs_of_factorials(n: int) -> NDArray[np.float64]:
    """Return the logarithms, to the base 2, of 0! to n!."""
    return np.concatenate([[0.0], np.cumsum(np.log2(np.arange(1, n + 1)))])


def bits_given(symbols: Symbols, contexts: NDArray[np.int64] | None = None) -> float:
    """Return about the bits of symbols that are coded adaptively, each by the counts of its context (codes).

    A symbol that is new in its context costs an escape and its bits alone.
    """
    codes = symbols.codes if contexts is None else contexts * symbols.n + symbols.codes
    if not len(codes):
        return 0.0
    ordered = np.sort(codes)
    starts = _starts(ordered)
    pairs, n_pairs = ordered[starts], _sizes(starts, len(ordered))
    first = _starts(pairs // symbols.n)
    n, n_new = np.add.reduceat(n_pairs, first), _sizes(first, len(pairs))
    log = _logs_of_factorials(1 << len(codes).bit_length())
    bits = (log[n - 1] - log[n_new - 1] + (n - 1) * np.log2(1 + n_new / n)).sum() - log[n_pairs - 1].sum()
    return float(bits + symbols.bits[pairs % symbols.n].sum() + symbols.rest)


def leaves_of(residuals: NDArray[np.int64]) -> Leaves:
    """Return the leaves that need the fewest bits for residuals: their own, and those of the residuals alone."""
    small = residuals[np.abs(residuals) < 1 << 31]
    small = small if len(small) else np.zeros(1, np.int64)
    best, least = None, np.inf
    for most in _MOST_LEAVES:
        leaves = Leaves.of(small, most)
        counts = np.bincount(leaves.leaf_of(small), minlength=len(leaves.starts))
        bits = (counts * (np.log2(len(small) / np.maximum(counts, 1)) + np.log2(leaves.widths))).sum()
        gaps = np.diff(leaves.starts) != leaves.widths[:-1]
        bits += _DENSE_LEAF_BITS * len(counts) + (_LEAF_BITS - _DENSE_LEAF_BITS) * (
            gaps.sum() + (leaves.widths > 1).sum()
        )
        if bits < least:
            best, least = leaves, bits
        if len(leaves.starts) < most // 4:
            break
    assert best is not None
    return best
