"""Samples of texts that a model of bytes may learn from, and how well it does with each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.codec.text.frozen import FrozenBytes
from narrows.data.text.texts import Texts

__all__ = ["SampleOfTexts", "learned_from", "sample_of", "split_in_runs", "tried_samples"]

_RUN = 64  # texts that follow each other, which are in a sample together, since archives have groups of so many
_STEP, _N_SIZES = 4, 4
_VERSION = 4  # of models
_SMALLEST = 1 << 12
_HELD_OUT, _MOST_HELD_OUT = 10, 1 << 18  # one run of so many, and the bytes of these
_FEW = 2 * _HELD_OUT  # texts, of which none is held out


@dataclass(frozen=True)
class SampleOfTexts:
    """A sample of texts that a model has learned from.

    Attributes
    ----------
    n_records, n_bytes : int
        The number of its texts, and their bytes.
    model_bytes : int
        Size of the model.
    bits_per_byte : float or None
        What a byte of held-out texts takes with it, in groups of 64; None: there were too few texts to hold some out.
    """

    n_records: int
    n_bytes: int
    model_bytes: int
    bits_per_byte: float | None = None

    def cost(self, n_bytes: int) -> float:
        """Return the bytes of the model and of texts of n_bytes bytes together."""
        return self.model_bytes + (self.bits_per_byte or 0.0) / 8 * n_bytes


def split_in_runs(texts: Texts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of texts to learn from, and of those that are held out: a tenth of the runs of 64.

    No text is held out if there are few.
    """
    n = len(texts)
    if n < _FEW:
        return np.arange(n), np.arange(0)
    run = np.arange(n) // min(_RUN, n // _HELD_OUT)
    is_held = run % _HELD_OUT == _HELD_OUT // 2
    held = np.flatnonzero(is_held)
    few = int(np.searchsorted(np.cumsum(texts.lengths[held] + 1), _MOST_HELD_OUT))
    return np.flatnonzero(~is_held), held[: max(few, 1)]


def sample_of(texts: Texts, chosen: NDArray[np.int64], n_bytes: int) -> list[bytes]:
    """Return a sample of some texts, which takes at most n_bytes bytes with line ends: evenly spaced runs of 64.

    Examples
    --------
    >>> len(sample_of(Texts.of(["ab"] * 640), np.arange(640), 400))
    128
    """
    ends = np.cumsum(texts.lengths[chosen] + 1)
    if not len(ends) or int(ends[-1]) <= n_bytes:
        return [texts[k] for k in chosen.tolist()]
    n_runs = -(-len(chosen) // _RUN)
    n_taken = max(1, round(n_runs * n_bytes / int(ends[-1])))
    runs = np.unique(np.linspace(0, n_runs - 1, n_taken).round().astype(np.int64))
    places = (runs[:, None] * _RUN + np.arange(_RUN)).ravel()
    numbers = chosen[places[places < len(chosen)]]
    n_whole = int(np.searchsorted(np.cumsum(texts.lengths[numbers] + 1), n_bytes, side="right"))
    return [texts[k] for k in numbers[:n_whole].tolist()] or [texts[int(numbers[0])][: n_bytes - 1]]


def learned_from(sample: list[bytes]) -> tuple[FrozenBytes, SampleOfTexts]:
    """Return the model that learns from a sample, and the sample without what held-out texts take."""
    model = FrozenBytes.of(sample, version=_VERSION)
    return model, SampleOfTexts(len(sample), model.n_bytes, len(model.coded))


def tried_samples(texts: Texts, most: int) -> Iterator[tuple[SampleOfTexts, int]]:
    """Yield samples of at most ``most`` bytes, from large to small, and how many bytes each was to have at most."""
    chosen, held = split_in_runs(texts)
    some = [texts[k] for k in held.tolist()]
    for _ in range(_N_SIZES):
        model, found = learned_from(sample_of(texts, chosen, most))
        if not some or not sum(map(len, some)):
            yield found, most
            return
        bits = 8 * sum(map(len, model.encode(some, _RUN))) / sum(len(text) + 1 for text in some)
        yield SampleOfTexts(found.n_records, found.n_bytes, found.model_bytes, bits), most
        most = min(most, found.n_bytes) // _STEP
        if most < _SMALLEST:
            return
