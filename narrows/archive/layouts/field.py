"""Fields: one array, cut into blocks that are coded without a model. Every block is a record of the archive.

The items of such an archive are the slices along the first axis of the array, as for all arrays of records.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from narrows.archive.layout import MAX_RECORDS
from narrows.archive.layouts.contract import AnyLayout
from narrows.errors import CorruptArchiveError

__all__ = ["MOST_BLOCK_VALUES", "Field"]

MOST_BLOCK_VALUES = 1 << 24
"""The largest number of values of a block."""

_USUAL_BLOCK_VALUES = 1 << 20
_MOST_ROW_BYTES = 256 << 20  # of the blocks that have the same slices of the array: a reader holds them together
_MOST_AXES = 31
_MOST_VALUES = 1 << 50

Shape = tuple[int, ...]


class Field(AnyLayout):
    """An array that is cut into blocks, numbered in C order.

    Parameters
    ----------
    whole : tuple of int
        The shape of the array.
    block : tuple of int
        The shape of a block; those at the ends of axes are smaller.
    are_records : bool
        Whether the first axis numbers records, which are not predicted from each other.
    """

    entry = "field"

    def __init__(self, whole: Shape, block: Shape, *, are_records: bool = False) -> None:
        self.whole, self.block, self.are_records = whole, block, are_records
        self.grid = tuple(-(-length // side) for length, side in zip(whole, block, strict=True))

    @classmethod
    def of(cls, whole: Shape, value_bytes: int, *, are_records: bool = False) -> Self:
        """Return the layout for a new archive: blocks of at most about 2^20 values, with sides as equal as possible.

        Examples
        --------
        >>> Field.of((1000, 1000, 1000), 4).block, Field.of((5, 2000, 3000), 4).block
        ((67, 125, 125), (5, 500, 375))
        """
        block = list(whole)
        block[0] = max(1, min(whole[0], _MOST_ROW_BYTES // (math.prod(whole[1:]) * value_bytes)))
        while math.prod(block) > _USUAL_BLOCK_VALUES:
            axes = range(len(block))
            if are_records and math.prod(block[1:]) <= _USUAL_BLOCK_VALUES:
                axes = range(1)
            longest = max(axes, key=lambda axis: block[axis])
            block[longest] = -(-block[longest] // 2)
        # Blocks as equal as possible, instead of a last one that is much smaller.
        block = [-(-length // -(-length // side)) for length, side in zip(whole, block, strict=True)]
        return cls(whole, tuple(block), are_records=are_records)

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        """The shape of an item, a slice along the first axis."""
        return self.whole[1:]

    @property
    def n_blocks(self) -> int:
        """The number of blocks."""
        return math.prod(self.grid)

    @property
    def n_records(self) -> int:
        """The number of blocks that have the same slices."""
        return math.prod(self.grid[1:])

    def n_items(self, n_records: int) -> int:
        return min(self.whole[0], n_records // self.n_records * self.block[0])

    def place(self, number: int) -> tuple[slice, ...]:
        """Return the part of the array that a block holds."""
        at = np.unravel_index(number, self.grid)
        return tuple(
            slice(int(i) * side, min((int(i) + 1) * side, length))
            for i, side, length in zip(at, self.block, self.whole, strict=True)
        )

    def block_shape(self, number: int) -> Shape:
        """Return the shape of a block."""
        return tuple(part.stop - part.start for part in self.place(number))

    def coded_shape(self, number: int) -> Shape:
        """Return the shape of a block as it is coded: records, and the axes of a record."""
        shape = self.block_shape(number)
        return shape if self.are_records and len(shape) > 1 else (1, *shape)

    def with_rows(self, rows: list[int]) -> Self:
        """Return the layout of an array that has only some rows of blocks along the first axis."""
        lengths = [min(self.block[0], self.whole[0] - row * self.block[0]) for row in rows]
        whole = (sum(lengths), *self.whole[1:])
        block = (min(self.block[0], whole[0]), *self.block[1:])
        return type(self)(whole, block, are_records=self.are_records)

    def __str__(self) -> str:
        return f"a field of {'×'.join(map(str, self.whole))}, in blocks of {'×'.join(map(str, self.block))}"

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"shape": list(self.whole)}
        if self.block != self.whole:
            found["block"] = list(self.block)
        return found | ({"records": True} if self.are_records else {})

    @classmethod
    def from_json(cls, values: dict[str, Any], record_shape: Shape = ()) -> Self:
        whole: Any = values.get("shape")
        block, are_records = values.get("block", whole), values.get("records", False)
        if not (_are_lengths(whole) and _are_lengths(block) and isinstance(are_records, bool)):
            raise CorruptArchiveError(f"the 'field' in its metadata is not valid: {values!r:.120}")
        if len(whole) != len(block) or any(side > length for side, length in zip(block, whole, strict=True)):
            raise CorruptArchiveError(f"the blocks in its metadata, {block!r:.80}, do not fit a field of {whole!r:.80}")
        made = cls(tuple(whole), tuple(block), are_records=are_records)
        if math.prod(block) > MOST_BLOCK_VALUES or made.n_blocks > MAX_RECORDS or math.prod(whole) > _MOST_VALUES:
            raise CorruptArchiveError(
                f"its metadata declare {made.n_blocks:,} blocks of {math.prod(block):,} values. "
                f"Allowed: {MAX_RECORDS:,} blocks of {MOST_BLOCK_VALUES:,} values"
            )
        return made


def _are_lengths(given: Any) -> bool:
    return (
        isinstance(given, list)
        and 1 <= len(given) <= _MOST_AXES
        and all(type(length) is int and 1 <= length <= _MOST_VALUES for length in given)
    )
