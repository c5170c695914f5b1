"""Finding the model that an archive was made with, and refusing every other."""

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
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    InvalidParameterError,
    ModelFileError,
    WrongModelError,
)

__all__ = ["codec_of", "find_codec", "has_model", "read_model", "short"]


def short(digest: str) -> str:
    """Return a model's hash as messages show it: its first 12 digits."""
    return digest[:12]


def has_model(index: Index) -> bool:
    """Return whether an archive carries its model."""
    return index.model is not None


def find_codec(source: ByteFile, metadata: Metadata, offset: int | None, model: Any = None) -> Codec:
    """Return the codec of an archive: the model that is given, else the one that the archive carries.

    Parameters
    ----------
    source : ByteFile
        The archive.
    metadata : Metadata
        What it says about itself.
    offset : int or None
        Where its MODEL block is.
    model : Autoencoder, FrozenCodec, path to a model file, or None

    Raises
    ------
    ArchiveError
        If a model is needed and none is given.
    WrongModelError
        If it is another model than the archive was made with.
    CorruptArchiveError
        If the archive's own model is damaged, or the archive claims what its model is not.
    """
    if model is not None:
        given = codec_of(model)
        codec = _named(given, metadata)
        if codec is None:
            hint = (
                " Leave 'model' (--model) out: the archive carries its own."
                if offset is not None
                else (" Give the very file that it was compressed with; training again makes another model.")
            )
            raise WrongModelError(
                f"{source.path} was made with the model {short(metadata.model)}. "
                f"The model given is {short(given.digest)}.{hint}"
            )
    elif offset is not None:
        codec = _parse(read_model(source, metadata, offset))
    else:
        raise ArchiveError(
            f"{source.path} does not carry its model. Give the one that it was made with, "
            f"{short(metadata.model)}, as 'model' (--model)."
        )
    _check(codec, metadata)
    return codec


def codec_of(model: Any) -> Codec:
    """Return the frozen codec of what people call a model.

    Parameters
    ----------
    model : Autoencoder, FrozenCodec, or path to a model file

    Raises
    ------
    NotFreezableError
        If its decoder cannot be turned into integer arithmetic.
    InvalidParameterError
        If it is no model.
    """
    if isinstance(model, str | os.PathLike):
        from narrows.codec import read_frozen

        return cast("Codec", read_frozen(model))
    if all(hasattr(model, name) for name in ("digest", "blob", "qualities", "decode")):
        return cast("Codec", model)
    frozen = getattr(model, "codec_", None)
    if frozen is not None:
        return cast("Codec", frozen)
    raise InvalidParameterError(
        "The 'model' must be a fitted Autoencoder, a frozen codec, or the path of a model file. "
        f"Got {type(model).__name__}."
    )


def read_model(source: ByteFile, metadata: Metadata, offset: int) -> bytes:
    """Return the blob of the model that an archive carries.

    Raises
    ------
    CorruptArchiveError
        If it is damaged, or another than the header names.
    """
    end = source.size
    block = read_block(source, offset, end)
    if block.type != BlockType.MODEL:
        raise CorruptArchiveError("the model that it carries is not where the index says")
    blob = read_payload(source, offset, block, "the model that it carries", min(MAX_MODEL_BYTES, end - BLOCK_BYTES))
    digest = hashlib.sha256(blob).hexdigest()
    if digest != metadata.model:
        raise CorruptArchiveError(
            f"it carries the model {short(digest)}, but names {short(metadata.model)} as the one it was made with"
        )
    return blob


def _named(codec: Codec, metadata: Metadata) -> Codec | None:
    """Return the codec that an archive names: this one, or one of its qualities alone, as archives carry it.

    None: neither. Archives with a bound carry the network of residuals as well, all others leave it out.
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
        raise CorruptArchiveError(f"the model that it carries cannot be used: {str(error).rstrip('.')}") from error


def _check(codec: Codec, metadata: Metadata) -> None:
    """Refuse an archive that says of its records what its model does not restore."""
    claimed = (metadata.record_shape, metadata.dtype, metadata.n_symbols)
    if claimed != (codec.shape, codec.dtype, codec.n_symbols) or metadata.quality >= len(codec.qualities):
        raise CorruptArchiveError("its header describes other records than its model restores")
