"""Reading of fields: slices along the first axis, of which only the blocks that hold them are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import chunk_bytes
from narrows.archive.contract import Codec
from narrows.archive.field_chunks import load_block
from narrows.archive.header import naming
from narrows.archive.index import Index
from narrows.archive.layouts import Field
from narrows.archive.metadata import Metadata
from narrows.archive.nameless import NamelessArchive
from narrows.archive.selection import Selection
from narrows.errors import CorruptArchiveError
from narrows.numerics.pool import Pool
from narrows.numerics.surroundings import usual_settings

__all__ = ["FieldArchive"]


class FieldArchive(NamelessArchive):
    """An archive of one array without a model. Its items are the slices along the first axis.

    ``archive.read()`` is the array, ``archive[5]`` and ``archive[100:200]`` are slices of it, and ``archive.part``
    reads a part along all axes.
    """

    items: Field

    def __init__(
        self, source: ByteFile, metadata: Metadata, index: Index, codec: Codec, *, threads: int | None = None
    ) -> None:
        super().__init__(source, metadata, index, codec, threads=threads)
        if index.n_records != self.items.n_blocks:
            raise CorruptArchiveError(
                f"it has {index.n_records:,} blocks, but its field consists of {self.items.n_blocks:,}"
            )
        self._row: tuple[int, npt.NDArray[Any]] | None = None  # the last blocks that were restored for slices

    def __len__(self) -> int:
        return self.items.whole[0]

    @usual_settings()
    def part(self, *ranges: slice) -> npt.NDArray[Any]:
        """Return a part of the array; only the blocks that hold it are read.

        Parameters
        ----------
        *ranges : slice
            For each axis, from the first: ``archive.part(slice(0, 10), slice(50, 60))``. Axes that are not given are
            read as a whole; steps must be 1.

        Returns
        -------
        ndarray

        Raises
        ------
        IndexError
            If there are more slices than axes, or a step is not 1.
        CorruptArchiveError
            If a block that holds values of the part is damaged.
        """
        values = self._part(*ranges)
        if self.series is None:
            return values
        every = [*ranges, *(slice(None),) * (len(self.items.whole) - len(ranges))]
        return self.series.finish(values, every[0], every[1] if len(every) > 1 else None)

    def _part(self, *ranges: slice) -> npt.NDArray[Any]:
        """Return a part of the array as it is stored."""
        field = self.items
        if len(ranges) > len(field.whole) or any(one.step not in (None, 1) for one in ranges):
            raise IndexError(f"A part needs at most {len(field.whole)} slices with steps of 1. Got {ranges!r:.80}.")
        every = (*ranges, *(slice(None),) * (len(field.whole) - len(ranges)))
        wanted = [range(*one.indices(length)) for one, length in zip(every, field.whole, strict=True)]
        result = np.empty(tuple(map(len, wanted)), self.metadata.dtype)
        if not result.size:
            return result
        touched = [
            range(one.start // side, (one.stop - 1) // side + 1) for one, side in zip(wanted, field.block, strict=True)
        ]
        numbers = [
            int(np.ravel_multi_index([one[i] for one, i in zip(touched, at, strict=True)], field.grid))
            for at in np.ndindex(*map(len, touched))
        ]
        load = partial(load_block, self._source, self.metadata, field, self._index)
        with naming(self.path), Pool(self._threads) as pool:
            for number, values in zip(numbers, pool.map(load, numbers, chunk_bytes(self.metadata)), strict=True):
                place = field.place(number)
                both = [
                    (max(one.start, part.start), min(one.stop, part.stop))
                    for one, part in zip(wanted, place, strict=True)
                ]
                result[_relative(both, wanted)] = values[_relative(both, place)]
        return result

    def pieces(self, items: Selection = None) -> Iterator[npt.NDArray[Any]]:
        chosen = self._within(items)
        side = self.items.block[0]
        done = 0
        while done < len(chosen):
            row = chosen[done] // side
            more = done + 1
            while more < len(chosen) and chosen[more] // side == row:
                more += 1
            values, first, n = self._rows(row), chosen[done] - row * side, more - done
            is_run = isinstance(chosen, range) and chosen.step == 1  # a view, since a row may be large
            yield values[first : first + n] if is_run else values[[item - row * side for item in chosen[done:more]]]
            done = more

    def close(self) -> None:
        super().close()
        self._row = None

    def _rows(self, row: int) -> npt.NDArray[Any]:
        """Return all slices of a row of blocks, which are kept until those of another row are needed."""
        if self._row is None or self._row[0] != row:
            self._row = None  # frees its memory before the next is decoded
            start = row * self.items.block[0]
            self._row = (row, self.part(slice(start, start + self.items.block[0])))
        return self._row[1]

    def _one(self, item: int) -> Any:
        row, at = divmod(item, self.items.block[0])
        found = self._rows(row)[at]
        return found.copy() if isinstance(found, np.ndarray) else found


def _relative(ranges: list[tuple[int, int]], to: Sequence[range | slice]) -> tuple[slice, ...]:
    """Return ranges of indices relative to the starts of others."""
    return tuple(slice(low - one.start, high - one.start) for (low, high), one in zip(ranges, to, strict=True))
