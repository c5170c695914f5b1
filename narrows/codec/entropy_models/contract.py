"""The contract of entropy models: coding the symbols of records into bytes and back, with a predictable cost."""

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
        States and words of the symbols that are in their tables.
    escapes : bytes
        The symbols that are not in their tables, in decoding order: by position, then by record.
    """

    message: rans.Message
    escapes: bytes

    @property
    def n_bytes(self) -> int:
        """Size of message and escapes in bytes."""
        return self.message.n_bytes + len(self.escapes)


@dataclass(frozen=True, eq=False)
class Intervals:
    """The table entries of symbols of shape (D, n).

    Attributes
    ----------
    entries : ndarray of shape (D, n), int64
        The entry of `FrequencyTables.frequencies` that codes each symbol.
    escaped : ndarray of shape (D, n), bool
        Whether that entry is the escape.
    """

    entries: NDArray[np.int64]
    escaped: NDArray[np.bool_]


class EntropyModel(ABC):
    """Chooses the frequency table of each symbol of a record; encodes and decodes with these tables.

    Symbols are integers from -32767 to 32767; n records have symbols of shape (n, D), int32. They are coded by
    position: one symbol of every record, then the next symbol of every record, …, in the sequence given by `order`.

    Attributes
    ----------
    name : str
        Name of this kind of entropy model in model files.
    registry : dict of str to type
        All kinds of entropy models, by name.
    tables : FrequencyTables
        The frequency tables.
    """

    name: ClassVar[str]
    registry: ClassVar[dict[str, type[EntropyModel]]] = {}
    tables: FrequencyTables

    def __init_subclass__(cls, *, name: str) -> None:
        super().__init_subclass__()
        cls.name = name
        EntropyModel.registry[name] = cls

    @property
    @abstractmethod
    def n_symbols(self) -> int:
        """D, the number of symbols of a record."""

    @property
    def order(self) -> NDArray[np.int64]:
        """The positions of a record's symbols in coding order: a permutation of shape (D,)."""
        return np.arange(self.n_symbols)

    @abstractmethod
    def intervals(self, symbols: NDArray[np.int32]) -> Intervals:
        """Return the table entries of symbols of shape (D, n), in coding order."""

    @abstractmethod
    def pop(self, decoder: rans.Decoder, escapes: Escapes, n_records: int) -> NDArray[np.int32]:
        """Decode and return symbols (D, n), in coding order."""

    @abstractmethod
    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return JSON-compatible settings and arrays, from which `from_tensors` makes the same model."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return the model of `to_tensors`; raises ModelFileError if settings or arrays are invalid."""

    def encode(self, symbols: NDArray[np.int32], n_lanes: int | None = None) -> Coded:
        """Encode the symbols of records.

        Parameters
        ----------
        symbols : ndarray of shape (n, D), int32
            The symbols, within ±32767.
        n_lanes : int or None
            The number of lanes, 1 to 4096; None chooses as many as add almost no bytes (`rans.lanes_for`).

        Returns
        -------
        coded : Coded
            The message and the escapes.

        Raises
        ------
        InvalidParameterError
            If a symbol is out of range, or its table is constant with another value.
        """
        order = self.order
        symbols = np.ascontiguousarray(self._checked(symbols).T[order])
        placed = self.intervals(symbols)
        frequencies = self.tables.frequencies.take(placed.entries)
        if not frequencies.all():
            position, record = np.argwhere(frequencies == 0)[0]
            raise InvalidParameterError(
                f"Symbol {order[position]} of record {record} cannot be coded: it is {symbols[position, record]}, "
                "and its table allows only one other value."
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
            The result of `encode`; it may come from an untrusted file.
        n_records : int
            The number of records n. Memory and time are proportional to it, so bound it before you trust a file.

        Raises
        ------
        CorruptArchiveError
            If `encode` does not produce this message for any n records.
        """
        n_lanes = len(coded.message.states)
        if n_lanes < n_records and self.n_symbols * -(-n_records // max(n_lanes, 1)) > rans.MAX_ROWS:
            raise CorruptArchiveError(f"A coded message has too few lanes for {n_records:,} records: {n_lanes}.")
        decoder = rans.Decoder(coded.message, precision=self.tables.precision)
        escapes = Escapes(coded.escapes)
        coded_order = self.pop(decoder, escapes, n_records)
        decoder.finish()
        escapes.finish()
        symbols = np.empty((n_records, self.n_symbols), np.int32)
        symbols.T[self.order] = coded_order
        return symbols

    def bits(self, symbols: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the cost of the symbols (n, D) of each record in bits, of shape (n,), with the bytes of escapes.

        This is the ideal cost; a message takes about three bytes per lane more. It is infinite where a constant table
        has another value.
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
    """Return a block's symbols (n,): table values plus offsets (n,), or the next escaped symbol for each escape.

    Raises
    ------
    CorruptArchiveError
        If there are too few escaped symbols, or a symbol is out of range.
    """
    escaped = np.flatnonzero(values == ESCAPE)
    if offsets is not None:
        values = values + offsets
    if escaped.size:
        values[escaped] = escapes.take(escaped.size)
    if values.size and not -MAX_SYMBOL <= values.min() <= values.max() <= MAX_SYMBOL:
        raise CorruptArchiveError(f"A symbol of a coded message is beyond ±{MAX_SYMBOL}.")
    return values
