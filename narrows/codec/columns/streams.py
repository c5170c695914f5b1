"""Columns as streams of whole numbers, and back.

::

    Numbers ─ mask, if one is missing; scaled numbers, in parts of 24 bits if they need more than 31
    Ids     ─ mask, if one is missing; numbers of entries
    Texts   ─ mask, if one is missing; numbers of words in the dictionary of the model

What the streams of a table do not tell of another is an *escape*: numbers that the scale does not give again, and what
is missing in a column without a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from narrows.codec.columns.contract import Column, Ids, Numbers, Texts

__all__ = ["ColumnKind", "Scale", "Stream", "StreamSchema", "kind_of", "streams_of"]

PART_BITS, MOST_PARTS = 24, 2
_MOST_RANGE = 1 << 31
_HOUR, _CLOCK, _DAY = 60, 100, 2400


class ColumnKind(IntEnum):
    """What a column is."""

    NUMBERS = 0
    IDS = 1
    TEXTS = 2


def kind_of(column: Column) -> ColumnKind:
    """Return the kind of a column."""
    kinds = {Numbers: ColumnKind.NUMBERS, Ids: ColumnKind.IDS, Texts: ColumnKind.TEXTS}
    return kinds[type(column)]


@dataclass(frozen=True)
class Scale:
    """How numbers are made smaller: ``(number - base) / step``, after clock times HHMM became minutes.

    Attributes
    ----------
    base, step : int
        What is subtracted, and the common factor of what remains.
    is_clock : bool
        Whether numbers are clock times, as 2359; base and step are then 0 and 1.
    """

    base: int = 0
    step: int = 1
    is_clock: bool = False

    @classmethod
    def of(cls, numbers: NDArray[np.int64]) -> Scale:
        """Return the scale of numbers."""
        if not len(numbers):
            return cls()
        low, high = int(numbers.min()), int(numbers.max())
        may_be_clock = low >= 0 and _DAY // 2 <= high <= _DAY and (numbers % _CLOCK < _HOUR).all()
        if may_be_clock and len(np.unique(numbers)) > _CLOCK:
            return cls(is_clock=True)
        if high - low >= 1 << 62:
            return cls()
        step = max(int(np.gcd.reduce(np.unique(numbers - low))), 1)
        return cls(low % step if abs(low) < high - low else low, step)

    def small(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the smaller numbers."""
        if self.is_clock:
            return numbers // _CLOCK * _HOUR + numbers % _CLOCK
        return (numbers - self.base) // self.step

    def whole(self, small: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers again, if `small` has lost nothing."""
        if self.is_clock:
            return small // _HOUR * _CLOCK + small % _HOUR
        return small * self.step + self.base


@dataclass(frozen=True)
class StreamSchema:
    """The streams of a column.

    Attributes
    ----------
    kind : ColumnKind
        What the column is.
    has_mask : bool
        Whether the first stream tells what is missing.
    scale : Scale
        Of numbers.
    n_low : int
        Number of streams of 24 bits that follow the stream of the highest bits.
    n_known : int
        Number of entries of a dictionary.
    """

    kind: ColumnKind
    has_mask: bool
    scale: Scale = Scale()
    n_low: int = 0
    n_known: int = 0

    @classmethod
    def of(cls, column: Column, n_words: int = 0) -> StreamSchema:
        """Return the schema of a column, whose texts have a dictionary of ``n_words``."""
        kind, has_mask = kind_of(column), column.missing is not None and bool(column.missing.any())
        if isinstance(column, Texts):
            return cls(kind, has_mask, n_known=n_words)
        if isinstance(column, Ids):
            return cls(kind, has_mask, n_known=column.n_known)
        present = column.values if column.missing is None else column.values[~column.missing]
        scale, n_low = Scale.of(present), 0
        if len(present):
            small = scale.small(present)
            low, high = int(small.min()), int(small.max())
            while (high >> PART_BITS * n_low) - (low >> PART_BITS * n_low) >= _MOST_RANGE:
                n_low += 1
        return cls(kind, has_mask, scale, n_low)

    @property
    def n_streams(self) -> int:
        """Number of streams."""
        return int(self.has_mask) + 1 + self.n_low

    def split(self, values: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the streams of numbers (n,) but for the mask."""
        if self.kind != ColumnKind.NUMBERS:
            return [values]
        small = self.scale.small(values)
        parts = [small >> PART_BITS * self.n_low]
        return parts + [small >> PART_BITS * k & (1 << PART_BITS) - 1 for k in range(self.n_low - 1, -1, -1)]

    def joined(self, parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return the numbers of `split`, as far as the scale gives them again."""
        small = parts[0]
        for part in parts[1:]:
            small = (small << PART_BITS) + part
        return self.scale.whole(small) if self.kind == ColumnKind.NUMBERS else small


@dataclass(frozen=True, eq=False)
class Stream:
    """A stream of a table, to learn from.

    Attributes
    ----------
    values : ndarray of shape (n,), int64
        The numbers.
    present : ndarray of shape (n,), bool, or None
        Where there is a number; None: everywhere.
    mask : int
        The stream that is 1 where a number is missing, or -1.
    is_number : bool
        Whether differences mean something.
    is_clock : bool
        Whether the numbers are minutes of a day.
    """

    values: NDArray[np.int64]
    present: NDArray[np.bool_] | None
    mask: int
    is_number: bool
    is_clock: bool

    def known(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the values (n,) that stand where there is a number; all of them if there is none."""
        return values if self.present is None or not self.present.any() else values[self.present]


def streams_of(
    schemas: Sequence[StreamSchema], values: Sequence[NDArray[np.int64]], missing: Sequence[NDArray[np.bool_] | None]
) -> list[Stream]:
    """Return the streams of columns of numbers."""
    streams: list[Stream] = []
    for schema, numbers, absent in zip(schemas, values, missing, strict=True):
        mask, present = -1, None
        if schema.has_mask:
            assert absent is not None
            mask, present = len(streams), ~absent
            streams.append(Stream(absent.astype(np.int64), None, -1, False, False))
        is_number = schema.kind == ColumnKind.NUMBERS
        for part in schema.split(numbers):
            is_first = len(streams) == mask + 1 or schema.n_low == 0
            streams.append(Stream(part, present, mask, is_number and is_first, schema.scale.is_clock))
    return streams
