"""Reading the settings and arrays of an operation from an untrusted file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.codec.validation import check_array, check_number, stored_array
from narrows.errors import ModelFileError

__all__ = ["MOST_SHIFT", "Reader", "check_wholes"]

MOST_SHIFT = 62
_MOST_DIMENSIONS = 8


class Reader:
    """Checks the settings and arrays of one operation; each setting is read once.

    All methods raise ModelFileError if a setting or an array is missing or invalid.

    Parameters
    ----------
    kind : str
        The kind of operation, for error messages.
    settings : mapping
        The settings of the operation in the file's JSON.
    tensors : mapping of str to ndarray
        The file's arrays; the settings refer to them by name.

    Attributes
    ----------
    tensors : mapping of str to ndarray
        The file's arrays.
    """

    def __init__(self, kind: str, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        self._kind, self.tensors = kind, tensors
        self._settings = {name: value for name, value in settings.items() if name != "kind"}

    def whole(self, key: str, lowest: int, highest: int) -> int:
        """Return a setting that is an integer from lowest to highest."""
        value = self._settings.pop(key, None)
        check_number(f"{self._kind} {key}", value, lowest, highest)
        return int(value)

    def wholes(self, key: str, lowest: int, highest: int) -> tuple[int, ...]:
        """Return a setting that is a list of at most eight integers from lowest to highest."""
        return check_wholes(f"{self._kind} {key}", self._settings.pop(key, None), lowest, highest)

    def pair(self, key: str, lowest: int, highest: int) -> tuple[int, int]:
        """Return a setting that is a list of two integers from lowest to highest."""
        found = self.wholes(key, lowest, highest)
        if len(found) != 2:
            raise ModelFileError(f"The model's '{self._kind} {key}' must be two numbers. Got {list(found)}.")
        return found[0], found[1]

    def tensor(self, key: str, dtype: type[np.generic], n_dimensions: int) -> NDArray[Any]:
        """Return an array with this dtype and number of dimensions, and at least one value."""
        name = self._settings.pop(key, None)
        if not isinstance(name, str):
            raise ModelFileError(f"The model's '{self._kind} {key}' must name a tensor. Got {name!r:.80}.")
        array = stored_array(self.tensors, name)
        check_array(f"{self._kind} {key}", array, dtype, (None,) * n_dimensions)
        if not array.size:
            raise ModelFileError(f"The model's '{self._kind} {key}' is empty: its shape is {array.shape}.")
        return array

    def lists(self, key: str, most: int, most_entries: int) -> list[list[Any]]:
        """Return a setting that is a list of at most ``most`` lists, with at most ``most_entries`` entries in all."""
        found = self._settings.pop(key, None)
        if not isinstance(found, list) or len(found) > most or not all(isinstance(one, list) for one in found):
            raise ModelFileError(
                f"The model's '{self._kind} {key}' must be a list of at most {most} lists. Got {found!r:.80}."
            )
        if sum(map(len, found)) > most_entries:
            raise ModelFileError(f"The model's '{self._kind} {key}' may have at most {most_entries:,} entries in all.")
        return found

    def finish(self) -> None:
        """Check that all settings were read: unknown ones must not be ignored."""
        if self._settings:
            unknown = ", ".join(repr(name) for name in self._settings)
            raise ModelFileError(
                f"The model's {self._kind} operation has settings that this version of narrows does not support: "
                f"{unknown}."
            )


def check_wholes(name: str, values: object, lowest: int, highest: int) -> tuple[int, ...]:
    """Return a list of at most eight integers from lowest to highest, as a tuple.

    Raises
    ------
    ModelFileError
        If it is anything else.
    """
    if not isinstance(values, list | tuple) or len(values) > _MOST_DIMENSIONS:
        raise ModelFileError(
            f"The model's '{name}' must be a list of at most {_MOST_DIMENSIONS} integers. Got {values!r:.80}."
        )
    for value in values:
        check_number(name, value, lowest, highest)
    return tuple(values)
