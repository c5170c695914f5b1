"""The model of bytes: a text is coded byte by byte, each by its eight bits, highest first, with mixed predictions.

::

    line so far, matches ─► contexts ─ hashes ─► cells ─► maps ─┐
    matches ────────────────────────────────────────► hits ─────┴─► mixtures ─► mixture ─► probability of the bit

Context i has the hash mix(context, i · 2^32). It is that of the bucket of the first four bits; the bucket of the
others has mix(hash, 1bbbb), where bbbb are the first bits. After each bit the cells of all contexts are updated, in
their order, and, while the model learns, maps, hits and weights. After each byte, the line is extended, matches go on
and better ones are looked for. A byte after a line end starts a line, and matches, anew.

The first byte of the text is a line end. Positions start with it at 0.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.adaptive import BitCoder
from narrows.codec.text.line import NEWLINE, Line
from narrows.codec.text.matches import Match, find_matches, follow
from narrows.codec.text.mixer import Bit, Size
from narrows.codec.text.tables import N_MATCHES, Tables, mix, updated_cell

__all__ = ["Mode", "Text"]


class Mode(IntEnum):
    """What is done with a byte."""

    ENCODE = 0
    DECODE = 1
    INSERT = 2
    """Add it to the text and the tables, without a prediction."""


class Text:
    """A text that is being coded.

    Parameters
    ----------
    tables : Tables
        The tables; changed.
    learnt : ndarray of int32
        What is learnt; changed if the model learns.
    history : ndarray of uint8
        The text so far, with room for what follows; written.
    at : int
        The length of the text so far.
    learns : bool
        Whether the model learns.
    size : Size
        The number of contexts and of sets of weights.
    """

    def __init__(
        self,
        tables: Tables,
        learnt: NDArray[np.int32],
        history: NDArray[np.uint8],
        at: int,
        *,
        learns: bool,
        size: Size,
    ) -> None:
        self.tables, self.learnt, self.history, self.at, self.learns = tables, learnt, history, at, learns
        self._size = size
        self._is_ended = True

    def _start_line(self) -> None:
        """Start a line at the end of the text so far."""
        self._is_ended = False
        self.line, self.matches = Line(self.at), [Match() for _ in range(N_MATCHES)]
        find_matches(self.matches, self.tables, self.history, self.line, self.at)

    def code_byte(self, coder: BitCoder | None, byte: int) -> int:
        """Code a byte, or insert it without a coder; a decoder ignores ``byte``. Return the byte."""
        if self._is_ended:
            self._start_line()
        expected = [int(self.history[match.at]) | 256 if match.at else 0 for match in self.matches]
        following = [by if match.length else 0 for match, by in zip(self.matches, expected, strict=True)]
        contexts = self.line.contexts((following[0], following[1], following[2]))
        hashes = [mix(context, i << 32) for i, context in enumerate(contexts[: self._size.n_contexts])]
        partial, buckets = 1, [0] * self._size.n_contexts
        for place in range(8):
            if place % 4 == 0:
                buckets = [self.tables.bucket_of(mix(one, partial) if place else one) for one in hashes]
            low = 1 << place % 4
            cells = [bucket + (low | partial & low - 1) for bucket in buckets]
            bit = byte >> 7 - place & 1
            if coder is not None:
                bit = self._code_bit(coder, cells, expected, Bit(self.learnt, partial, place, self._size.n_sets), bit)
            for at in cells:
                self.tables.cells[at] = updated_cell(int(self.tables.cells[at]), bit)
            partial = partial << 1 | bit
        if self.learns:
            Bit.count(self.learnt)
        self._append(partial & 255)
        return partial & 255

    def _code_bit(self, coder: BitCoder, cells: list[int], expected: list[int], predicted: Bit, bit: int) -> int:
        states = [int(self.tables.cells[at]) for at in cells]
        bit = coder.bit(predicted.predict(states, self.matches, expected, self.line), bit)
        if self.learns:
            predicted.learn(bit)
        return bit

    def _append(self, byte: int) -> None:
        self.history[self.at] = byte
        self.at += 1
        if byte == NEWLINE:
            self._is_ended = True
            return
        self.line.extend(byte)
        follow(self.matches, self.history, byte)
        find_matches(self.matches, self.tables, self.history, self.line, self.at)
