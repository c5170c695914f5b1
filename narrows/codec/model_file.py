"""Reads the archive codec from a model file, without the rest of the model."""

from __future__ import annotations

import os

import numpy as np

from narrows.codec.frozen import FrozenCodec
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.codec.validation import check_array
from narrows.errors import CorruptArchiveError, ModelFileError, NotFreezableError
from narrows.io.model_file import read_model_file

__all__ = ["BLOB", "KIND_OF_BYTES", "read_codec", "read_frozen"]

BLOB = "frozen"
"""The tensor of a model file that holds its codec."""

KIND_OF_BYTES = "bytes"
"""The kind of a model file that holds a model of bytes."""


def read_frozen(path: str | os.PathLike[str]) -> FrozenCodec:
    """Return the archive codec of the model in a file; PyTorch is not needed.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a model file, or is damaged.
    NotFreezableError
        If the model has no archive codec; gives the reason.
    """
    codec = read_codec(path)
    if isinstance(codec, PartedCodec):
        raise NotFreezableError(f"{path} is a model of bytes, which has no code. Give the model of an autoencoder.")
    return codec


def read_codec(path: str | os.PathLike[str]) -> FrozenCodec | PartedCodec:
    """Return the archive codec in a model file, which may be a model of bytes; errors are those of `read_frozen`."""
    header, arrays = read_model_file(path, {BLOB})
    blob = arrays.get(BLOB)
    if blob is None:
        raise NotFreezableError(f"{path}: {header.get('not_frozen', 'the model has no integer decoder')}")
    try:
        check_array(BLOB, blob, np.uint8, (None,))
        if header.get("kind") == KIND_OF_BYTES:
            return PartedCodec.with_bytes_of(blob.tobytes())
        return FrozenCodec.from_bytes(blob.tobytes())
    except (CorruptArchiveError, ModelFileError) as error:
        raise ModelFileError(f"{path} cannot be used. {error}") from error
