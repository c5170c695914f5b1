"""Reading of tables: rows, of which only the groups that hold them are decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import chunk_block
from narrows.archive.contract import Codec
from narrows.archive.header import naming
from narrows.archive.index import Index
from narrows.archive.layouts import TableLayout
from narrows.archive.metadata import Metadata
from narrows.archive.nameless import NamelessArchive
from narrows.archive.selection import Selection
from narrows.archive.table_chunks import read_rows, restore_rows
from narrows.archive.table_codec import TableCodec
from narrows.archive.table_model import TableModel
from narrows.data.tables.arrow_package import arrow_package
from narrows.data.tables.form import Group
from narrows.errors import InvalidParameterError, UnknownNameError
from narrows.numerics.pool import Pool
from narrows.numerics.surroundings import usual_settings

__all__ = ["TableArchive"]

_CELL_BYTES = 64  # of memory to decode a cell


class TableArchive(NamelessArchive):
    """An archive of a table. Its items are the rows, as dictionaries of values by the names of columns.

    ``archive[5]`` is one row, ``archive[100:200]`` are a hundred, `to_pandas` and `to_arrow` return some columns and
    rows as a table.
    """

    items: TableLayout

    def __init__(
        self, source: ByteFile, metadata: Metadata, index: Index, codec: Codec, *, threads: int | None = None
    ) -> None:
        super().__init__(source, metadata, index, codec, threads=threads)
        self.table: TableModel = cast("TableCodec", codec).table
        self._last: tuple[int, Group] | None = None  # the group that was decoded last

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.table.form.names

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(object)

    def __iter__(self) -> Iterator[Any]:
        for group in self.groups():
            yield from self._rows_of(group)

    def read(self, items: Selection = None) -> Any:
        """Return rows as a list of dictionaries; all rows by default."""
        return [row for group in self.groups(items) for row in self._rows_of(group)]

    def groups(self, items: Selection = None) -> Iterator[Group]:
        """Iterate over rows as groups, in their order; over all rows by default."""
        parts = list(self._by_chunk(self._within(items)))
        memory = self.metadata.chunk_records * len(self.columns) * _CELL_BYTES
        with naming(self.path), Pool(self._threads) as pool:
            for part, group in zip(parts, pool.map(self._group_of, parts, memory), strict=True):
                start = self._index.range_of(self._index.chunk_of(part[0])).start
                is_whole = isinstance(part, range) and len(part) == len(group) and part.step == 1
                yield group if is_whole else group.take(np.array(part, np.int64) - start)

    @property
    def starts(self) -> list[int]:
        """The first row of each group."""
        found: list[int] = [0, *self._index.stops[:-1].tolist()] if len(self._index.stops) else []
        return found

    def group(self, number: int) -> Group:
        """Return the rows of a group, by its number.

        Raises
        ------
        CorruptArchiveError
            If it is damaged.
        """
        with naming(self.path):
            return self._group_of(self._index.range_of(number))

    def to_arrow(self, columns: Sequence[str] | None = None, rows: Selection = None) -> Any:
        """Return columns and rows as a `pyarrow.Table`.

        Parameters
        ----------
        columns : sequence of str, optional
            The names of columns, in the order wanted; all by default.
        rows : slice, range, (start, stop) or list of int, optional
            As in `restore`; all by default.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        MissingPackageError
            If PyArrow is not installed.
        """
        if isinstance(columns, str):
            raise InvalidParameterError(f"The 'columns' must be a sequence of names. Got {columns!r}.")
        chosen = list(self.columns if columns is None else columns)
        for name in chosen:
            if name not in self.columns:
                raise UnknownNameError(f"column of {self.path}", name, self.columns)
        places = [self.columns.index(name) for name in chosen]
        arrow_package("Reading an archive as a table of Arrow")
        return self.table.form.arrow(self.groups(rows), places)

    def to_pandas(self, columns: Sequence[str] | None = None, rows: Selection = None) -> Any:
        """Return columns and rows as a data frame of pandas; parameters and errors are those of `to_arrow`."""
        return self.to_arrow(columns, rows).to_pandas()

    def close(self) -> None:
        super().close()
        self._last = None

    def _one(self, item: int) -> Any:
        return self.read([item])[0]

    def _rows_of(self, group: Group) -> list[dict[str, Any]]:
        found = [self.table.form.values(group, column) for column in range(len(self.columns))]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*found, strict=True)]

    def _group_of(self, part: Sequence[int]) -> Group:
        """Return the group that holds some rows."""
        number, last = self._index.chunk_of(part[0]), self._last
        if last is None or last[0] != number:
            last = self._last = (number, self._decoded(number))
        return last[1]

    @usual_settings()
    def _decoded(self, number: int) -> Group:
        offset, block, what = chunk_block(self._source, self._index, number)
        payload = read_rows(self._source, offset, block, self.metadata, what)
        return restore_rows(payload, block.n_records, self.table, what)
