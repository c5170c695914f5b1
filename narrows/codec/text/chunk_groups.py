"""The texts of a chunk, coded with a model of bytes: each alone, or in groups that can be decoded one by one.

::

    number of bytes of the lengths · lengths (numbers, as a raw deflate stream) · the coded groups, one after the other

The numbers are those of `narrows.codec.fields.leb128`; there is a length for each group, in bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from narrows.codec.fields.leb128 import NumberReader, pack_number
from narrows.codec.text.frozen import FrozenBytes
from narrows.errors import CorruptArchiveError
from narrows.records.symbols import DTYPE, bytes_of, symbols_of

__all__ = ["CodedTexts", "encode_groups"]

_MOST_NUMBER_BYTES = 5


def encode_groups(records: NDArray[np.uint16], model: FrozenBytes, group: int) -> bytes:
    """Return the coded texts of records (n, length), as symbols, in groups of ``group``."""
    coded = model.encode([bytes_of(record) for record in records], group)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    lengths = deflate.compress(b"".join(pack_number(len(one)) for one in coded)) + deflate.flush()
    return b"".join((pack_number(len(lengths)), lengths, *coded))


class CodedTexts:
    """The coded texts of a chunk.

    Parameters
    ----------
    data : bytes
        The output of `encode_groups`; it may come from an untrusted file.
    shape : (int, int)
        Of the chunk's records.
    group : int
        The number of records of a group.

    Raises
    ------
    CorruptArchiveError
        If `encode_groups` does not produce this data for records of this shape.
    """

    def __init__(self, data: bytes, shape: tuple[int, ...], group: int) -> None:
        if len(shape) != 2:
            raise CorruptArchiveError("A chunk of texts has records that are no texts.")
        self._n, self._length, self._group = *shape, group
        reader = NumberReader(data)
        lengths = self._lengths(reader.take(reader.number(0, len(data))))
        self._coded = reader.rest
        self._ends = np.cumsum([0, *lengths])
        if self._ends[-1] != len(self._coded):
            raise CorruptArchiveError(
                f"The texts of a chunk are damaged: its groups have {self._ends[-1]:,} bytes, not {len(self._coded):,}."
            )

    def decode(self, model: FrozenBytes, records: Sequence[int]) -> NDArray[np.uint16]:
        """Return records by their numbers, from groups that are decoded up to the last of them.

        Raises
        ------
        CorruptArchiveError
            If they are damaged.
        """
        chosen = np.asarray(records, np.int64)
        found = np.zeros((len(chosen), self._length), DTYPE)
        numbers = chosen // self._group
        is_run = bool((np.diff(chosen) == 1).all())
        for first in [int(numbers[0])] if is_run else np.unique(numbers).tolist():
            places = range(len(chosen)) if is_run else np.flatnonzero(numbers == first).tolist()
            start, last = first * self._group, int(chosen[places].max())
            texts = self._texts(model, first, last // self._group + 1, last + 1 - start)
            for place in places:
                self._fill(found[place], texts[int(chosen[place]) - start])
        return found

    def _texts(self, model: FrozenBytes, first: int, stop: int, n: int) -> list[bytes]:
        """Return the first n texts of some groups."""
        edges = self._ends[first : stop + 1].tolist()
        coded = [self._coded[at:end] for at, end in pairwise(edges)]
        return model.decode(coded, n, n * self._length, self._group)

    def _fill(self, record: NDArray[np.uint16], text: bytes) -> None:
        if len(text) > self._length:
            raise CorruptArchiveError(f"A text of a chunk is longer than the {self._length:,} bytes of a record.")
        record[: len(text)] = symbols_of(np.frombuffer(text, np.uint8))

    def _lengths(self, data: bytes) -> list[int]:
        n_groups = -(-self._n // self._group)
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            numbers = inflate.decompress(data, _MOST_NUMBER_BYTES * n_groups)
        except zlib.error as error:
            raise CorruptArchiveError(f"The lengths of the texts of a chunk are damaged: {error}.") from error
        if not inflate.eof or inflate.unused_data:
            raise CorruptArchiveError("The lengths of the texts of a chunk are damaged: they have another size.")
        reader = NumberReader(numbers)
        lengths = [reader.number(0, 1 << 32) for _ in range(n_groups)]
        if reader.rest:
            raise CorruptArchiveError("The lengths of the texts of a chunk are damaged: there are too many.")
        return lengths
