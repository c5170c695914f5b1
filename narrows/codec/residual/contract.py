"""What says how likely each value is, given those before it; and how values become bits with that."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.codec import rans
from narrows.codec.entropy_models.contract import Coded
from narrows.codec.residual.mixture import PRECISION, SIXTEENTHS, Mixture
from narrows.errors import CorruptArchiveError

__all__ = ["MOST_COARSE", "MOST_RAW_BITS", "Lattice", "Residual", "Run", "decode", "encode", "in_sixteenths"]

_FURTHEST = 1 << 60
MOST_RAW_BITS = 56
"""Of a step at most so many low bits are kept as they are."""

MOST_COARSE = 1 << 58
"""A coarse step is at most worth so much."""

_BITS = -np.log2((np.arange(1 << PRECISION) + 0.5) / (1 << PRECISION))  # near enough to count lanes


@dataclass(frozen=True, eq=False)
class Lattice:
    """Which whole numbers the values of n records may be: y = anchor + step · q, kept within a range.

    Of q only ⌊q / 2^raw⌋, a *coarse* step, is predicted; its low bits are kept as they are.

    Attributes
    ----------
    anchors : ndarray of shape (V, n), int64
        What the model restored, or zeros where there is no code: V values of n records.
    step : int
        At least 1.
    lowest, highest : int
        The range; what lies beyond is moved to its ends.
    has_code : bool
        Whether anchors say anything.
    raw_bits : int
        How many low bits of q are kept as they are, 0 to 56.
    """

    anchors: NDArray[np.int64]
    step: int
    lowest: int
    highest: int
    has_code: bool
    raw_bits: int = 0

    @property
    def coarse(self) -> int:
        """What a coarse step is worth."""
        return self.step << self.raw_bits

    def sixteenths(self, position: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how far values (n,) are from what a coarse step of 0 means in the middle, in sixteenths of one."""
        away = values - self.anchors[position] - (self.coarse - self.step) // 2
        return in_sixteenths(away, self.coarse)

    def values(self, position: int, q: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the values y (n,) of a position."""
        return np.asarray(np.clip(self.anchors[position] + self.step * q, self.lowest, self.highest))


def in_sixteenths(distance: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """Return ⌊16 · distance / step⌋, within ±2^60."""
    if step % SIXTEENTHS == 0:
        return np.asarray(np.clip(distance // (step // SIXTEENTHS), -_FURTHEST, _FURTHEST))
    whole = distance // step
    part = (distance - whole * step) * SIXTEENTHS // step
    sixteenths = np.clip(whole, -_FURTHEST // 8, _FURTHEST // 8) * SIXTEENTHS + part
    return np.asarray(np.clip(sixteenths, -_FURTHEST, _FURTHEST))


class Run(ABC):
    """On its way through the values of n records, position by position: `predict`, then `see`, and so on."""

    @abstractmethod
    def predict(self) -> Mixture:
        """Return what to expect of the next position's q (n,)."""

    @abstractmethod
    def see(self, values: NDArray[np.int64]) -> None:
        """Take note of the values y (n,) that were to be predicted, and go on to the next."""


@dataclass(frozen=True, eq=False)
class Residual:
    """The steps of some records, coded.

    Attributes
    ----------
    coded : Coded
        The coarse steps, and those that are out of their windows.
    raw : bytes
        The low bits of all steps: position by position, each position's records from the highest bit on, filled up to
        whole bytes.
    """

    coded: Coded
    raw: bytes

    @property
    def n_bytes(self) -> int:
        """The bytes that all of it takes."""
        return self.coded.n_bytes + len(self.raw)


def encode(run: Run, lattice: Lattice, q: NDArray[np.int64]) -> Residual:
    """Return steps q (V, n), coded."""
    starts, frequencies = np.empty(q.shape, np.uint16), np.empty(q.shape, np.uint16)
    escapes, raw = [], []
    for position, steps in enumerate(q):
        coarse = steps >> lattice.raw_bits
        mixture = run.predict()
        starts[position], frequencies[position], escaped = mixture.place(coarse)
        escapes.append(coarse[escaped])
        if lattice.raw_bits:
            raw.append(_pack_bits(steps, lattice.raw_bits))
        run.see(lattice.values(position, steps))
    ideal = float(np.bincount(frequencies.ravel(), minlength=1 << PRECISION) @ _BITS) / 8
    n_lanes = rans.lanes_for(ideal, q.shape[1], q.shape[0])
    message = rans.encode(starts, frequencies, n_lanes=n_lanes, precision=PRECISION)
    return Residual(Coded(message, _pack(np.concatenate([*escapes, np.empty(0, np.int64)]))), b"".join(raw))


def decode(run: Run, lattice: Lattice, residual: Residual) -> NDArray[np.int64]:
    """Return the values y (V, n) of `encode`.

    Raises
    ------
    CorruptArchiveError
        This is no message that `encode` makes of so many records.
    """
    values = np.empty(lattice.anchors.shape, np.int64)
    n = lattice.anchors.shape[1]
    decoder = rans.Decoder(residual.coded.message, precision=PRECISION)
    escapes, taken = _unpack(residual.coded.escapes, values.size), 0
    n_raw = -(-n * lattice.raw_bits // 8)
    if len(residual.raw) != n_raw * len(values):
        raise CorruptArchiveError("A coded message has another number of low bits than its values take.")
    for position in range(len(values)):
        mixture = run.predict()
        q, escaped = mixture.values_of(decoder.pop_mixture(n, mixture))
        (places,) = escaped.nonzero()
        if taken + len(places) > len(escapes):
            raise CorruptArchiveError("A coded message has too few escaped values.")
        q[places] = escapes[taken : taken + len(places)]
        taken += len(places)
        if lattice.raw_bits:
            low = residual.raw[position * n_raw : (position + 1) * n_raw]
            q = q << lattice.raw_bits | _unpack_bits(low, n, lattice.raw_bits)
        values[position] = lattice.values(position, q)
        run.see(values[position])
    decoder.finish()
    if taken != len(escapes):
        raise CorruptArchiveError("A coded message has more escaped values than are used.")
    return values


def _pack_bits(steps: NDArray[np.int64], n_bits: int) -> bytes:
    """Return the low bits of steps (n,), highest first, filled up to whole bytes."""
    bits = np.unpackbits(steps.astype(">i8").view(np.uint8).reshape(-1, 8), axis=1)[:, -n_bits:]
    return np.packbits(bits).tobytes()


def _unpack_bits(data: bytes, n: int, n_bits: int) -> NDArray[np.int64]:
    bits = np.zeros((n, 64), np.uint8)
    bits[:, -n_bits:] = np.unpackbits(np.frombuffer(data, np.uint8), count=n * n_bits).reshape(n, n_bits)
    return np.packbits(bits, axis=1).view(">i8").ravel().astype(np.int64)


def _pack(escapes: NDArray[np.int64]) -> bytes:
    return zlib.compress(escapes.astype("<i8").tobytes(), 9) if len(escapes) else b""


def _unpack(data: bytes, most: int) -> NDArray[np.int64]:
    if not data:
        return np.empty(0, np.int64)
    inflate = zlib.decompressobj()
    try:
        escapes = inflate.decompress(data, 8 * most + 1)
    except zlib.error as error:
        raise CorruptArchiveError("The escaped values of a coded message are damaged.") from error
    if not inflate.eof or inflate.unused_data or len(escapes) % 8 or not escapes:
        raise CorruptArchiveError("The escaped values of a coded message are damaged.")
    return np.frombuffer(escapes, "<i8").astype(np.int64)
