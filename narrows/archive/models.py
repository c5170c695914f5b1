"""The model of an archive: the one given by the user or the one inside, checked by its hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from narrows.archive.byte_file import ByteFile
from narrows.archive.contract import Codec
from narrows.archive.header import read_block, read_payload
from narrows.archive.layout import BLOCK_BYTES, MAX_MODEL_BYTES, Block, BlockType, Coding
from narrows.archive.metadata import Metadata
from narrows.archive.model_search import FOLDERS, find_model, model_folders
from narrows.archive.no_model import NoModel
from narrows.archive.records import parse_records
from narrows.codec.frozen import FrozenCodec
from narrows.codec.parts.needs import ALL, Needs
from narrows.codec.parts.parted_codec import NO_NAMES, PartedCodec, names_in
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    InvalidParameterError,
    ModelFileError,
    WrongModelError,
)

__all__ = [
    "codec_of",
    "find_codec",
    "held_by",
    "needed_by",
    "parted_as",
    "parts_of",
    "read_model",
    "short",
    "short_of_file",
]


def short(digest: str) -> str:
    """Return the first 12 digits of a model's hash, for messages."""
    return digest[:12]


def short_of_file(codec: Codec) -> str:
    """Return the first 12 digits of the hash by which archives name the model file of a codec, for messages."""
    is_of_bytes = isinstance(codec, PartedCodec) and codec.is_of_bytes  # its digest is that of its parts
    return short(hashlib.sha256(codec.blob).hexdigest() if is_of_bytes else codec.digest)


def find_codec(
    source: ByteFile, metadata: Metadata, offsets: Sequence[int], model: Any = None, *, needed: Needs = ALL
) -> Codec:
    """Return the codec of an archive: that of `model` if given, otherwise that of the model in the archive.

    If there is neither, the model file is searched by its hash; see `find_model`.

    Parameters
    ----------
    source : ByteFile
        The archive.
    metadata : Metadata
        The metadata of the archive.
    offsets : sequence of int
        Offsets of the MODEL blocks.
    model : Autoencoder, FrozenCodec, path to a model file, or None
    needed : Needs
        The parts of the model that chunks need, if it is in parts.

    Raises
    ------
    ArchiveError
        If a model is needed, and none is given or found.
    WrongModelError
        If the given model is not the one that the archive was written with.
    CorruptArchiveError
        If the model in the archive is damaged, or the metadata do not match the model.
    """
    if metadata.field is not None:
        if model is not None and not isinstance(model, NoModel):
            raise WrongModelError(f"{source.path} was written without a model. Omit 'model' (--model).")
        return cast("Codec", NoModel(metadata))
    if metadata.table is not None:
        from narrows.archive.table_codec import table_of

        inside = read_model(source, metadata, offsets[0]) if offsets else None
        return cast("Codec", table_of(metadata, source.path, inside, model, partial(_file_of, source, metadata)))
    if model is not None:
        given = codec_of(model)
        codec = _named(given, metadata)
        if codec is None:
            hint = (
                " Omit 'model' (--model): the archive contains its model."
                if offsets or (metadata.parts is not None and not needed)
                else " Give the model file that it was compressed with; training again gives a different model."
            )
            raise WrongModelError(
                f"{source.path} was written with the model {metadata.model_file}. "
                f"The model given is {short_of_file(given)}.{hint}"
            )
    elif metadata.parts is not None:
        return _parted(source, metadata, offsets, needed)
    elif offsets:
        codec = _parse(read_model(source, metadata, offsets[0]))
    else:
        codec = _found(source, metadata)
    _check(codec, metadata)
    return codec


def _parted(source: ByteFile, metadata: Metadata, offsets: Sequence[int], needed: Needs) -> Codec:
    """Return the codec of the parts in an archive; that of a model file if chunks need parts that are not inside."""
    inside = parts_of([read_model(source, metadata, offset) for offset in offsets], metadata)
    if not needed & ~inside.holds:
        return inside
    found = find_model(source.path, metadata.model_file)
    named = None if found is None else _named(codec_of(found), metadata)
    if named is None:
        raise _not_found(source, metadata)
    return named


def parts_of(blobs: Sequence[bytes], metadata: Metadata) -> PartedCodec:
    """Return the codec of the parts in the payloads of MODEL blocks, of which some may be absent.

    Raises
    ------
    CorruptArchiveError
        If they are not of the model in the metadata.
    """
    of_records = metadata.record_shape, metadata.dtype, metadata.n_symbols
    if not blobs:
        return PartedCodec(NO_NAMES, *of_records, digest=metadata.model)
    codec = PartedCodec(names_in(blobs[0]), *of_records)
    if codec.digest != metadata.model:
        raise CorruptArchiveError(
            f"it contains parts of the model {short(codec.digest)}, but was written with the model "
            f"{short(metadata.model)}"
        )
    for blob in blobs:
        codec.take(blob)
    return codec


def held_by(blob: bytes, metadata: Metadata) -> Needs:
    """Return the parts in the payload of a MODEL block; none if the model is not in parts."""
    return Needs.NOTHING if metadata.parts is None else parts_of([blob], metadata).holds


def needed_by(payload: bytes, block: Block, metadata: Metadata) -> Needs:
    """Return the parts that the payload of a RECORDS block needs; none if the model is not in parts."""
    if metadata.parts is None:
        return Needs.NOTHING
    return parse_records(payload, block.n_records, metadata, block.coding).needs


