"""Checks of settings and arrays from a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from narrows.errors import ModelFileError

__all__ = ["check_array", "check_number", "stored_array", "stored_number"]


def stored_number(settings: Mapping[str, Any], name: str, lowest: int, highest: int) -> int:
    """Return an integer setting; raises ModelFileError if it is missing, not an integer, or out of range."""
    value = settings.get(name)
    check_number(name, value, lowest, highest)
    return int(value)  # type: ignore[arg-type]  # checked just now


def stored_array(tensors: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Return the array of this name; raises ModelFileError if there is none."""
    if name not in tensors:
        raise ModelFileError(
            f"The model has no tensor '{name}'. Its tensors are: {', '.join(sorted(tensors)) or 'none'}."
        )
    return tensors[name]


def check_number(name: str, value: object, lowest: int, highest: int) -> None:
    """Raise ModelFileError unless the value is an integer from lowest to highest."""
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ModelFileError(f"The model's '{name}' must be an integer from {lowest} to {highest}. Got {value!r:.80}.")


def check_array(name: str, array: object, dtype: DTypeLike, shape: tuple[int | None, ...]) -> None:
    """Raise ModelFileError unless the array has this dtype and shape; None in the shape allows any length."""
    wanted = np.dtype(dtype)
    if (
        not isinstance(array, np.ndarray)
        or array.dtype != wanted
        or array.ndim != len(shape)
        or any(length not in (None, there) for length, there in zip(shape, array.shape, strict=True))
    ):
        lengths = ", ".join("any" if length is None else str(length) for length in shape)
        given = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ModelFileError(f"The model's '{name}' must be {wanted} of shape ({lengths}). Got {given}.")
