"""Storing the model in an archive that was written without it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from narrows.archive.blocks import BlockWriter
from narrows.archive.byte_file import ByteFile
from narrows.archive.chunks import chunk_block
from narrows.archive.growing import growing
from narrows.archive.header import Header, naming, read_header, read_payload, read_whole_index
from narrows.archive.index import Index
from narrows.archive.labels import labels_before
from narrows.archive.layout import MAX_MODEL_BYTES, BlockType, pack_header
from narrows.archive.metadata import MODEL_FILE
from narrows.archive.models import find_codec, held_by, needed_by, read_model, short
from narrows.codec.frozen import FrozenCodec
from narrows.codec.parts.needs import Needs
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.errors import ArchiveError, InvalidParameterError
from narrows.io.files import as_path, check_output, naming_output, replacing

__all__ = ["embed"]


def embed(
    path: str | os.PathLike[str], model: Any = None, out: str | os.PathLike[str] | None = None, *, force: bool = False
) -> Path:
    """Store the model in an archive, so that reading it needs no other file.

    Only the part of the model that the archive uses is stored. The chunks are copied unchanged, after their checksums
    are verified.

    Parameters
    ----------
    path : path-like
        The archive.
    model : Autoencoder, FrozenCodec or path to a model file, optional
        The model that the archive was written with. None: it is searched, as in `open_archive`.
    out : path-like, optional
        The new archive. None: the archive itself is replaced when the new one is complete.
    force : bool
        Replace `out` if it exists.

    Returns
    -------
    Path
        The path of the archive with its model.

    Raises
    ------
    DataNotFoundError, ArchiveError, CorruptArchiveError, WrongModelError
        As `open_archive`; ArchiveError also if the archive contains its model already, or another process is appending
        to it.
    OutputExistsError, OutputError, InvalidParameterError
        If the output cannot be written.
    """
    target = as_path(path if out is None else out)
    check_output(target, force=force or out is None)
    with ExitStack() as stack:
        source = stack.enter_context(ByteFile(path))
        if target.exists() and os.path.samefile(path, target):  # what another process appends meanwhile would be lost
            stack.enter_context(naming_output(path))
            stack.enter_context(growing(Path(os.path.realpath(target)), os.fspath(path)))
            source = stack.enter_context(ByteFile(path))  # another process may have appended before the lock
        with naming(source.path):
            header = read_header(source)
            index = read_whole_index(source, header)
            metadata = header.metadata
            if metadata.field is not None:
                raise ArchiveError(f"{source.path} holds a field, which needs no model. It can be read as it is.")
            if index.models and not index.needed & ~index.held:
                raise ArchiveError(f"{source.path} contains its model already.")
            new, blobs = _with_model(source, header, index, model)
        for blob, _ in blobs:
            if len(blob) > MAX_MODEL_BYTES:
                raise ArchiveError(
                    f"A model in an archive may take {MAX_MODEL_BYTES:,} bytes. Got {len(blob):,}. "
                    "Keep the model file beside the archive."
                )
        with naming_output(target), replacing(Path(os.path.realpath(target)), force=force or out is None) as file:
            file.write(new)
            blocks = BlockWriter(file, new, len(new))
            for blob, parts in blobs:
                blocks.model(blob, parts)
            listed = index.entries[index.entries["type"] == BlockType.LABELS]
            labels = dict(zip(listed["first"].tolist(), listed["offset"].tolist(), strict=True))
            for chunk in range(len(index.offsets)):
                with naming(source.path):
                    offset, block, what = chunk_block(source, index, chunk)
                    payload = read_payload(source, offset, block, what, source.size)
                    of_records = labels_before(source, offset, block.first, block.n_records, labels)
                if of_records is not None:
                    blocks.labels(of_records, block.first, block.n_records)
                needs = needed_by(payload, block, metadata)
                blocks.records(payload, block.first, block.n_records, block.coding, needs)
            blocks.finish(index.n_records)
    return target


def _with_model(source: ByteFile, header: Header, index: Index, model: Any) -> tuple[bytes, list[tuple[bytes, Needs]]]:
    """Return the header of the archive with its model, and the payloads of its MODEL blocks with their parts.

    Raises
    ------
    ArchiveError, CorruptArchiveError, WrongModelError, InvalidParameterError
        As `embed`.
    """
    metadata = header.metadata
    codec = find_codec(source, metadata, index.models, model, needed=index.needed)
    if isinstance(codec, PartedCodec):
        blobs = [read_model(source, metadata, offset) for offset in index.models]
        held = [(blob, held_by(blob, metadata)) for blob in blobs]
        lacking = index.needed & ~index.held
        return header.data, [*held, *([(codec.pack(lacking), lacking)] if lacking else [])]
    if not isinstance(codec, FrozenCodec):
        raise InvalidParameterError(
            "The 'model' must be a fitted Autoencoder, a FrozenCodec, or the path of a model file. "
            f"Got {type(codec).__name__}."
        )
    only = codec.only(metadata.quality, with_causal=metadata.max_error is not None)
    more = {**metadata.more, MODEL_FILE: short(metadata.model)}
    new = pack_header(replace(metadata, model=only.digest, quality=0, more=more).to_json())
    return new, [(only.blob, Needs.NOTHING)]
