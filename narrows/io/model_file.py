"""Reads model files: safetensors files with a JSON header. Reading executes no code, and PyTorch is not needed."""

from __future__ import annotations

import json
import os
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from narrows.errors import DataNotFoundError, ModelFileError
from narrows.io.magic import SAFETENSORS, kind_of
from narrows.io.remote import fetched, is_remote

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORMAT", "HEADER", "finite", "read_model_file"]

FORMAT = 1
"""The format of new files, and the newest format that can be read."""

HEADER = "narrows"
"""Key of the header in the metadata of the file."""


def read_model_file(
    path: str | os.PathLike[str], names: Container[str] | None = None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the header and the arrays of a model file.

    Parameters
    ----------
    path : path-like
        The file.
    names : container of str, optional
        Names of the arrays to read; by default all. Names that are not in the file are ignored.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a model, is damaged, or was written by a newer narrows.
    """
    from safetensors import SafetensorError, safe_open

    path = fetched(path) if is_remote(path) else path
    _check_file(path)
    try:
        with safe_open(path, framework="np") as file:
            header = dict(json.loads((file.metadata() or {})[HEADER]))
            if header.get("format", 0) > FORMAT:
                raise ModelFileError(
                    f"{path} has model format {header['format']}, written by narrows {header.get('narrows')}. "
                    f"This version of narrows reads formats up to {FORMAT}. Upgrade narrows."
                )
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys()) if names is None or name in names}
            # Other packages may register more types, such as bfloat16.
            if any(array.dtype.isbuiltin == 2 for array in arrays.values()):
                raise TypeError("a type that NumPy does not have")
    except (SafetensorError, OSError) as error:
        kind = _kind(path)
        if kind != SAFETENSORS:
            what = "" if kind is None else f", but {kind}"
            raise ModelFileError(
                f"{path} is not a safetensors file, the format of models{what}. Give a model that was saved by narrows."
            ) from error
        raise ModelFileError(f"{path} is a safetensors file that is damaged: {error}.") from error
    except (
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:  # also for dtypes that NumPy does not have
        raise ModelFileError(f"{path} is a safetensors file, but not a narrows model.") from error
    return header, arrays


def _check_file(path: str | os.PathLike[str]) -> None:
    """Refuse a path that is no file.

    Raises
    ------
    DataNotFoundError
        If there is nothing of that name.
    ModelFileError
        If it is a folder or a device.
    """
    if os.path.isfile(path):
        return
    if os.path.exists(path):
        kind = "a folder" if os.path.isdir(path) else "not a regular file"
        raise ModelFileError(f"{path} is {kind}, and a model is a file. Give the path of a model file.")
    raise DataNotFoundError(f"The model file {path} does not exist.")


def _kind(path: str | os.PathLike[str]) -> str | None:
    """Return the kind of a file by its first bytes; None if it is unknown."""
    try:
        with open(path, "rb") as file:
            return kind_of(file.read(16).ljust(16, b"\0"))
    except OSError:
        return None


def finite(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header in which each number that is not finite is replaced by None; older files contain such numbers."""
    finite: dict[str, Any] = json.loads(json.dumps(header), parse_constant=lambda name: None)
    return finite