def _found(source: ByteFile, metadata: Metadata) -> Codec:
    """Return the codec of the model file that is found by the hash in the metadata."""
    return codec_of(_file_of(source, metadata))


def _file_of(source: ByteFile, metadata: Metadata) -> Path:
    """Return the model file that is found by the hash in the metadata."""
    found = find_model(source.path, metadata.model)
    if found is None:
        raise _not_found(source, metadata)
    return found


def _not_found(source: ByteFile, metadata: Metadata) -> ArchiveError:
    folders = " and ".join(f"'{folder}'" for folder in model_folders(source.path))
    return ArchiveError(
        f"{source.path} does not contain its model. Give the model that it was written with, "
        f"{metadata.model_file}, as 'model' (--model). No file with this model was found in {folders}. You can list "
        f"more folders in the environment variable {FOLDERS}."
    )


def codec_of(model: Any) -> Codec:
    """Return the frozen codec of a model.

    Parameters
    ----------
    model : Autoencoder, FrozenCodec, or path to a model file

    Raises
    ------
    NotFreezableError
        If its decoder cannot be computed in integer arithmetic.
    InvalidParameterError
        If it is not a model.
    """
    if isinstance(model, str | os.PathLike):
        from narrows.codec.model_file import read_codec

        return cast("Codec", read_codec(model))
    if isinstance(model, PartedCodec):
        return model
    if all(hasattr(model, name) for name in ("digest", "blob", "qualities", "decode")):
        return cast("Codec", model)
    fitted = getattr(model, "model_", None)
    held = None if fitted is None else fitted.measured("codec")
    # Archives name the codec that wrote them, so the codec is right even if the weights were changed since.
    frozen = held.codec if held is not None else getattr(model, "codec_", None)
    if frozen is not None:
        return cast("Codec", frozen)
    raise InvalidParameterError(
        "The 'model' must be a fitted Autoencoder, a frozen codec, or the path of a model file. "
        f"Got {type(model).__name__}{', which is not fitted' if hasattr(type(model), 'codec_') else ''}."
    )


def read_model(source: ByteFile, metadata: Metadata, offset: int) -> bytes:
    """Return the bytes of the model in an archive, or of parts of one.

    Raises
    ------
    CorruptArchiveError
        If it is damaged, or its hash is not the one in the header.
    """
    end = source.size
    block = read_block(source, offset, end)
    if block.type != BlockType.MODEL:
        raise CorruptArchiveError("its model is not at the offset in the index")
    blob = read_payload(source, offset, block, "its model", min(MAX_MODEL_BYTES, end - BLOCK_BYTES))
    if (block.coding == Coding.PARTS) != (metadata.parts is not None):
        raise CorruptArchiveError(f"its model has coding {block.coding}, which its metadata do not allow")
    digest = hashlib.sha256(blob).hexdigest()
    if metadata.parts is None and digest != metadata.model:
        raise CorruptArchiveError(
            f"it contains the model {short(digest)}, but was written with the model {short(metadata.model)}"
        )
    return blob


def _named(codec: Codec, metadata: Metadata) -> Codec | None:
    """Return the codec whose hash is in the metadata: this codec, or one of its qualities, as archives contain it.

    None if there is no such codec. Only archives with an error bound contain the residual model.
    """
    if codec.digest == metadata.model:
        if isinstance(codec, PartedCodec) and codec.is_of_bytes:
            return codec.of_shape(metadata.record_shape)
        return codec
    with_causal = metadata.max_error is not None
    if metadata.parts is not None:
        return parted_as(codec, metadata) if isinstance(codec, FrozenCodec) else None
    only = getattr(codec, "only", None)
    if only is None:
        return None
    alone = (only(position, with_causal=with_causal) for position in range(len(codec.qualities)))
    return next((one for one in alone if one.digest == metadata.model), None)


def parted_as(codec: FrozenCodec, metadata: Metadata) -> PartedCodec | None:
    """Return the parts of a codec by which an archive names its model; None if the archive names other parts."""
    n = len(codec.qualities)
    for quality in sorted(range(n), key=lambda quality: quality != metadata.quality):
        parted = PartedCodec.of(codec, quality, with_network=metadata.max_error is not None)
        if parted.digest == metadata.model:
            return parted
    return None


def _parse(blob: bytes) -> Codec:
    try:
        return cast("Codec", FrozenCodec.from_bytes(blob))
    except ModelFileError as error:
        raise CorruptArchiveError(f"its model cannot be used: {str(error).rstrip('.')}") from error


def _check(codec: Codec, metadata: Metadata) -> None:
    """Check that the metadata match the codec's records and qualities."""
    if isinstance(codec, PartedCodec):
        return  # it has a single quality, and was named by the metadata
    claimed = (metadata.record_shape, metadata.dtype, metadata.n_symbols)
    if claimed != (codec.shape, codec.dtype, codec.n_symbols) or metadata.position >= len(codec.qualities):
        raise CorruptArchiveError(
            f"Its header declares records of shape {metadata.record_shape} {metadata.dtype}, with {metadata.n_symbols} "
            f"symbols and quality {metadata.quality}. Its model has records of shape {codec.shape} {codec.dtype}, with "
            f"{codec.n_symbols} symbols and {len(codec.qualities)} qualities."
        )
