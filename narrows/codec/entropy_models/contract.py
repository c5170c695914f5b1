"""What an entropy model is: the symbols of records to bits and back, at the cost it promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec import rans
from narrows.codec.entropy_models.escapes import MAX_SYMBOL, Escapes, pack, packed_bytes
from narrows.codec.tables import ESCAPE, FrequencyTables
from narrows.errors import CorruptArchiveError, InvalidParameterError

__all__ = ["Coded", "EntropyModel", "Intervals", "with_escapes"]


@dataclass(frozen=True, eq=False)
class Coded:
    """The symbols of some records, coded.

    Attributes
    ----------
    message : Message
        States and words of the symbols that their tables have.
    escapes : bytes
        The symbols that their tables don't have, in the order of decoding: by position, then by record.
    """

    message: rans.Message
    escapes: bytes

    @property
    def n_bytes(self) -> int:
        """The bytes that all of it takes."""
        return self.message.n_bytes + len(self.escapes)


@dataclass(frozen=True, eq=False)
class Intervals:
    """Where symbols of shape (D, n) are in their tables.

    Attributes
    ----------
    entries : ndarray of shape (D, n), int64
        The entry of `FrequencyTables.frequencies` that codes each symbol.
    escaped : ndarray of shape (D, n), bool
        Whether that is an escape.
    """

    entries: NDArray[np.int64]
    escaped: NDArray[np.bool_]


class EntropyModel(ABC):
    """Says which frequency table codes which symbol of a record; encodes and decodes with them.

    Symbols are whole numbers from -32767 to 32767; n records have symbols of shape (n, D), int32. They are coded by
    position: one symbol of every record, then another of every record, …, in the order that `order` says.

    Attributes
    ----------
    name : str
        What model files call this kind.
    tables : FrequencyTables
        The tables it codes with.
    """

    name: ClassVar[str]
    tables: FrequencyTables

    @property
    @abstractmethod
    def n_symbols(self) -> int:
        """D, the number of symbols of a record."""

    @property
    def order(self) -> NDArray[np.int64]:
        """Which symbol of a record is coded first, second, …: shape (D,), a permutation."""
        return np.arange(self.n_symbols)

    @abstractmethod
    def intervals(self, symbols: NDArray[np.int32]) -> Intervals:
        """Return where symbols of shape (D, n), in coding order, are in their tables."""

    @abstractmethod
    def pop(self, decoder: rans.Decoder, escapes: Escapes, n_records: int) -> NDArray[np.int32]:
        """Return the symbols (D, n), in coding order, that the decoder holds."""

    @abstractmethod
    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings, which JSON can hold, and arrays, from which `from_tensors` makes the same model."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return the model of `to_tensors`; ModelFileError where these are none."""

    def encode(self, symbols: NDArray[np.int32], n_lanes: int | None = None) -> Coded:
        """Return the symbols of records, coded.

        Parameters
        ----------
        symbols : ndarray of shape (n, D), int32
            The symbols, within ±32767.
        n_lanes : int or None
            How many lanes to code with, 1 to 4096; None chooses as many as cost next to nothing.

        Raises
        ------
        InvalidParameterError
            A symbol is out of range, or its table is constant and has another value.
        """
        order = self.order
        symbols = np.ascontiguousarray(self._checked(symbols).T[order])
        placed = self.intervals(symbols)
        frequencies = self.tables.frequencies.take(placed.entries)
        if not frequencies.all():
            position, record = np.argwhere(frequencies == 0)[0]
            raise InvalidParameterError(
                f"Symbol {order[position]} of record {record} cannot be coded: it is {symbols[position, record]}, "
                "and its table has one constant only."
            )
        if n_lanes is None:
            n_lanes = rans.lanes_for(self.tables.bits.take(placed.entries).sum() / 8, *symbols.shape[::-1])
        starts = self.tables.starts.take(placed.entries)
        message = rans.encode(starts, frequencies, n_lanes=n_lanes, precision=self.tables.precision)
        return Coded(message, pack(symbols[placed.escaped]))

    def decode(self, coded: Coded, n_records: int) -> NDArray[np.int32]:
        """Return the symbols (n, D) of `encode`.

        Parameters
        ----------
        coded : Coded
            What `encode` returned, or what a file claims that it did.
        n_records : int
            The number of records n. Memory and time are in proportion to it, so bound it before you trust a file.

        Raises
        ------
        CorruptArchiveError
            This is no message that `encode` makes of so many records.
        """
        n_lanes = len(coded.message.states)
        if n_lanes < n_records and self.n_symbols * -(-n_records // max(n_lanes, 1)) > rans.MAX_ROWS:
            raise CorruptArchiveError(
                f"A coded message has {n_lanes} lanes for {n_records:,} records, which are too few."
            )
        decoder = rans.Decoder(coded.message, precision=self.tables.precision)
        escapes = Escapes(coded.escapes)
        coded_order = self.pop(decoder, escapes, n_records)
        decoder.finish()
        escapes.finish()
        symbols = np.empty((n_records, self.n_symbols), np.int32)
        symbols.T[self.order] = coded_order
        return symbols

    def bits(self, symbols: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return what the symbols (n, D) of each record cost in bits, of shape (n,), their escapes' bytes included.

        Ideal bits: a message takes about three bytes a lane more. Infinite where a constant table has another value.
        """
        symbols = np.ascontiguousarray(self._checked(symbols).T[self.order])
        placed = self.intervals(symbols)
        bits: NDArray[np.float64] = self.tables.bits.take(placed.entries).sum(axis=0)
        _, record = np.nonzero(placed.escaped)
        np.add.at(bits, record, 8.0 * packed_bytes(symbols[placed.escaped]))
        return bits

    def _checked(self, symbols: NDArray[Any]) -> NDArray[np.int32]:
        if symbols.ndim != 2 or symbols.shape[1] != self.n_symbols or not np.issubdtype(symbols.dtype, np.integer):
            raise InvalidParameterError(
                f"Symbols must be integers of shape (n, {self.n_symbols}). Got {symbols.dtype} {symbols.shape}."
            )
        if symbols.size and not -MAX_SYMBOL <= symbols.min() <= symbols.max() <= MAX_SYMBOL:
            raise InvalidParameterError(
                f"Symbols must be within ±{MAX_SYMBOL}. Got {symbols.min()} to {symbols.max()}."
            )
        return symbols.astype(np.int32, copy=False)


def with_escapes(
    values: NDArray[np.int32], escapes: Escapes, offsets: NDArray[np.int32] | None = None
) -> NDArray[np.int32]:
    """Return a block's symbols: values of the tables plus offsets (n,), and the escaped symbols where there is one.

    Raises
    ------
    CorruptArchiveError
        There are too few escaped symbols, or a symbol is out of range.
    """
    escaped = np.flatnonzero(values == ESCAPE)
    if offsets is not None:
        values = values + offsets
    if escaped.size:
        values[escaped] = escapes.take(escaped.size)
    if values.size and not -MAX_SYMBOL <= values.min() <= values.max() <= MAX_SYMBOL:
        raise CorruptArchiveError(f"A coded message holds a symbol beyond ±{MAX_SYMBOL}.")
    return values
