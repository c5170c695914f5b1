"""Reads the archive codec from a model file, without the rest of the model."""

from __future__ import annotations

import os

import numpy as np

from narrows.codec.frozen import FrozenCodec
from narrows.codec.validation import check_array
from narrows.errors import ModelFileError, NotFreezableError
from narrows.io.model_file import read_model_file

__all__ = ["read_frozen"]

_BLOB = "frozen"


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
    header, arrays = read_model_file(path, {_BLOB})
    blob = arrays.get(_BLOB)
    if blob is None:
        raise NotFreezableError(f"{path}: {header.get('not_frozen', 'the model has no integer decoder')}")
    try:
        check_array(_BLOB, blob, np.uint8, (None,))
        return FrozenCodec.from_bytes(blob.tobytes())
    except ModelFileError as error:
        raise ModelFileError(f"{path} cannot be used. {error}") from error
