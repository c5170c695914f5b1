"""Adaptive binary range coding: every bit is coded with a probability that is learnt from the bits before it.

A *state* has the probability p of a 1, in 22 bits, and the number n of bits seen, at most 250. A bit is coded with
p' = p >> 6 in 16 bits, limited to 32 … 65504; then::

    p += ((bit · 2^22 - bit - p) · RATES[n]) >> 16        n = min(n + 1, 250)

The range coder divides its range at bound = (range >> 16) · p'; a 1 takes the lower part. Below 2^24, range and code
are shifted by a byte. The code here defines the coder; compiled kernels compute the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_CODER", "RATES", "BitCoder", "new_states", "start_decoder", "start_encoder", "take_bytes"]

MOST_COUNT, CERTAIN, HALF = 250, 32, 1 << 15
RATES: NDArray[np.int32] = (655_360 // (10 * np.arange(MOST_COUNT + 1) + 16)).astype(np.int32)
N_CODER = 6
_LOW, _RANGE, _CODE, _AT, _PENDING, _HELD = range(N_CODER)
_TOP, _LOWEST = (1 << 32) - 1, 1 << 24


def new_states(n: int) -> NDArray[np.uint32]:
    """Return n states with the probability 1/2 and no bits seen."""
    return np.full(n, 1 << 31, np.uint32)


def start_encoder(n_bytes: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the state of an encoder, and a buffer for its bytes."""
    return np.array([0, _TOP, 0, 0, 0, 0], np.int64), np.zeros(n_bytes, np.uint8)


def start_decoder(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the state of a decoder that has read the first four of its bytes, and the bytes."""
    code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
    return np.array([0, _TOP, code, 4, 0, 0], np.int64), np.frombuffer(data, np.uint8)


def take_bytes(state: NDArray[np.int64], buffer: NDArray[np.uint8]) -> bytes | None:
    """Return the bytes of an encoder, without zeros at their end; None if the buffer was too small."""
    coder = BitCoder(state, buffer, is_decoding=False)
    for _ in range(5):
        coder.shift()
    if coder.at > len(buffer):
        return None
    return buffer[1 : coder.at].tobytes().rstrip(b"\0")  # the first byte is always 0


class BitCoder:
    """Codes bits one by one, from and to the same arrays as the kernels.

    Parameters
    ----------
    state : ndarray of shape (6,), int64
        The state, of `start_encoder` or `start_decoder`.
    data : ndarray of uint8
        The bytes.
    is_decoding : bool
        Whether bits are read instead of written.
    """

    def __init__(self, state: NDArray[np.int64], data: NDArray[np.uint8], *, is_decoding: bool) -> None:
        self._low, self._range, self._code, self.at, self._pending, self._held = state.tolist()
        self._data, self.is_decoding = data, is_decoding

    def store(self, state: NDArray[np.int64]) -> None:
        """Write the state back."""
        state[:] = (self._low, self._range, self._code, self.at, self._pending, self._held)

    def bit(self, p: int, bit: int) -> int:
        """Code a bit that is 1 with the probability p / 2^16; a decoder ignores ``bit``. Return the bit."""
        bound = (self._range >> 16) * p
        if self.is_decoding:
            bit = int(self._code < bound)
        if bit:
            self._range = bound
        else:
            self._range -= bound
            if self.is_decoding:
                self._code -= bound
            else:
                self._low += bound
        while self._range < _LOWEST:
            self._range <<= 8
            if self.is_decoding:
                following = int(self._data[self.at]) if self.at < len(self._data) else 0
                self._code = (self._code << 8 | following) & _TOP
                self.at += 1
            else:
                self.shift()
        return bit

    def adaptive(self, states: NDArray[np.uint32], which: tuple[int, ...], bit: int) -> int:
        """Code a bit with the mean probability of one or two states, and update them."""
        held = [int(states[one]) for one in which]
        p = sum(one >> 16 for one in held) // len(held)
        bit = self.bit(min(max(p, CERTAIN), (1 << 16) - CERTAIN), bit)
        for one, state in zip(which, held, strict=True):
            n, old = state & 1023, state >> 10
            new = old + (((bit << 22) - bit - old) * int(RATES[n]) >> 16)
            states[one] = new << 10 | min(n + 1, MOST_COUNT)
        return bit

    def shift(self) -> None:
        """Write the highest byte of an encoder, or hold it back while a carry may still reach it."""
        carry = self._low >> 32
        if carry or self._low < 0xFF000000:
            self._put(self._held + carry)
            for _ in range(self._pending):
                self._put(0xFF + carry)
            self._pending, self._held = 0, self._low >> 24 & 0xFF
        else:
            self._pending += 1
        self._low = self._low << 8 & _TOP

    def _put(self, byte: int) -> None:
        if self.at < len(self._data):
            self._data[self.at] = byte & 0xFF
        self.at += 1
