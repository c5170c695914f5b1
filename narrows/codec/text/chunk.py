"""The texts of a chunk as one coded session: each is predicted from those before it, without a model.

::

    bits u8 · number of bytes of all texts u32 · the coded session

Records of text are symbols (`narrows.records.symbols`): whole numbers up to 256, and zeros after the end of a text.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.text.frozen import MOST_SAMPLE, FrozenBytes
from narrows.errors import CorruptArchiveError
from narrows.records.symbols import DTYPE, END, N_SYMBOLS, bytes_of, symbols_of

__all__ = ["are_texts", "decode_texts", "encode_texts"]

_HEAD = struct.Struct("<BI")
_MOST_BITS = 20


def are_texts(records: NDArray[Any]) -> bool:
    """Return whether records (n, length) are symbols of texts, few enough for a chunk."""
    if records.ndim != 2 or records.dtype != DTYPE or records.size + len(records) > MOST_SAMPLE:
        return False
    inside = records != END
    return bool(records.max(initial=0) < N_SYMBOLS and not (inside[:, 1:] & ~inside[:, :-1]).any())


def encode_texts(records: NDArray[np.uint16]) -> bytes:
    """Return the coded texts of records (n, length), for which `are_texts` is true."""
    model = FrozenBytes.of([bytes_of(record) for record in records], most_bits=_MOST_BITS)
    return _HEAD.pack(model.bits, model.n_bytes) + model.coded


def decode_texts(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Return the records (n, length) of `encode_texts`.

    Raises
    ------
    CorruptArchiveError
        If `encode_texts` does not produce this data for records of this shape.
    """
    if len(data) < _HEAD.size or len(shape) != 2:
        raise CorruptArchiveError("The texts of a chunk are damaged: they have no head, or no texts are stored here.")
    bits, n_bytes = _HEAD.unpack_from(data)
    if bits > _MOST_BITS or n_bytes > shape[0] * shape[1]:
        raise CorruptArchiveError(
            f"The texts of a chunk have at most {shape[0] * shape[1]:,} bytes and 2^{_MOST_BITS} buckets. "
            f"Got {n_bytes:,} and 2^{bits}."
        )
    texts = FrozenBytes(data[_HEAD.size :], n_bytes, shape[0], bits).sample()
    if max(map(len, texts), default=0) > shape[1]:
        raise CorruptArchiveError(f"A text of a chunk is longer than the {shape[1]:,} bytes of a record.")
    records = np.zeros(shape, DTYPE)
    for record, text in zip(records, texts, strict=True):
        record[: len(text)] = symbols_of(np.frombuffer(text, np.uint8))
    return records
