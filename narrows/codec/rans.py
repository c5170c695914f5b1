"""rANS: entropy coding of symbols with frequency tables, vectorised over lanes.

The range variant of asymmetric numeral systems (Duda 2013), with many interleaved states (Giesen 2014). A lane is one
state ``x``, an integer in [2^16, 2^32), which emits and absorbs words of 16 bits. With tables that sum to 2^P, a symbol
with start c and frequency f is coded by::

    encode   if x >= f·2^(32-P): emit x mod 2^16, x = x div 2^16      x = (x div f)·2^P + (x mod f) + c
    decode   slot = x mod 2^P, find c <= slot < c + f                 x = f·(x div 2^P) + slot - c
                                                                      if x < 2^16: x = x·2^16 + next word

A message is a sequence of blocks, one for each position of a code; a block has one symbol of each record. With L lanes
a block is coded in rows of L: row i has the records i·L to i·L + L - 1; the last row may be shorter and uses the first
lanes. The decoder processes blocks and rows in order; in a row, the lanes that need a word take the next ones in lane
order. The encoder processes everything in reverse order.

::

    block 0      row 0   lane 0 1 2 … L-1        words  w0 w1 w2 …      in reading order
                 row 1   lane 0 1 2 … L-1        states x0 x1 … x(L-1)  initial states of the decoder
    block 1      row 0   …

Every lane of the encoder starts at 2^16, so every lane of the decoder must end there, with all words read; otherwise
the message is damaged. A lane costs about three bytes, so `lanes_for` chooses few lanes for small messages.

The NumPy code here defines the coder; compiled versions of its loops compute the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.residual import mixture as mixtures
from narrows.errors import CorruptArchiveError

__all__ = [
    "MAX_LANES",
    "MAX_PRECISION",
    "MIN_PRECISION",
    "Decoder",
    "Message",
    "SlotTable",
    "encode",
    "lanes_for",
    "lookup_of",
]

MIN_PRECISION, MAX_PRECISION = 8, 15  # of tables
MAX_LANES = 4096
_LOWEST = 1 << 16  # initial state of every lane of the encoder, and the smallest state
_HALVES = (0, 1) if sys.byteorder == "little" else (3, 2)  # indices of the two lowest 16-bit parts of an int64
_LANE_BYTES = 3  # overhead of a lane: two bytes of its initial state, and the unused part of its final state
MAX_ROWS = 1 << 20
"""The largest number of rows of a message with fewer lanes than records: it takes seconds to decode."""

_TOO_FEW_WORDS = "A coded message is truncated: it has too few words."
_LANES_SHARE = 0.0025  # largest share of the overhead of lanes in a message's bytes


@dataclass(frozen=True, eq=False)
class Message:
    """A coded message.

    Attributes
    ----------
    states : ndarray of shape (n_lanes,), uint32
        The initial states of the decoder, each at least 2^16.
    words : ndarray of shape (n_words,), uint16
        The words in the order in which the decoder reads them.
    """

    states: NDArray[np.uint32]
    words: NDArray[np.uint16]

    @property
    def n_bytes(self) -> int:
        """Size of states and words in bytes."""
        return self.states.nbytes + self.words.nbytes


SlotTable = NDArray[np.int64]
"""The entry of each slot of one table, or of several tables one after the other: see `lookup_of`."""


def lookup_of(frequencies: NDArray[Any], values: NDArray[np.int32]) -> SlotTable:
    """Return the decoder's lookup, given the entries (n,) of tables, one after the other.

    A slot of an entry with frequency f, value v and first slot c holds f + 2^16 · (slot - c) + 2^32 · v.
    """
    f = frequencies.astype(np.int64)
    firsts = np.cumsum(f) - f
    slots: SlotTable = np.repeat((values.astype(np.int64) << 32) + f - (firsts << 16), f)
    slots += np.arange(len(slots)) << 16
    return slots


def lanes_for(ideal_bytes: float, n_records: int, n_symbols: int = 1) -> int:
    """Return the number of lanes for a message: their overhead is below 0.25 % of its bytes, and rows are even.

    There are at most as many lanes as records, and always enough for at most `MAX_ROWS` rows.

    Parameters
    ----------
    ideal_bytes : float
        The ideal size of the message under its tables.
    n_records : int
        The number of records, the length of a block.
    n_symbols : int
        The number of blocks.
    """
    needed = -(-n_records * n_symbols // (MAX_ROWS // 2))
    affordable = int(ideal_bytes * _LANES_SHARE / _LANE_BYTES)
    lanes = max(1, min(max(affordable, needed), n_records, MAX_LANES))
    rows = max(1, -(-n_records // lanes))
    return max(1, -(-n_records // rows))


def encode(starts: NDArray[Any], frequencies: NDArray[Any], *, n_lanes: int, precision: int) -> Message:
    """Return the message of symbols that are given by their intervals in their tables.

    Parameters
    ----------
    starts, frequencies : ndarray of shape (D, n), integers
        The start of each symbol in its table, and its frequency, at least 1; block by block.
    n_lanes : int
        The number of lanes, 1 to 4096; those without records cost their state.
    precision : int
        P; every table sums to 2^P.

    Returns
    -------
    message : Message
        The coded message.
    """
    assert 1 <= n_lanes <= MAX_LANES
    assert MIN_PRECISION <= precision <= 16
    assert frequencies.all(), "a symbol of frequency 0 cannot be coded"
    x = np.full(n_lanes, _LOWEST, np.uint32)
    push = _push if kernels.compiled is None else _push_compiled
    return Message(x, push(x, starts.astype(np.uint16), frequencies.astype(np.uint16), precision))


def _push_compiled(
    x: NDArray[np.uint32], starts: NDArray[np.uint16], frequencies: NDArray[np.uint16], precision: int
) -> NDArray[np.uint16]:
    assert kernels.compiled is not None
    words = np.empty(starts.size, np.uint16)
    n = starts.shape[1]
    n_words = kernels.compiled.push(x, starts, frequencies, n, precision, words) if starts.size else 0
    return words[len(words) - n_words :].copy()


def _push(
    x: NDArray[np.uint32], starts: NDArray[np.uint16], frequencies: NDArray[np.uint16], precision: int
) -> NDArray[np.uint16]:
    """Push blocks (D, n) onto the states x in reverse order, and return the words."""
    n, n_lanes = starts.shape[1], len(x)
    full = n - n % n_lanes
    emitted = [np.empty(0, np.uint16)]
    low, moved = np.empty(n, np.uint16), np.empty(n, np.bool_)
    for start, frequency in zip(starts[::-1], frequencies[::-1], strict=True):
        c, f = start.astype(np.uint32), frequency.astype(np.uint32)
        # The largest state that emits no word; for f = 2^P this wraps to 2^32 - 1, which is correct.
        limit = (f << np.uint32(32 - precision)) - np.uint32(1)
        gap = np.uint32(1 << precision) - f
        block = (c, f, limit, gap, low, moved)
        if full < n:
            _push_rows(x[: n - full], [values[None, full:] for values in block])
        if full:
            _push_rows(x, [values[:full].reshape(-1, n_lanes) for values in block])
        emitted.append(low[moved])
    return np.concatenate(emitted[::-1])


def _push_rows(x: NDArray[np.uint32], block: list[NDArray[Any]]) -> None:
    """Push rows onto the states x, last row first; write each state's low half, and whether it was emitted.

    The block's arrays have the shape (rows, lanes): the inputs c, f, the largest states that emit no word, and 2^P - f;
    and the outputs, the low halves and whether they were emitted. (x div f)·2^P + (x mod f) + c is computed as
    x + (x div f)·(2^P - f) + c.
    """
    half, scratch = np.full_like(x, 16), np.empty_like(x)
    greater, shift, divide = np.greater, np.right_shift, np.floor_divide
    multiply, add, putmask = np.multiply, np.add, np.putmask
    for c, f, limit, gap, low_halves, emits in zip(*(values[::-1] for values in block), strict=True):
        greater(x, limit, emits)
        low_halves[:] = x  # the low 16 bits
        shift(x, half, scratch)
        putmask(x, emits, scratch)
        divide(x, f, scratch)
        multiply(scratch, gap, scratch)
        add(x, c, x)
        add(x, scratch, x)


class Decoder:
    """Decodes the blocks of a message in order.

    Parameters
    ----------
    message : Message
        The result of `encode`; it may come from an untrusted file.
    precision : int
        P, as for `encode`.

    Raises
    ------
    CorruptArchiveError
        By the constructor, the methods that decode values, or `finish`: if `encode` does not produce this message with
        these tables.
    """

    def __init__(self, message: Message, *, precision: int) -> None:
        states, words = message.states, message.words
        if states.dtype != np.uint32 or states.ndim != 1 or not 1 <= len(states) <= MAX_LANES:
            raise CorruptArchiveError(
                f"A coded message must have 1 to {MAX_LANES} states of uint32. Got {states.dtype} {states.shape}."
            )
        if words.dtype != np.uint16 or words.ndim != 1:
            raise CorruptArchiveError(
                f"A coded message's words must be a vector of uint16. Got {words.dtype} {words.shape}."
            )
        if int(states.min()) < _LOWEST:
            raise CorruptArchiveError("A coded message starts with a state below 2^16.")
        self._precision = precision
        self._x = states.astype(np.int64)
        self._words = np.ascontiguousarray(words)
        self._n_read = 0

    def pop(self, n: int, lookup: SlotTable, tables: NDArray[Any] | int = 0) -> NDArray[np.int32]:
        """Return the values of the next block.

        Parameters
        ----------
        n : int
            The number of records.
        lookup : SlotTable
            The lookup of one table or of several.
        tables : ndarray of shape (n,), integers, or int
            The index of the table in the lookup, for each record or for all.

        Returns
        -------
        values : ndarray of shape (n,), int32
            The values.
        """
        if kernels.compiled is not None:
            return self._pop_compiled(n, lookup, tables)
        n_lanes = len(self._x)
        full = n - n % n_lanes
        found = np.empty(n, np.int64)
        bases = np.broadcast_to(np.asarray(tables, np.int64) << self._precision, n)
        if full:
            self._pop_rows(self._x, found[:full].reshape(-1, n_lanes), lookup, bases[:full].reshape(-1, n_lanes))
        if full < n:
            self._pop_rows(self._x[: n - full], found[None, full:], lookup, bases[None, full:])
        return (found >> 32).astype(np.int32)

    def _pop_compiled(self, n: int, lookup: SlotTable, tables: NDArray[Any] | int) -> NDArray[np.int32]:
        assert kernels.compiled is not None
        values, pop = np.empty(n, np.int32), kernels.compiled.pop
        one = tables if isinstance(tables, int) else 0
        each = np.empty(0, np.int64) if isinstance(tables, int) else np.ascontiguousarray(tables, np.int64)
        self.lend(lambda x, words, n_read: pop(x, lookup, each, one, self._precision, words, n_read, values))
        return values

    def lend(self, loop: Callable[[NDArray[np.int64], NDArray[np.uint16], int], int]) -> None:
        """Call a kernel that decodes values.

        Parameters
        ----------
        loop : callable
            Called with the states, which it changes, the words, and the number of words already read; returns the new
            number, or -1 if there are too few words.

        Raises
        ------
        CorruptArchiveError
            If there are too few words.
        """
        read = loop(self._x, self._words, self._n_read)
        if read < 0:
            raise CorruptArchiveError(_TOO_FEW_WORDS)
        self._n_read = read

    def pop_mixture(self, n: int, mixture: mixtures.Mixture) -> NDArray[np.int64]:
        """Decode the places of the next block's n values in the windows of a mixture; P must be 16."""
        assert self._precision == mixtures.PRECISION
        places = np.empty(n, np.int64)
        if kernels.compiled is not None:
            pop = kernels.compiled.pop_mixture
            self.lend(lambda *message: pop(*mixture.arrays(), *message, places))
            return places
        find = mixture.finder(len(self._x))
        for first in range(0, n, len(self._x)):
            row = slice(first, min(first + len(self._x), n))
            x = self._x[: row.stop - row.start]
            slots = x & ((1 << self._precision) - 1)
            places[row], starts, frequencies = find(row, slots)
            x[:] = frequencies * (x >> self._precision) + slots - starts
            (low,) = (x < _LOWEST).nonzero()
            taken = self._words[self._n_read : self._n_read + low.size]
            if taken.size < low.size:
                raise CorruptArchiveError(_TOO_FEW_WORDS)
            x[low] = x[low] << 16 | taken
            self._n_read += low.size
        return places

    def _pop_rows(
        self, x: NDArray[np.int64], found: NDArray[np.int64], lookup: SlotTable, bases: NDArray[np.int64]
    ) -> None:
        """Pop rows off the states x, and write the lookup's entries of their slots to found.

        found has the shape (rows, lanes), as have bases: the first slot of each symbol's table in the lookup.
        """
        mask, precision = np.full_like(x, (1 << self._precision) - 1), np.full_like(x, self._precision)
        lowest, scratch, needs = np.full_like(x, _LOWEST), np.empty_like(x), np.empty(len(x), np.bool_)
        word, half = np.full_like(x, 0xFFFF), np.full_like(x, 16)
        lower, upper = (x.view(np.uint16)[part::4] for part in _HALVES)
        words, n_read = self._words, self._n_read
        both, shift, multiply, add, less = np.bitwise_and, np.right_shift, np.multiply, np.add, np.less
        for entry, base in zip(found, bases, strict=True):
            both(x, mask, scratch)
            add(scratch, base, scratch)
            lookup.take(scratch, None, entry, "clip")  # "clip" avoids a copy; no slot is out of bounds
            shift(x, precision, x)
            both(entry, word, scratch)
            multiply(x, scratch, x)
            shift(entry, half, scratch)
            both(scratch, word, scratch)
            add(x, scratch, x)
            less(x, lowest, needs)
            (low,) = needs.nonzero()
            if low.size:
                taken = words[n_read : n_read + low.size]
                if taken.size < low.size:
                    raise CorruptArchiveError(_TOO_FEW_WORDS)
                upper[low] = lower[low]
                lower[low] = taken
                n_read += low.size
        self._n_read = n_read

    def finish(self) -> None:
        """Raise CorruptArchiveError unless all words are read and every state is 2^16."""
        if self._n_read != len(self._words):
            raise CorruptArchiveError(
                f"A coded message has {len(self._words)} words, but its symbols take {self._n_read}."
            )
        if (self._x != _LOWEST).any():
            raise CorruptArchiveError("A coded message is damaged: its final states are wrong.")
