"""Coding of records with the model of bytes, in sessions: each starts from the same state of the model.

A record is coded as its bytes and a line end. After each line end, those within records too, a bit says whether it ends
the record; its state is a state of `fields.adaptive`, which is learnt. The bytes of a session are those of the range
coder, which ends with the value of its range that has the most zeros at its end, without zeros at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernels
from narrows.codec.fields.adaptive import CERTAIN, RATES, BitCoder, start_decoder, start_encoder, take_bytes
from narrows.codec.text.line import NEWLINE
from narrows.codec.text.mixer import FIRST, OF_END, Size, new_learnt, updated_state
from narrows.codec.text.model import Mode, Text
from narrows.codec.text.tables import SQUASH, STRETCH, Tables

__all__ = ["Records", "State", "code_records", "ended", "joined", "split"]

_NONE: NDArray[np.int32] = np.empty(0, np.int32)


@dataclass(eq=False)
class Records:
    """Records, one after the other, and their coded sessions.

    Attributes
    ----------
    data : ndarray of uint8
        The bytes of the records; written when decoding, for which it has room.
    ends : ndarray of shape (n,), int64
        The end of each record; written when decoding.
    group : int
        The number of records of a session.
    coded : ndarray of uint8
        The coded bytes; written when encoding, unless there is no room.
    coded_ends : ndarray of int64
        The end of each session's coded bytes; written when encoding.
    """

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]
    group: int
    coded: NDArray[np.uint8]
    coded_ends: NDArray[np.int64]


@dataclass(eq=False)
class State:
    """The state of a model of bytes: tables, what is learnt, and the text, of which ``at`` bytes are in use."""

    tables: Tables
    learnt: NDArray[np.int32]
    history: NDArray[np.uint8]
    at: int
    size: Size

    @classmethod
    def empty(cls, bits: int, size: Size = FIRST) -> State:
        """Return the state before the first byte, with 2^bits buckets."""
        return cls(Tables.empty(bits), new_learnt(size), np.array([NEWLINE], np.uint8), 1, size)

    @property
    def n_bytes(self) -> int:
        """About the bytes that it takes in memory."""
        return self.tables.cells.nbytes + self.tables.heads.nbytes + self.history.nbytes

    def copy(self) -> State:
        """Return an independent copy."""
        return State(self.tables.copy(), self.learnt.copy(), self.history.copy(), self.at, self.size)

    def make_room(self, n: int) -> None:
        """Make room for n bytes of text more."""
        if len(self.history) < self.at + n:
            self.history = np.concatenate([self.history[: self.at], np.empty(n, np.uint8)])


def code_records(state: State, records: Records, mode: Mode, *, learns: bool, keeps: bool, resets: bool) -> int:
    """Code records; return the number of those for which there was room.

    Parameters
    ----------
    state : State
        The model, with room for the longest session.
    records : Records
        The records.
    mode : Mode
        What is done.
    learns : bool
        Whether the model learns.
    keeps : bool
        Whether the tables keep what sessions add to them. The caller then sets ``state.at``.
    resets : bool
        Whether what is learnt is reset after each session.
    """
    primed = state.learnt.copy() if resets else _NONE
    if kernels.compiled is not None:
        tables = state.tables.arrays()
        learnt = state.learnt, primed, state.history, STRETCH, SQUASH, RATES
        settings = int(mode), state.at, records.group, learns, keeps, *state.size
        kernel = kernels.compiled.text_records
        coded = records.data, records.ends, records.coded, records.coded_ends
        return int(kernel(*tables, *learnt, *coded, settings))
    return _Sessions(state, records, mode, learns=learns, keeps=keeps, primed=primed).code()


class _Sessions:
    """The definition of `code_records`."""

    def __init__(
        self, state: State, records: Records, mode: Mode, *, learns: bool, keeps: bool, primed: NDArray[np.int32]
    ) -> None:
        self._state, self._records, self._mode = state, records, mode
        self._learns, self._primed = learns, primed
        state.tables.keeps = keeps

    def code(self) -> int:
        state, records = self._state, self._records
        start, at = 0, state.at
        for session, first in enumerate(range(0, len(records.ends), records.group)):
            self._text = Text(state.tables, state.learnt, state.history, at, learns=self._learns, size=state.size)
            coder, held, buffer = self._coder(start, session)
            last = min(first + records.group, len(records.ends))
            n_coded = next((k for k in range(first, last) if not self._code_record(coder, k)), last)
            if state.tables.keeps:
                at = self._text.at
            else:
                state.tables.revert()
            if len(self._primed):
                state.learnt[:] = self._primed
            if n_coded < last:
                return n_coded
            if self._mode == Mode.ENCODE and len(records.coded):
                assert coder is not None
                coder.store(held)
                if not self._write(session, start, ended(held, buffer)):
                    return last - 1
            start = int(records.coded_ends[session]) if len(records.coded) else 0
        return len(records.ends)

    def _coder(self, start: int, session: int) -> tuple[BitCoder | None, NDArray[np.int64], NDArray[np.uint8]]:
        if self._mode == Mode.DECODE:
            data = self._records.coded[start : self._records.coded_ends[session]].tobytes()
            held, buffer = start_decoder(data)
        else:
            held, buffer = start_encoder(len(self._records.coded) - start)
        coder = BitCoder(held, buffer, is_decoding=self._mode == Mode.DECODE)
        return (None if self._mode == Mode.INSERT else coder), held, buffer

    def _write(self, session: int, start: int, data: bytes | None) -> bool:
        if data is None:
            return False
        self._records.coded[start : start + len(data)] = np.frombuffer(data, np.uint8)
        self._records.coded_ends[session] = start + len(data)
        return True

    def _code_record(self, coder: BitCoder | None, k: int) -> bool:
        """Code a record; return whether there was room for it."""
        records, is_decoding = self._records, self._mode == Mode.DECODE
        at = int(records.ends[k - 1]) if k else 0
        end = len(records.data) if is_decoding else int(records.ends[k])
        while True:
            if self._text.at >= len(self._text.history):
                return False
            byte = self._text.code_byte(coder, NEWLINE if is_decoding or at == end else int(records.data[at]))
            if byte == NEWLINE and self._code_end(coder, int(at == end)):
                break
            if is_decoding:
                if at == end:
                    return False
                records.data[at] = byte
            at += 1
        if is_decoding:
            records.ends[k] = at
        return True

    def _code_end(self, coder: BitCoder | None, is_end: int) -> int:
        if coder is None:
            return is_end
        states = self._state.learnt.view(np.uint32)
        state = int(states[OF_END])
        is_end = coder.bit(min(max(state >> 16, CERTAIN), (1 << 16) - CERTAIN), is_end)
        if self._learns:
            states[OF_END] = updated_state(state, is_end)
        return is_end


def ended(state: NDArray[np.int64], buffer: NDArray[np.uint8]) -> bytes | None:
    """Return the bytes of an encoder whose value has the most zeros at its end; None if the buffer was too small."""
    low, size = int(state[0]), int(state[1])
    for n in range(32, 0, -8):
        value = -(-low >> n) << n
        if value < low + size:
            state[0] = value
            break
    return take_bytes(state, buffer)


def joined(records: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of records, one after the other, and the end of each."""
    ends = np.cumsum([len(one) for one in records], dtype=np.int64)
    return np.frombuffer(bytearray(b"".join(records)), np.uint8), ends


def split(data: bytes, ends: NDArray[np.int64]) -> list[bytes]:
    """Return the pieces of bytes that end at these positions."""
    edges = [0, *ends.tolist()]
    return [data[start:end] for start, end in pairwise(edges)]
