"""Reading of archives: single records, ranges, or all records chunk by chunk."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self, overload

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import Chunk, read_chunk
from narrows.archive.contract import Codec
from narrows.archive.header import naming, read_header, read_index
from narrows.archive.index import Index
from narrows.archive.layout_choice import layout_of
from narrows.archive.metadata import Metadata
from narrows.archive.models import find_codec
from narrows.archive.names import file_names, item_names, read_names
from narrows.archive.selection import Selection, select
from narrows.errors import CorruptArchiveError
from narrows.numerics.surroundings import usual_settings

__all__ = ["Archive", "open_archive"]


def open_archive(path: str | os.PathLike[str], *, model: Any = None) -> Archive:
    """Open an archive for reading. Only its header and its index are read.

    Parameters
    ----------
    path : path-like
        An archive.
    model : Autoencoder, FrozenCodec or path to a model file, optional
        The model that the archive was written with. Not needed if the archive contains its model, or if the model file
        is in the archive's folder or one of those in the environment variable ``NARROWS_MODELS``, where it is found by
        its hash.

    Returns
    -------
    Archive
        The open archive. Close it, or use it in a ``with`` statement.

    Raises
    ------
    DataNotFoundError
        If the file does not exist.
    ArchiveError
        If the file is not an archive, has a newer format, or needs a model and none is given.
    CorruptArchiveError
        If it is damaged or truncated, so that its index can be neither read nor rebuilt.
    WrongModelError
        If it was written with another model.

    Examples
    --------
    ::

        with narrows.open_archive("digits.narrows", model="digits.safetensors") as archive:
            first = archive[0]
            some = archive[100:200]
            for records in archive.pieces():  # chunk by chunk
                ...
    """
    source = ByteFile(path)
    try:
        with naming(source.path):
            header = read_header(source)
            index = read_index(source, header)
            codec = find_codec(source, header.metadata, index.model, model)
            kind = Archive if header.metadata.field is None else Archive.kinds["field"]
            return kind(source, header.metadata, index, codec)
    except BaseException:
        source.close()
        raise


class Archive:
    """The items of an archive as a sequence, restored when they are accessed. Returned by `open_archive`.

    An item is a record, or an image if the records are tiles. The archive has a length, ``archive[5]`` is one item,
    ``archive[100:200]`` is an array of items, and ``for x in archive`` iterates over all items. Items are returned only
    after their checksums have been verified. If a chunk is damaged, the others can still be read. The last decoded
    chunk is cached, so each thread needs an `Archive` of its own.

    Parameters
    ----------
    source : ByteFile
        The file, which `close` closes.
    metadata : Metadata
        The metadata in its header.
    index : Index
        Offsets and record numbers of its chunks.
    codec : Codec
        The codec that it was written with.

    Attributes
    ----------
    metadata : Metadata
        The metadata in its header.
    path : str
        Path of the file.
    items : Layout
        The layout: how items consist of records.
    kinds : dict of str to type
        Archives that are read in another way, by the entry of their metadata.
    """

    kinds: ClassVar[dict[str, type[Archive]]] = {}

    def __init_subclass__(cls, *, entry: str) -> None:
        super().__init_subclass__()
        Archive.kinds[entry] = cls

    def __init__(self, source: ByteFile, metadata: Metadata, index: Index, codec: Codec) -> None:
        self.metadata, self.path = metadata, source.path
        self._source, self._index, self._codec = source, index, codec
        self.items = layout_of(metadata)
        if index.n_records % self.items.n_records:
            raise CorruptArchiveError(
                f"it has {index.n_records:,} records, which is not a multiple of the {self.items.n_records} of an image"
            )
        self._chunk: tuple[int, Chunk] | None = None  # the last decoded chunk
        self._page: tuple[range, npt.NDArray[Any]] | None = None  # the group restored last for a single record

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all items: (n, *item shape)."""
        return (len(self), *self.items.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the items."""
        return self.metadata.dtype

    def __len__(self) -> int:
        return self._index.n_records // self.items.n_records

    def __repr__(self) -> str:
        return f"<Archive {self.path!r}: {self.shape} {self.dtype}>"

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> npt.NDArray[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        """Return one item, or the items of a slice as an array; only the chunks that contain them are read.

        Raises
        ------
        IndexError
            If the item does not exist.
        CorruptArchiveError
            If a chunk that contains one of the items is damaged.
        """
        if isinstance(index, slice):
            return self.read(index)
        try:
            position = operator.index(index)
        except TypeError:
            raise TypeError(f"The index of an archive must be an integer or a slice. Got {index!r:.80}.") from None
        if not -len(self) <= position < len(self):
            raise IndexError(f"{self.path} has {len(self):,} items. Got the index {position:,}.")
        return self._one(position % len(self))

    def __iter__(self) -> Iterator[Any]:
        for piece in self.pieces():
            yield from piece

    def read(self, items: Selection = None) -> npt.NDArray[Any]:
        """Return items as one array; all items by default.

        Parameters
        ----------
        items : slice, range, (start, stop) or list of int, optional
            The items, as in `restore`.

        Returns
        -------
        ndarray of shape (n, *item shape)

        Raises
        ------
        IndexError
            If an item does not exist.
        CorruptArchiveError
            If a chunk that contains one of the items is damaged.
        """
        chosen = self._within(items)
        result = np.empty((len(chosen), *self.items.shape), self.dtype)
        done = 0
        for piece in self.pieces(chosen):
            result[done : done + len(piece)] = piece
            done += len(piece)
        return result

    def pieces(self, items: Selection = None) -> Iterator[npt.NDArray[Any]]:
        """Iterate over items in arrays of bounded size, about a chunk each; over all items by default.

        Parameters
        ----------
        items : slice, range, (start, stop) or list of int, optional
            The items, as in `restore`.

        Yields
        ------
        ndarray of shape (m, *item shape)

        Raises
        ------
        IndexError, CorruptArchiveError
            As `read`.
        """
        chosen = self._within(items)
        per_item = self.items.n_records
        if per_item == 1:
            for records in self._by_chunk(chosen):
                yield self.items.assemble(self._records(records))
            return
        step = max(1, self.metadata.chunk_records // per_item)
        for start in range(0, len(chosen), step):
            yield np.concatenate([self._item(item)[None] for item in chosen[start : start + step]])

    def names(self, items: Selection = None) -> list[str]:
        """Return the stored file names of items, of all items by default; an empty name if an item has none.

        Only the names are read and no records are decoded. Names may be repeated; `file_names` are those of a restored
        folder.

        Raises
        ------
        IndexError, CorruptArchiveError
            As `read`.
        """
        chosen = self._within(items)
        firsts = [item * self.items.n_records for item in chosen]
        names: list[str] = []
        with naming(self.path):
            for records in self._by_chunk(firsts):
                chunk = self._index.chunk_of(records[0])
                held = self._index.range_of(chunk)
                all_names = read_names(self._source, self.metadata, self._index, chunk)
                names.extend(all_names[record - held.start] for record in records)
        return names

    def file_names(self, items: Selection = None) -> list[str]:
        """Return the names of the files that `restore` writes for items into a folder.

        They are the same whichever items are restored: the name with the ending .png, or the number of an item without
        a name. The second of two equal names gets a number.

        Raises
        ------
        IndexError
            If an item does not exist.

        Warns
        -----
        DataWarning
            If names are changed so that all are different.
        """
        return file_names(item_names(self._source, self.metadata, self._index), self._within(items))

    def close(self) -> None:
        """Close the file."""
        self._source.close()
        self._chunk = self._page = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------------ records

    def _within(self, items: Selection) -> range | list[int]:
        """Return the indices of the selected items; raises IndexError if an item does not exist."""
        try:
            return select(items, len(self))
        except IndexError as error:
            raise IndexError(f"{self.path} has {len(self):,} items. {error}") from None

    def _by_chunk(self, records: Sequence[int]) -> Iterator[Sequence[int]]:
        """Split records, in their order, so that each part is in one chunk and no larger than a chunk."""
        done = 0
        while done < len(records):
            held = self._index.range_of(self._index.chunk_of(records[done]))
            if not isinstance(records, range):
                rest = records[done : done + len(held)]
                more = next((i for i, record in enumerate(rest) if record not in held), len(rest))
            elif records.step > 0:
                more = len(range(records[done], held.stop, records.step))
            else:
                more = len(range(records[done], held.start - 1, records.step))
            yield records[done : done + more]
            done += more

    @usual_settings()
    def _records(self, records: Sequence[int]) -> npt.NDArray[Any]:
        """Return records of one chunk."""
        with naming(self.path):
            number = self._index.chunk_of(records[0])
            held = self._index.range_of(number)
            if self._chunk is None or self._chunk[0] != number:
                self._chunk = None  # frees its memory before the next is decoded
                payload = read_chunk(self._source, self.metadata, self._index, number)
                chunk = Chunk(payload, len(held), self._codec, self.metadata, held.start)
                self._chunk = (number, chunk)
            if not isinstance(records, range):
                return self._chunk[1].restore([record - held.start for record in records])
            first = records.start - held.start
            # From the length, since the stop of a range with a negative step may be below zero.
            inside = range(first, first + len(records) * records.step, records.step)
            return self._chunk[1].restore(inside)

    def _item(self, item: int) -> npt.NDArray[Any]:
        """Return one item that consists of several records."""
        n = self.items.n_records
        records = [self._records(part) for part in self._by_chunk(range(item * n, (item + 1) * n))]
        made: npt.NDArray[Any] = self.items.assemble(np.concatenate(records))[0]
        return made

    def _one(self, item: int) -> Any:
        """Return one item, and cache its whole group, since groups are always restored together."""
        if self.items.n_records > 1:
            return self._item(item)
        if self._page is None or item not in self._page[0]:
            held, group = self._index.range_of(self._index.chunk_of(item)), self.metadata.group_records
            start = item - (item - held.start) % group
            page = range(start, min(start + group, held.stop))
            self._page = (page, self._records(page))
        page, records = self._page
        return records[item - page.start].copy()
