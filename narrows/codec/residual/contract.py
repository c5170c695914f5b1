"""The contract of predictors of residuals, and the coding of values with their predictions."""

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

__all__ = [
    "MOST_COARSE",
    "MOST_RAW_BITS",
    "TOO_FEW_ESCAPES",
    "Intervals",
    "Lattice",
    "Residual",
    "Run",
    "check_all_used",
    "decode",
    "encode",
    "in_sixteenths",
    "pack_escapes",
]

MOST_RAW_BITS = 56
"""The largest number of low bits of a step that are stored uncoded."""

MOST_COARSE = 1 << 58
"""The largest size of a coarse step."""

TOO_FEW_ESCAPES = "A coded message has too few escaped values."

_FURTHEST = 1 << 60
_BITS = -np.log2((np.arange(1 << PRECISION) + 0.5) / (1 << PRECISION))  # approximate, to choose the number of lanes


@dataclass(frozen=True, eq=False)
class Lattice:
    """The integers that the values of n records may take: y = anchor + step · q, clipped to a range.

    Only the *coarse* step ⌊q / 2^raw_bits⌋ is predicted; the low bits of q are stored uncoded.

    Attributes
    ----------
    anchors : ndarray of shape (V, n), int64
        The model's output for V values of n records, or zeros without a code.
    step : int
        The step, at least 1.
    lowest, highest : int
        The range.
    has_code : bool
        Whether the anchors are the model's output.
    raw_bits : int
        The number of low bits of q that are stored uncoded, 0 to 56.
    """

    anchors: NDArray[np.int64]
    step: int
    lowest: int
    highest: int
    has_code: bool
    raw_bits: int = 0

    @property
    def coarse(self) -> int:
        """The size of a coarse step."""
        return self.step << self.raw_bits

    def sixteenths(self, position: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the distance of values (n,) from the middle of coarse step 0, in sixteenths of a coarse step."""
        away = values - self.anchors[position] - (self.coarse - self.step) // 2
        return in_sixteenths(away, self.coarse)

    def values(self, position: int, q: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the values y (n,) at a position, given their steps q."""
        return np.asarray(np.clip(self.anchors[position] + self.step * q, self.lowest, self.highest))


def in_sixteenths(distance: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """Return ⌊16 · distance / step⌋, clipped to ±2^60."""
    if step % SIXTEENTHS == 0:
        return np.asarray(np.clip(distance // (step // SIXTEENTHS), -_FURTHEST, _FURTHEST))
    whole = distance // step
    part = (distance - whole * step) * SIXTEENTHS // step
    sixteenths = np.clip(whole, -_FURTHEST // 8, _FURTHEST // 8) * SIXTEENTHS + part
    return np.asarray(np.clip(sixteenths, -_FURTHEST, _FURTHEST))


class Run(ABC):
    """A run of a predictor over the values of n records, position by position: `predict` and `update` alternate."""

    lattice: Lattice

    @abstractmethod
    def predict(self) -> Mixture:
        """Return the distribution of the next position's coarse steps (n,)."""

    @abstractmethod
    def update(self, values: NDArray[np.int64]) -> None:
        """Pass the actual values y (n,) of the predicted position, and go on to the next position."""

    def intervals(self, q: NDArray[np.int64]) -> Intervals:
        """Return the intervals of the steps q (V, n) of all positions, from the first."""
        starts, frequencies = np.empty(q.shape, np.uint16), np.empty(q.shape, np.uint16)
        escapes = []
        for position, steps in enumerate(q):
            coarse = steps >> self.lattice.raw_bits
            starts[position], frequencies[position], escaped = self.predict().intervals(coarse)
            escapes.append(coarse[escaped])
            self.update(self.lattice.values(position, steps))
        return Intervals(starts, frequencies, np.concatenate(escapes))

    def pop(self, decoder: rans.Decoder, escapes: NDArray[np.int64], low: NDArray[np.int64]) -> NDArray[np.int64]:
        """Decode the values y (V, n); the inverse of `intervals`.

        Parameters
        ----------
        decoder : rans.Decoder
            The decoder of the coarse steps.
        escapes : ndarray of int64
            The coarse steps outside their windows.
        low : ndarray of shape (V, n), int64
            The low bits of the steps.

        Raises
        ------
        CorruptArchiveError
            If there are too many or too few escapes, or too few words.
        """
        values, taken = np.empty_like(self.lattice.anchors), 0
        for position in range(len(values)):
            mixture = self.predict()
            q, escaped = mixture.values_of(decoder.pop_mixture(values.shape[1], mixture))
            (places,) = escaped.nonzero()
            if taken + len(places) > len(escapes):
                raise CorruptArchiveError(TOO_FEW_ESCAPES)
            q[places] = escapes[taken : taken + len(places)]
            taken += len(places)
            values[position] = self.lattice.values(position, q << self.lattice.raw_bits | low[position])
            self.update(values[position])
        check_all_used(taken, escapes)
        return values


def check_all_used(n: int, escapes: NDArray[np.int64]) -> None:
    """Raise CorruptArchiveError unless all escapes, n of them, were used."""
    if n != len(escapes):
        raise CorruptArchiveError(f"A coded message has {len(escapes):,} escaped values. Its symbols use {n:,}.")


@dataclass(frozen=True, eq=False)
class Intervals:
    """The intervals of coarse steps, for `rans`.

    Attributes
    ----------
    starts, frequencies : ndarray of shape (V, n), uint16
        The intervals.
    escapes : ndarray of int64
        The coarse steps outside their windows.
    """

    starts: NDArray[np.uint16]
    frequencies: NDArray[np.uint16]
    escapes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Residual:
    """The coded steps of some records.

    Attributes
    ----------
    coded : Coded
        The coarse steps, with the escaped ones.
    raw : bytes
        The low bits of all steps, position by position: those of all records, highest bit first, padded to whole bytes.
    """

    coded: Coded
    raw: bytes

    @property
    def n_bytes(self) -> int:
        """The size in bytes."""
        return self.coded.n_bytes + len(self.raw)


def encode(run: Run, q: NDArray[np.int64]) -> Residual:
    """Encode the steps q (V, n) with the predictions of a run."""
    placed = run.intervals(q)
    ideal = float(np.bincount(placed.frequencies.ravel(), minlength=1 << PRECISION) @ _BITS) / 8
    n_lanes = rans.lanes_for(ideal, q.shape[1], q.shape[0])
    message = rans.encode(placed.starts, placed.frequencies, n_lanes=n_lanes, precision=PRECISION)
    return Residual(Coded(message, pack_escapes(placed.escapes)), _pack_bits(q, run.lattice.raw_bits))


def decode(run: Run, residual: Residual) -> NDArray[np.int64]:
    """Decode the values y (V, n) of `encode`.

    Raises
    ------
    CorruptArchiveError
        If `encode` does not produce this message for n records.
    """
    shape, raw_bits = run.lattice.anchors.shape, run.lattice.raw_bits
    decoder = rans.Decoder(residual.coded.message, precision=PRECISION)
    escapes = _unpack(residual.coded.escapes, shape[0] * shape[1])
    if len(residual.raw) != shape[0] * -(-shape[1] * raw_bits // 8):
        raise CorruptArchiveError(
            f"A coded message has {len(residual.raw):,} bytes of low bits, not one group of bits for each value."
        )
    values = run.pop(decoder, escapes, _unpack_bits(residual.raw, shape, raw_bits))
    decoder.finish()
    return values


def _pack_bits(steps: NDArray[np.int64], n_bits: int) -> bytes:
    """Return the low bits of steps (V, n), highest first, with each position padded to whole bytes."""
    if not n_bits:
        return b""
    return b"".join(
        np.packbits(np.unpackbits(of_one.astype(">i8").view(np.uint8).reshape(-1, 8), axis=1)[:, -n_bits:]).tobytes()
        for of_one in steps
    )


def _unpack_bits(data: bytes, shape: tuple[int, ...], n_bits: int) -> NDArray[np.int64]:
    """Return the steps (V, n) with these low bits, and zero high bits."""
    if not n_bits:
        return np.broadcast_to(np.int64(0), shape)
    steps, n_values = np.empty(shape, np.int64), shape[1]
    bits = np.zeros((n_values, 64), np.uint8)
    for position, of_one in enumerate(np.frombuffer(data, np.uint8).reshape(shape[0], -1)):
        bits[:, -n_bits:] = np.unpackbits(of_one, count=n_values * n_bits).reshape(n_values, n_bits)
        steps[position] = np.packbits(bits, axis=1).view(">i8").ravel()
    return steps


def pack_escapes(escapes: NDArray[np.int64]) -> bytes:
    """Return escaped steps (m,) as a zlib stream; nothing without any."""
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
