"""Tensors of a model as bytes: whole numbers in the fewest bytes that hold them, weights entropy-coded.

Each tensor is written in the way that takes the fewest bytes::

    i1, u2, f4, …   its numbers in the smallest type that holds them
    zlib i1, …      the same as a zlib stream
    coded           step · order · lag · turned (numbers of `pack_number`), and a matrix of `coded_numbers`:
                    the numbers divided by the step, with the first axes moved to the end, as many as `turned`; replaced
                    by their differences from the number `lag` before, 0, 1 or 2 times; in rows
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.parts.byte_reader import ByteReader, pack_number
from narrows.codec.parts.coded_numbers import bits_of, decode_numbers, encode_numbers
from narrows.errors import ModelFileError

__all__ = ["WAYS", "pack_tensor", "unpack_tensor"]

_DTYPES = ("int64", "float64", "int32", "uint16", "int16")
_STORED = {"i": ("u1", "i1", "u2", "i2", "u4", "i4", "i8"), "f": ("f4", "f8")}
_MOST_VALUES = 1 << 27
_MOST_AXES = 8
_MOST_ORDER = 2
_MANY = 1 << 15  # values: differences of more are not tried
_COLUMNS = 16  # of a vector in rows
_MOST_MAGNITUDE = 1 << 50
_CODED, _ZLIB = "coded", "zlib "
WAYS = (_CODED, *(way for ways in _STORED.values() for kept in ways for way in (kept, _ZLIB + kept)))
"""The ways in which tensors are written, by their numbers in files."""

_ZLIB_RATIO = 1040  # no zlib stream is larger than this, uncompressed


def pack_tensor(tensor: NDArray[Any]) -> tuple[str, bytes]:
    """Return the way in which a tensor is written, and its bytes."""
    kind = "f" if tensor.dtype.kind == "f" else "i"
    way = next(way for way in _STORED[kind] if _holds(way, tensor))
    data = tensor.astype(f"<{way}").tobytes()
    found = [(way, data), (_ZLIB + way, zlib.compress(data, 9))]
    if kind == "i" and tensor.size > 1 and np.abs(tensor.astype(np.float64)).max() < _MOST_MAGNITUDE and tensor.any():
        found.append((_CODED, _coded(tensor.astype(np.int64))))
    return min(found, key=lambda one: len(one[1]))


def unpack_tensor(dtype: str, shape: tuple[int, ...], way: str, data: bytes) -> NDArray[Any]:
    """Return the tensor of `pack_tensor`.

    Raises
    ------
    ModelFileError
        If it is damaged, or declares more values than its bytes can hold.
    CorruptArchiveError
        If its coded numbers are damaged.
    """
    size = math.prod(shape)
    if dtype not in _DTYPES or len(shape) > _MOST_AXES or not 0 <= size <= _MOST_VALUES:
        raise ModelFileError(f"A tensor of the model has the dtype {dtype!r:.20} and the shape {shape!r:.80}.")
    if way == _CODED:
        numbers = _decoded(data, shape)
    else:
        stored = way.removeprefix(_ZLIB)
        if stored not in _STORED["f" if dtype.startswith("f") else "i"]:
            raise ModelFileError(f"A tensor of the model is written as {way!r:.20}, which {dtype} cannot be.")
        n_bytes = size * int(stored[1:])
        plain = _inflated(data, n_bytes) if way != stored else data
        if len(plain) != n_bytes:
            raise ModelFileError(f"A tensor of the model must have {n_bytes:,} bytes. Got {len(plain):,}.")
        numbers = np.frombuffer(plain, f"<{stored}").reshape(shape)
    if not dtype.startswith("f") and size:
        limits = np.iinfo(dtype)
        if int(numbers.min()) < limits.min or int(numbers.max()) > limits.max:
            raise ModelFileError(f"A tensor of the model has numbers that {dtype} does not hold.")
    return numbers.astype(dtype)


def _holds(way: str, tensor: NDArray[Any]) -> bool:
    if tensor.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return bool((tensor.astype(way).astype(np.float64) == tensor).all())
    limits = np.iinfo(way)
    return not tensor.size or (limits.min <= int(tensor.min()) and int(tensor.max()) <= limits.max)


def _inflated(data: bytes, n_bytes: int) -> bytes:
    if n_bytes > _ZLIB_RATIO * len(data):
        raise ModelFileError(f"A tensor of the model declares {n_bytes:,} bytes, too many for a stream of {len(data)}.")
    inflate = zlib.decompressobj()
    try:
        found = inflate.decompress(data, n_bytes + 1)
    except zlib.error as error:
        raise ModelFileError(f"A tensor of the model is damaged: {error}.") from error
    if not inflate.eof or inflate.unused_data or len(found) != n_bytes:
        raise ModelFileError("A tensor of the model is damaged: its zlib stream has another length.")
    return found


# ---------------------------------------------------------------------------------------------------------- coded


def _coded(tensor: NDArray[np.int64]) -> bytes:
    step = int(np.gcd.reduce(tensor, axis=None))
    found = [
        (bits_of(matrix), settings, matrix)
        for turned, numbers, columns in _layouts(tensor // step)
        for settings, matrix in _differences(numbers, columns, turned)
    ]
    _, settings, matrix = min(found, key=lambda one: one[0])
    return b"".join((*map(pack_number, (step, *settings)), encode_numbers(matrix)))


def _decoded(data: bytes, shape: tuple[int, ...]) -> NDArray[np.int64]:
    size = math.prod(shape)
    reader = ByteReader(data, "A tensor of the model")
    step, order = reader.number(1, _MOST_MAGNITUDE), reader.number(0, _MOST_ORDER)
    lag, turned = reader.number(1, max(size, 1)), reader.number(0, max(0, len(shape) - 1))
    numbers = decode_numbers(reader.take(reader.n_left), size).ravel()[:size]
    for _ in range(order):
        numbers = _rows(numbers, lag).cumsum(0).ravel()[:size]
    if size and int(np.abs(numbers.astype(np.float64)).max()) * step >= 2 * _MOST_MAGNITUDE:
        raise ModelFileError("A tensor of the model is damaged: its numbers are too large.")
    numbers = numbers * step
    if not turned:
        return numbers.reshape(shape)
    return np.ascontiguousarray(numbers.reshape(-1, math.prod(shape[:turned])).T).reshape(shape)


def _layouts(tensor: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64], int]]:
    """Yield ways to arrange a tensor in rows.

    Yields
    ------
    turned : int
        The number of first axes that are moved to the end.
    numbers : ndarray of shape (size,)
        The values in this order.
    columns : int
        The length of a row.
    """
    seen = set()
    for axis in range(1, tensor.ndim):
        rows = math.prod(tensor.shape[:axis])
        if 1 < rows < tensor.size and rows not in seen:
            seen.add(rows)
            yield 0, tensor.ravel(), tensor.size // rows
            yield axis, tensor.reshape(rows, -1).T.ravel(), rows
    if not seen:
        yield 0, tensor.ravel(), tensor.size
        if tensor.size > 2 * _COLUMNS:
            yield 0, tensor.ravel(), _COLUMNS


def _differences(
    numbers: NDArray[np.int64], columns: int, turned: int
) -> Iterator[tuple[tuple[int, int, int], NDArray[np.int64]]]:
    """Yield (order, lag, turned) and the matrix to code: numbers, and their differences while these become smaller."""
    yield (0, 1, turned), _rows(numbers, columns)
    if numbers.size > _MANY:
        return
    for lag in dict.fromkeys((1, columns)):
        before = numbers
        for order in range(1, _MOST_ORDER + 1):
            now = np.diff(_rows(before, lag), axis=0, prepend=0).ravel()[: numbers.size]
            if np.abs(now).sum() >= np.abs(before).sum():
                break
            yield (order, lag, turned), _rows(now, columns)
            before = now


def _rows(numbers: NDArray[np.int64], columns: int) -> NDArray[np.int64]:
    """Return numbers in rows, with zeros at the end of the last."""
    missing = -len(numbers) % columns
    return np.concatenate([numbers, np.zeros(missing, np.int64)]).reshape(-1, columns)
