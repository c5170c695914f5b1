"""The frozen codec out of a model file, without the rest of the model."""

from __future__ import annotations

import json
import os

import numpy as np
from safetensors import SafetensorError, safe_open

from narrows.codec.frozen import FrozenCodec
from narrows.codec.validation import check_array
from narrows.errors import DataNotFoundError, ModelFileError, NotFreezableError

__all__ = ["read_frozen"]


def read_frozen(path: str | os.PathLike[str]) -> FrozenCodec:
    """Return the archive codec of the model in a file; PyTorch is not needed.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ModelFileError
        If the file is no model, or is damaged.
    NotFreezableError
        If the model has no archive codec; gives the reason.
    """
    if not os.path.isfile(path):
        raise DataNotFoundError(f"There is no model file {os.fspath(path)}.")
    try:
        with safe_open(path, framework="np") as file:
            header = dict(json.loads((file.metadata() or {})["narrows"]))
            blob = file.get_tensor("frozen") if "frozen" in file.keys() else None  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is no safetensors file, or is damaged: {error}.") from error
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:  # also types NumPy doesn't have
        raise ModelFileError(f"{path} is a safetensors file, but no narrows model.") from error
    if blob is None:
        raise NotFreezableError(f"{path}: {header.get('not_frozen', 'the model has no integer decoder')}")
    try:
        check_array("frozen", blob, np.uint8, (None,))
        return FrozenCodec.from_bytes(blob.tobytes())
    except ModelFileError as error:
        raise ModelFileError(f"{path} cannot be used. {error}") from error
