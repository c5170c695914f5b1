"""Writing of archives, record by record. An interrupted writer leaves no new archive, and an old one unchanged."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from narrows.archive.blocks import BlockWriter
from narrows.archive.byte_file import ByteFile
from narrows.archive.chunk_encoding import CodedChunk, UncodedChunk, encode_records
from narrows.archive.chunks import chunk_bytes
from narrows.archive.contract import Codec
from narrows.archive.growing import growing, unpack_in_place
from narrows.archive.header import Header, naming, read_header, read_whole_index
from narrows.archive.labels import Label
from narrows.archive.layout import MAX_MODEL_BYTES, MAX_RECORDS, pack_header
from narrows.archive.layout_choice import layout_of
from narrows.archive.layouts import Layout
from narrows.archive.metadata import MODEL_FILE, Metadata
from narrows.archive.models import short
from narrows.archive.new_metadata import new_metadata
from narrows.archive.packing import pack_file
from narrows.archive.records import check_names
from narrows.archive.series import ArchivedSeries
from narrows.archive.texts import ArchivedTexts
from narrows.codec.entropy_models.escapes import MAX_SYMBOL
from narrows.codec.parts.needs import Needs
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_norms import Errors
from narrows.errors import ArchiveError, InvalidParameterError, ShapeMismatchError, WrongModelError
from narrows.io.files import as_path, check_output, naming_output, replacing
from narrows.io.remote import refuse_remote
from narrows.numerics.pool import Pool

__all__ = ["Writer"]


class Writer:
    """An archive that is being written.

    Records can be added in batches of any size: the writer divides them into chunks, and the same records give the same
    bytes. Threads encode complete chunks, of which a few are in memory; an error in one of them is raised by a later
    call. Use it in a ``with`` statement: after any exception, a new archive is not created, and an archive that was
    appended to gets its old size and content.

    Parameters
    ----------
    path : path-like
        The archive.
    codec : Codec
        The frozen model.
    quality : int
        Index of the codec's quality that the symbols have.
    metadata : mapping, optional
        Further entries of the header: ``container`` (a dict that describes the source), ``tiling`` (a dict or None),
        and any other JSON values. With `append`, the tiling must be the archive's.
    embed_model : bool
        Store the codec in the archive, so that no model file is needed to read it.
    append : bool
        Append to an existing archive of the same model and quality.
    force : bool
        Overwrite an existing file.
    chunk_records : int, optional
        The largest number of records of a chunk, by default `default_chunk_records`. The tiles of an image are stored
        in one chunk if they fit. Not used with `append`.
    group_records : int, optional
        The number of records for each checksum: 16, 32, 64, 128 or 256, and also 1, 2, 4 or 8 if a causal network codes
        them; by default `default_group_records` or `coded_group_records`. Not used with `append`.
    fill_value : float, optional
        A value that is kept exactly within the bound.
    parts_of : ArchivedSeries or ArchivedTexts, optional
        The series that the records are windows of, or the texts that they are pieces of; their columns are stored.
    copies_header : bool
        Store a copy of the header in the index of a new archive, by which it can be read if the header is damaged.
    threads : int, optional
        How many threads encode chunks, by default as many as CPUs that the process may use. The file does not depend on
        it.

    Attributes
    ----------
    metadata : Metadata
        The metadata in the header.
    n_records, n_added : int
        Number of records in the archive so far, and of those added by this writer.
    n_bytes : int
        Size of the file, set when it is closed.
    errors : Errors
        Errors of restored values, if the archive has a bound.
    needed : Needs
        The parts of the model that the archive's chunks need so far, if it is in parts.
    kept : list of (Kind, bool)
        If the archive has a bound: for each chunk written, the kind of its residual, and whether it has symbols.
    pool : Pool
        The threads.

    Raises
    ------
    OutputExistsError, DataNotFoundError, OutputError, InvalidParameterError
        If the output cannot be written; see `narrows.io.files.write_atomically`.
    WrongModelError, ArchiveError, CorruptArchiveError
        If the archive cannot be appended to.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        codec: Codec,
        quality: int,
        metadata: Mapping[str, Any] | None = None,
        *,
        embed_model: bool = False,
        append: bool = False,
        force: bool = False,
        chunk_records: int | None = None,
        group_records: int | None = None,
        fill_value: float | None = None,
        parts_of: ArchivedSeries | ArchivedTexts | None = None,
        copies_header: bool = True,
        threads: int | None = None,
    ) -> None:
        if codec.texts is None and not 0 <= quality < len(codec.qualities):
            raise InvalidParameterError(f"The 'quality' must be from 0 to {len(codec.qualities) - 1}. Got {quality!r}.")
        self.path, self._codec, self._quality, self._fill_value = os.fspath(path), codec, quality, fill_value
        self.n_records = self.n_added = self.n_bytes = 0
        self.errors = Errors()
        self.kept: list[tuple[Kind, bool]] = []
        self._pending: deque[Future[CodedChunk]] = deque()  # chunks that are being encoded
        self.needed = self._stored = Needs.NOTHING
        self._embeds = embed_model
        self._new: BinaryIO | None = None
        self._stack = ExitStack()
        with self._stack:
            self.pool = self._stack.enter_context(Pool(threads))
            if append:
                self.metadata, self._blocks, self.n_records = self._open_old(embed_model, metadata or {})
            else:
                self.metadata = new_metadata(codec, quality, chunk_records, group_records, metadata or {})
                self._blocks = self._open_new(embed_model, force, copies_header)
                for column in () if parts_of is None else parts_of.blocks():
                    self._blocks.column(*column)
            self._stack = self._stack.pop_all()
        self._is_open = True
        self._most_pending = self.pool.in_flight(chunk_bytes(self.metadata))
        self._held = UncodedChunk()

    # --------------------------------------------------------------------------------------------------------- adding

    def add(
        self,
        symbols: npt.NDArray[np.int32],
        restored: npt.NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        records: npt.NDArray[Any] | None = None,
        labels: Sequence[Label] | None = None,
    ) -> None:
        """Add records.

        Parameters
        ----------
        symbols : ndarray of shape (n, D), of integers
            Their symbols, within ±32,767.
        restored : ndarray of shape (n, *shape), in the codec's dtype
            The result of `Codec.decode` for the symbols. Only its checksums are stored.
        records : ndarray of the same shape and dtype, optional
            The original records. Required if the archive has a `max_error`.
        names : sequence of str, optional
            Relative file names of the records, with ``/`` between folders; empty for a record without a name.
        labels : sequence of int, str or None
            Their labels; required if the metadata have the entry ``labels``, and refused otherwise.

        Raises
        ------
        ShapeMismatchError
            If the arrays do not match the codec or one another.
        InvalidParameterError
            If a symbol is out of range, or a name is not valid.
        """
        self._check(symbols, restored, names)
        if self.metadata.max_error is not None and (records is None or records.shape != restored.shape):
            raise ShapeMismatchError(
                "An archive with a 'max_error' needs the original 'records', of the same shape as the restored ones, "
                f"{restored.shape}. Got {None if records is None else records.shape}."
            )
        if (labels is not None) != self.metadata.has_labels or (labels is not None and len(labels) != len(symbols)):
            raise ShapeMismatchError(
                f"There must be {'one label' if self.metadata.has_labels else 'no label'} for each of the "
                f"{len(symbols):,} records. Got {'none' if labels is None else f'{len(labels):,}'}."
            )
        if names is not None:
            check_names(names)
        done = 0
        while done < len(symbols):
            more = min(len(symbols) - done, self.metadata.chunk_records - len(self._held))
            part, held = slice(done, done + more), self._held
            if self.metadata.max_error is None or records is None:
                held.add_checksums(restored[part], self.metadata.group_records)
            else:
                held.records.append((np.array(records[part]), np.array(restored[part])))
            held.symbols.append(np.array(symbols[part], np.int32))
            held.names.extend([""] * more if names is None else names[part])
            held.labels.extend([] if labels is None else labels[part])
            done += more
            if len(held) == self.metadata.chunk_records:
                self._finish_chunk()
        self.n_added += len(symbols)

    def flush(self) -> None:
        """Write all records that were added, so that `errors` and `kept` are complete; ends the last chunk."""
        if len(self._held):
            self._finish_chunk()
        self._write_chunks(0)

    def close(self) -> None:
        """Write the last chunk, the index and the trailer, and move the archive to its path."""
        if not self._is_open:
            return
        self._is_open = False
        with self._stack:
            self.flush()
            self._blocks.finish(self.n_records)
            new, n_bytes = self._new, self._blocks.offset
            self.n_bytes = n_bytes if new is None or self.metadata.text_group is None else pack_file(new, n_bytes)

    def abort(self) -> None:
        """Undo all changes to the file; has no effect on a closed writer."""
        if self._is_open:
            self._is_open = False
            aborted = _Aborted()
            self._stack.__exit__(_Aborted, aborted, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _check(self, symbols: npt.NDArray[Any], restored: npt.NDArray[Any], names: Sequence[str] | None) -> None:
        if not self._is_open:
            raise InvalidParameterError(
                f"The archive {self.path} is closed. Open it again with append=True to add records."
            )
        n = len(symbols)
        if symbols.shape != (n, self._codec.n_symbols) or symbols.dtype.kind not in "iu":
            raise ShapeMismatchError(
                f"The symbols must be integers of shape (n, {self._codec.n_symbols}). "
                f"Got {symbols.shape} {symbols.dtype}."
            )
        if symbols.size and not -MAX_SYMBOL <= int(symbols.min()) <= int(symbols.max()) <= MAX_SYMBOL:
            raise InvalidParameterError(
                f"The symbols must be within ±{MAX_SYMBOL:,}. Got {symbols.min():,} to {symbols.max():,}."
            )
        if restored.shape != (n, *self._codec.shape) or restored.dtype != self._codec.dtype:
            raise ShapeMismatchError(
                f"The restored records of {n:,} must be {(n, *self._codec.shape)} {self._codec.dtype}. "
                f"Got {restored.shape} {restored.dtype}."
            )
        if names is not None and len(names) != n:
            raise ShapeMismatchError(f"There must be one name for each of the {n:,} records. Got {len(names):,} names.")
        if self.n_records + len(self._held) + n > MAX_RECORDS:
            raise ArchiveError(
                f"An archive may have {MAX_RECORDS:,} records. Got {self.n_records + len(self._held) + n:,}. "
                "Write several archives."
            )

    def _finish_chunk(self) -> None:
        """Start to encode the records held, and write chunks that are done."""
        held, self._held = self._held, UncodedChunk()
        encode = partial(encode_records, quality=self._quality, fill_value=self._fill_value)
        self._pending.append(self.pool.submit(encode, held, self.n_records, self._codec, self.metadata))
        self.n_records += len(held)
        self._write_chunks(self._most_pending - 1 if self.pool.threads > 1 else 0)

    def _write_chunks(self, n_left: int) -> None:
        """Write chunks in their order until at most this number is being encoded."""
        while len(self._pending) > n_left:
            coded = self._pending[0].result()  # stays first if it fails, so that no later chunk is written
            needs = coded.needs if isinstance(self._codec, PartedCodec) else Needs.NOTHING
            with naming_output(self.path):
                self._add_parts(self.needed | needs)
                if coded.labels is not None:
                    self._blocks.labels(coded.labels, coded.first, coded.n_records)
                self._blocks.records(coded.payload, coded.first, coded.n_records, coded.coding, needs)
            self._pending.popleft()
            if coded.encoding is not None:
                self.errors += coded.errors
                self.kept.append(coded.encoding)

    # -------------------------------------------------------------------------------------------------------- opening

    def _open_new(self, embed_model: bool, force: bool, copies_header: bool) -> BlockWriter:
        path = as_path(self.path)
        check_output(path, force=force)
        header = pack_header(self.metadata.to_json())
        self._stack.enter_context(naming_output(self.path))
        file = self._stack.enter_context(replacing(Path(os.path.realpath(path)), force=force))
        file.write(header)
        self._new = file
        blocks = BlockWriter(file, header if copies_header else b"", len(header))
        if embed_model and not isinstance(self._codec, PartedCodec):
            if len(self._codec.blob) > MAX_MODEL_BYTES:
                raise _too_large(self._codec.blob)
            blocks.model(self._codec.blob)
        return blocks

    def _add_parts(self, needs: Needs) -> None:
        """Write the parts of the model that a chunk needs and the archive lacks, if it is to contain its model."""
        self.needed |= needs
        codec, lacking = self._codec, needs & ~self._stored
        if not self._embeds or not lacking or not isinstance(codec, PartedCodec):
            return
        blob = codec.pack(lacking)
        if len(blob) > MAX_MODEL_BYTES:
            raise _too_large(blob)
        self._blocks.model(blob, lacking)
        self._stored |= lacking

    def _open_old(self, embed_model: bool, more: Mapping[str, Any]) -> tuple[Metadata, BlockWriter, int]:
        refuse_remote(self.path, "Records are appended to an archive in its place")
        path = as_path(self.path)
        self._stack.enter_context(naming_output(self.path))
        unpack_in_place(path)
        grown = self._stack.enter_context(growing(path, self.path))
        with ByteFile(path) as source, naming(self.path):
            header = read_header(source)
            index = read_whole_index(source, header)
            end = source.size  # without the rest of an interrupted append
        self._check_same(header, more, embed_model, bool(index.models) or header.metadata.parts is not None)
        self.needed, self._stored = index.needed, index.held
        self._embeds |= bool(index.models) and not index.needed & ~index.held
        grown.begin_at(end)
        blocks = BlockWriter(grown.file, header.data, end, index.entries.tolist(), index.parts.tolist())
        blocks.begin_append()
        return header.metadata, blocks, index.n_records

    def _check_same(self, header: Header, more: Mapping[str, Any], embed_model: bool, has_model: bool) -> None:
        """Check that the appended records have the archive's model, quality, error bound and layout."""
        metadata, codec = header.metadata, self._codec
        if metadata.model != codec.digest:
            raise WrongModelError(
                f"{self.path} was written with the model {metadata.model_file}. Got records of the model "
                f"{more.get(MODEL_FILE, short(codec.digest))}. Append with the archive's model, or write a new archive."
            )
        if metadata.quality != self._quality and metadata.parts is None:
            raise ArchiveError(
                f"{self.path} has quality {metadata.quality}. Got records in quality {self._quality}. "
                "Append in the archive's quality, or write a new archive."
            )
        if metadata.max_error != more.get("max_error"):
            raise ArchiveError(
                f"{self.path} has the 'max_error' {metadata.max_error!r}. Got {more.get('max_error')!r}. "
                "Append with the archive's bound, or write a new archive."
            )
        described = {entry: json.loads(json.dumps(more.get(entry))) for entry in Layout.registry}
        if described != {entry: metadata.entry(entry) for entry in described}:
            tiling = described.pop("tiling")
            appended = layout_of(replace(metadata, tiling=tiling, more={**metadata.more, **described}))
            raise ArchiveError(
                f"{self.path} contains {layout_of(metadata)}. Got {appended}. "
                "Append records of the same layout, or write a new archive."
            )
        if embed_model and not has_model:
            raise ArchiveError(
                f"{self.path} does not contain its model, and appending cannot add it. "
                "Omit 'embed_model', or write a new archive."
            )


def _too_large(blob: bytes) -> ArchiveError:
    return ArchiveError(
        f"A model in an archive may take {MAX_MODEL_BYTES:,} bytes. Got {len(blob):,}. "
        "Omit 'embed_model' (--embed-model)."
    )


class _Aborted(Exception):  # noqa: N818
    """Raised in the open contexts, so that they undo their changes; never leaves the writer."""
