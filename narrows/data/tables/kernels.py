"""Cells of text in a buffer: found, read as numbers or categories, written and compared, by C or by NumPy.

A cell is the bytes ``data[start:end]``; starts and ends are arrays of int64. Each function computes the same with and
without the compiled kernels.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "HAS_POINT",
    "LEADING_ZERO",
    "MOST_DIGITS",
    "NEGATIVE_ZERO",
    "NO_WHOLE",
    "TRAILING_ZERO",
    "Bytes",
    "Places",
    "differ",
    "ids",
    "numbers",
    "scatter",
    "write",
]

compiled: ModuleType | None
try:
    import narrows.data.tables._cells as compiled
except ImportError:
    compiled = None

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

HAS_POINT, LEADING_ZERO, NO_WHOLE, NEGATIVE_ZERO, TRAILING_ZERO = 1, 2, 4, 8, 16
"""Bits of the style of a number."""

MOST_DIGITS = 18
"""The largest number of digits of a number that is read as a whole number."""

_ROOM = 24  # bytes of a number


class Read(NamedTuple):
    """Cells as numbers: values (n,) int64 without the point, digits after it or -1 (n,) int8, styles (n,) uint8."""

    values: Places
    digits: npt.NDArray[np.int8]
    styles: Bytes


def numbers(data: Bytes, starts: Places, ends: Places) -> Read:
    """Read cells as numbers: a minus, digits, a point and digits. Other cells, and long ones, have -1 digits."""
    n = len(starts)
    read = Read(np.empty(n, np.int64), np.empty(n, np.int8), np.empty(n, np.uint8))
    if compiled is not None:
        compiled.numbers(data, starts, ends, *read)
        return read
    lengths = ends - starts
    short = np.flatnonzero(lengths <= MOST_DIGITS + 2)
    read.values[:], read.digits[:], read.styles[:] = 0, -1, 0
    for piece in np.array_split(short, len(short) // (1 << 16) + 1):
        found = _read(_matrix(data, starts[piece], lengths[piece]), lengths[piece])
        read.values[piece], read.digits[piece], read.styles[piece] = found
    return read


def _matrix(data: Bytes, starts: Places, lengths: Places) -> Bytes:
    """Return cells as rows (n, longest), filled up with zeros."""
    columns = np.arange(int(lengths.max(initial=0)))
    inside = columns < lengths[:, None]
    found: Bytes = (
        data[np.where(inside, starts[:, None] + columns, 0)] if len(data) else np.zeros(inside.shape, np.uint8)
    )
    return np.where(inside, found, 0).astype(np.uint8)


def _read(rows: Bytes, lengths: Places) -> Read:
    n, width = rows.shape
    if not width:
        return Read(np.zeros(n, np.int64), np.full(n, -1, np.int8), np.zeros(n, np.uint8))
    column = np.arange(width)
    inside = column < lengths[:, None]
    minus, point = rows[:, 0] == ord("-"), rows == ord(".")
    is_digit = (rows >= ord("0")) & (rows <= ord("9"))
    allowed = is_digit | point
    allowed[:, 0] |= minus
    n_digits, n_points = is_digit.sum(1), point.sum(1)
    good = (allowed | ~inside).all(1) & (n_digits >= 1) & (n_digits <= MOST_DIGITS) & (n_points <= 1)
    values = np.zeros(n, np.int64)
    for place in range(width):
        values = np.where(is_digit[:, place] & good, 10 * values + rows[:, place] - ord("0"), values)
    at = np.where(n_points > 0, point.argmax(1), lengths)
    digits = np.where(n_points > 0, lengths - at - 1, 0)
    first = minus.astype(np.int64)
    row = np.arange(n)
    zero_first = rows[row, np.minimum(first, width - 1)] == ord("0")
    styles = np.where(n_points > 0, HAS_POINT, 0)
    styles |= np.where((n_points > 0) & (at == first), NO_WHOLE, 0)
    styles |= np.where(zero_first & (at - first > 1), LEADING_ZERO, 0)
    last = rows[row, np.clip(lengths - 1, 0, width - 1)]
    styles |= np.where((digits > 0) & (last == ord("0")), TRAILING_ZERO, 0)
    styles |= np.where(minus & (values == 0), NEGATIVE_ZERO, 0)
    values = np.where(minus, -values, values)
    digits, styles = np.where(good, digits, -1), np.where(good, styles, 0)
    return Read(np.where(good, values, 0), digits.astype(np.int8), styles.astype(np.uint8))


def ids(data: Bytes, starts: Places, ends: Places, most: int) -> tuple[Places, Places] | None:
    """Return numbers of cells: different ones are numbered in the order of their first ones.

    Returns
    -------
    (numbers, firsts) or None
        The number of each cell, and the first cell of each number; None if more than ``most`` are different.
    """
    if compiled is None:
        return _ids(data, starts, ends, most)
    most = max(1, min(most, len(starts)))
    table = np.empty(1 << (2 * most + 1).bit_length(), np.int64)
    numbered, firsts = np.empty(len(starts), np.int64), np.empty(most, np.int64)
    n = compiled.ids(data, starts, ends, most, table, numbered, firsts)
    return None if n < 0 else (numbered, firsts[:n])


def _ids(data: Bytes, starts: Places, ends: Places, most: int) -> tuple[Places, Places] | None:
    raw = data.tobytes()
    known: dict[bytes, int] = {}
    firsts: list[int] = []
    numbered = np.empty(len(starts), np.int64)
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        number = known.setdefault(raw[start:end], len(known))
        if number == len(firsts):
            if number == most:
                return None
            firsts.append(i)
        numbered[i] = number
    return numbered, np.array(firsts, np.int64)


def write(values: Places, digits: int, least: int, width: int) -> tuple[Bytes, Places]:
    """Write numbers one after the other; return their text and the ends of their cells.

    Parameters
    ----------
    values : ndarray of int64, shape (n,)
        The numbers without their point.
    digits : int
        Digits after the point, 0 to 18.
    least : int
        Zeros at the end are left out until this number of digits after the point remains, 0 to ``digits``. Without a
        digit, there is no point.
    width : int
        The smallest number of digits, to be filled with zeros at the start; 0 to 20.
    """
    n = len(values)
    if compiled is not None:
        text, ends = np.empty(n * _ROOM, np.uint8), np.empty(n, np.int64)
        compiled.write(np.ascontiguousarray(values, np.int64), digits, least, width, text, ends)
        return text[: int(ends[-1]) if n else 0], ends
    rest = values.astype(np.int64).view(np.uint64)
    rest = np.where(values < 0, np.uint64(0) - rest, rest)
    reverse = np.zeros((n, 21), np.uint8)  # digits, the last first
    count = np.full(n, max(width, digits + 1))
    for place in range(20):
        rest, digit = np.divmod(rest, np.uint64(10))
        reverse[:, place] = digit
        count = np.where(digit > 0, np.maximum(count, place + 1), count)
    zeros = np.where((reverse != 0).any(1), (reverse != 0).argmax(1), 21)
    start = np.minimum(zeros, digits - least)
    point = np.where(start < digits, digits, -1)
    lengths = (values < 0) + (count - start) + (point >= 0)
    ends = np.cumsum(lengths)
    cell = np.repeat(np.arange(n), lengths)
    back = ends[cell] - 1 - np.arange(int(ends[-1]) if n else 0)  # places from the end of the cell
    digit = start[cell] + back - ((point[cell] >= 0) & (back > digits - start[cell]))
    text = (ord("0") + reverse[cell, np.minimum(digit, 20)]).astype(np.uint8)
    text[(point[cell] >= 0) & (back == digits - start[cell])] = ord(".")
    text[(values[cell] < 0) & (back == lengths[cell] - 1)] = ord("-")
    return text, ends


def scatter(data: Bytes, starts: Places, ends: Places, places: Places, out: Bytes) -> None:
    """Copy cells to places in another buffer."""
    if compiled is not None:
        compiled.scatter(data, starts, ends, places, out)
        return
    lengths = ends - starts
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out[np.repeat(places, lengths) + within] = data[np.repeat(starts, lengths) + within]


def differ(  # noqa: PLR0917  two buffers with their cells
    data: Bytes, starts: Places, ends: Places, other: Bytes, other_starts: Places, other_ends: Places
) -> npt.NDArray[np.bool_]:
    """Return whether cells differ from those of another buffer (n,)."""
    out = np.empty(len(starts), np.bool_)
    if compiled is not None:
        compiled.differ(data, starts, ends, other, other_starts, other_ends, out)
        return out
    lengths = ends - starts
    out[:] = lengths != other_ends - other_starts
    same = np.flatnonzero(~out & (lengths > 0))
    lengths = lengths[same]
    firsts = np.cumsum(lengths) - lengths
    within = np.arange(int(lengths.sum())) - np.repeat(firsts, lengths)
    wrong = data[np.repeat(starts[same], lengths) + within] != other[np.repeat(other_starts[same], lengths) + within]
    if len(same):
        out[same] = np.logical_or.reduceat(wrong, firsts)
    return out
