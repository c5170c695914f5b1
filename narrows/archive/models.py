"""The model of an archive: the one given by the user or the one inside, checked by its hash."""

from __future__ import annotations

import hashlib
import os
from typing import Any, cast

from narrows.archive.byte_file import ByteFile
from narrows.archive.contract import Codec
from narrows.archive.header import read_block, read_payload
from narrows.archive.index import Index
from narrows.archive.layout import BLOCK_BYTES, MAX_MODEL_BYTES, BlockType
from narrows.archive.metadata import Metadata
from narrows.archive.model_search import FOLDERS, find_model, model_folders
from narrows.archive.no_model import NoModel
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    InvalidParameterError,
    ModelFileError,
    WrongModelError,
)

__all__ = ["codec_of", "find_codec", "has_model", "read_model", "short"]


def short(digest: str) -> str:
    """Return the first 12 digits of a model's hash, for messages."""
    return digest[:12]


def has_model(index: Index) -> bool:
    """Return whether an archive contains its model."""
    return index.model is not None


def find_codec(source: ByteFile, metadata: Metadata, offset: int | None, model: Any = None) -> Codec:
    """Return the codec of an archive: that of `model` if given, otherwise that of the model in the archive.

    If there is neither, the model file is searched by its hash; see `find_model`.

    Parameters
    ----------
    source : ByteFile
        The archive.
    metadata : Metadata
        The metadata of the archive.
    offset : int or None
        Offset of the MODEL block; None if the archive does not contain its model.
    model : Autoencoder, FrozenCodec, path to a model file, or None

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
    if model is not None:
        given = codec_of(model)
        codec = _named(given, metadata)
        if codec is None:
            hint = (
                " Omit 'model' (--model): the archive contains its model."
                if offset is not None
                else " Give the model file that it was compressed with; training again gives a different model."
            )
            raise WrongModelError(
                f"{source.path} was written with the model {short(metadata.model)}. "
                f"The model given is {short(given.digest)}.{hint}"
            )
    elif offset is not None:
        codec = _parse(read_model(source, metadata, offset))
    else:
        codec = _found(source, metadata)
    _check(codec, metadata)
    return codec


def _found(source: ByteFile, metadata: Metadata) -> Codec:
    """Return the codec of the model file that is found by the hash in the metadata."""
    found = find_model(source.path, metadata.model)
    if found is not None:
        return codec_of(found)
    folders = " and ".join(f"'{folder}'" for folder in model_folders(source.path))
    raise ArchiveError(
        f"{source.path} does not contain its model. Give the model that it was written with, "
        f"{short(metadata.model)}, as 'model' (--model). No file with this model was found in {folders}. You can list "
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
        from narrows.codec import read_frozen

        return cast("Codec", read_frozen(model))
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
    """Return the bytes of the model in an archive.

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
    digest = hashlib.sha256(blob).hexdigest()
    if digest != metadata.model:
        raise CorruptArchiveError(
            f"it contains the model {short(digest)}, but was written with the model {short(metadata.model)}"
        )
    return blob


def _named(codec: Codec, metadata: Metadata) -> Codec | None:
    """Return the codec whose hash is in the metadata: this codec, or one of its qualities, as archives contain it.

    None if there is no such codec. Only archives with an error bound contain the residual model.
    """
    if codec.digest == metadata.model:
        return codec
    only, with_causal = getattr(codec, "only", None), metadata.max_error is not None
    if only is None:
        return None
    alone = (only(position, with_causal=with_causal) for position in range(len(codec.qualities)))
    return next((one for one in alone if one.digest == metadata.model), None)


def _parse(blob: bytes) -> Codec:
    from narrows.codec.frozen import FrozenCodec

    try:
        return cast("Codec", FrozenCodec.from_bytes(blob))
    except ModelFileError as error:
        raise CorruptArchiveError(f"its model cannot be used: {str(error).rstrip('.')}") from error


def _check(codec: Codec, metadata: Metadata) -> None:
    """Check that the metadata match the codec's records and qualities."""
    claimed = (metadata.record_shape, metadata.dtype, metadata.n_symbols)
    if claimed != (codec.shape, codec.dtype, codec.n_symbols) or metadata.quality >= len(codec.qualities):
        raise CorruptArchiveError(
            f"Its header declares records of shape {metadata.record_shape} {metadata.dtype}, with {metadata.n_symbols} "
            f"symbols and quality {metadata.quality}. Its model has records of shape {codec.shape} {codec.dtype}, with "
            f"{codec.n_symbols} symbols and {len(codec.qualities)} qualities."
        )
