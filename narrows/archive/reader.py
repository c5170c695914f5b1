"""Reading of archives: single records, ranges, or all records chunk by chunk."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import Chunk, chunk_bytes, pieces_within, read_chunk
from narrows.archive.contract import Codec
from narrows.archive.header import naming, read_header, read_index
from narrows.archive.index import Index
from narrows.archive.kinds import reader_of
from narrows.archive.layout_choice import layout_of
from narrows.archive.layouts import Layout
from narrows.archive.metadata import Metadata
from narrows.archive.models import find_codec
from narrows.archive.names import file_names, item_names, read_names
from narrows.archive.selection import Selection, select
from narrows.archive.with_labels import WithLabels
from narrows.errors import CorruptArchiveError
from narrows.numerics.pool import Pool, check_threads
from narrows.numerics.surroundings import usual_settings

__all__ = ["Archive", "open_archive"]


def open_archive(path: str | os.PathLike[str], *, model: Any = None, threads: int | None = None) -> Archive:
    """Open an archive for reading. Only its header and its index are read.

    Parameters
    ----------
    path : path-like
        An archive.
    model : Autoencoder, FrozenCodec or path to a model file, optional
        The model that the archive was written with. Not needed if the archive contains its model, or if the model file
        is in the archive's folder or one of those in the environment variable ``NARROWS_MODELS``, where it is found by
        its hash.
    threads : int, optional
        How many threads restore records, by default as many as CPUs that the process may use. The result does not
        depend on it.

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
    check_threads(threads)
    source = ByteFile(path)
    try:
        with naming(source.path):
            header = read_header(source)
            index = read_index(source, header)
            codec = find_codec(source, header.metadata, index.models, model, needed=index.needed)
            kind = reader_of(header.metadata) or Archive
            return kind(source, header.metadata, index, codec, threads=threads)
    except BaseException:
        source.close()
        raise


class Archive(WithLabels):
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
    threads : int, optional
        As for `open_archive`.

    Attributes
    ----------
    metadata : Metadata
        The metadata in its header.
    path : str
        Path of the file.
    items : AnyLayout
        The layout: how items consist of records.
    """

    def __init__(
        self, source: ByteFile, metadata: Metadata, index: Index, codec: Codec, *, threads: int | None = None
    ) -> None:
        self.metadata, self.path, self._threads = metadata, source.path, threads
        self._source, self._index, self._codec = source, index, codec
        self.items = layout_of(metadata)
        if index.n_records % self.items.n_records:
            raise CorruptArchiveError(
                f"it has {index.n_records:,} records, which is not a multiple of the {self.items.n_records} of an image"
            )
        self._chunk: tuple[int, Chunk] | None = None  # the last decoded chunk
        self._page: tuple[range, npt.NDArray[Any]] | None = None  # the group restored last for a single record

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The shape of all items: (n, *item shape)."""
        return (len(self), *self.items.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the items."""
        return np.dtype(np.float64) if "decimals" in self.metadata.more else self.metadata.dtype

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
            if isinstance(index, bool):
                raise TypeError
            position = operator.index(index)
        except TypeError:
            raise TypeError(
                "The index of an archive must be an integer or a slice; archive.read([1, 5]) returns a list of items. "
                f"Got {index!r:.80}."
            ) from None
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
        """Iterate over items in arrays of bounded size, at most a chunk each; over all items by default.

        A few arrays are restored in advance, by other threads.

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
        n = self.items.n_records
        if n == 1:
            yield from map(self._assembled, self._stream(chosen))
            return
        if isinstance(chosen, range) and chosen.step == 1:
            wanted: Sequence[int] = range(chosen.start * n, chosen.stop * n)
        else:
            wanted = [item * n + part for item in chosen for part in range(n)]
        held: list[npt.NDArray[Any]] = []
        for records in self._stream(wanted):
            held.append(records)
            n_held = sum(map(len, held))
            if n_held >= n:
                together = np.concatenate(held)
                whole = n_held - n_held % n
                held = [together[whole:]]
                yield self._assembled(together[:whole])

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
            if isinstance(records, range):
                more = len(range(records[done], held.stop if records.step > 0 else held.start - 1, records.step))
            else:
                rest = records[done : done + len(held)]
                more = next((i for i, record in enumerate(rest) if record not in held), len(rest))
            yield records[done : done + more]
            done += more

    def _stream(self, records: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
        """Yield records in their order: chunks are decoded in advance, then parts of them are restored."""
        last: list[tuple[int, Chunk]] = []

        def parts() -> Iterator[tuple[Chunk, Sequence[int]]]:
            for part, (number, chunk) in pool.map(self._loaded, self._by_chunk(records), chunk_bytes(self.metadata)):
                last[:] = [(number, chunk)]
                start = self._index.range_of(number).start
                yield from ((chunk, inside) for inside in pieces_within(part, start))

        with Pool(self._threads) as pool:
            yield from pool.map(self._restored, parts(), chunk_bytes(self.metadata))
        if last:
            self._chunk = last[0]

    def _loaded(self, part: Sequence[int]) -> tuple[Sequence[int], tuple[int, Chunk]]:
        """Return records of one chunk, and the decoded chunk with its number."""
        number, known = self._index.chunk_of(part[0]), self._chunk
        if known is None or known[0] != number:
            known = number, self._load(number)
        return part, known

    def _restored(self, part: tuple[Chunk, Sequence[int]]) -> npt.NDArray[Any]:
        with naming(self.path), usual_settings():
            return part[0].restore(part[1])

    @usual_settings()
    def _load(self, number: int) -> Chunk:
        """Decode a chunk."""
        held = self._index.range_of(number)
        with naming(self.path):
            payload = read_chunk(self._source, self.metadata, self._index, number)
            return Chunk(payload, len(held), self._codec, self.metadata, held.start)

    @usual_settings()
    def _records(self, records: range) -> npt.NDArray[Any]:
        """Return consecutive records of one chunk."""
        with naming(self.path):
            number = self._index.chunk_of(records[0])
            held = self._index.range_of(number)
            if self._chunk is None or self._chunk[0] != number:
                self._chunk = None  # frees its memory before the next is decoded
                self._chunk = (number, self._load(number))
            return self._chunk[1].restore(range(records.start - held.start, records.stop - held.start))

    def _item(self, item: int) -> npt.NDArray[Any]:
        """Return one item that consists of several records."""
        n = self.items.n_records
        parts = self._by_chunk(range(item * n, (item + 1) * n))
        records = [self._records(range(part[0], part[-1] + 1)) for part in parts]
        made: npt.NDArray[Any] = self._assembled(np.concatenate(records))[0]
        return made

    def _assembled(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the items that records make."""
        assert isinstance(self.items, Layout), "archives with another layout are read in a way of their own"
        return self.items.assemble(records)

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
