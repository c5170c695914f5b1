"""Reading what a file says about an operation, without believing it."""

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
    """The settings and arrays of one operation, each asked for once.

    Parameters
    ----------
    kind : str
        What kind of operation it is, for the messages.
    settings : mapping
        What the file's JSON says.
    tensors : mapping of str to ndarray
        The file's arrays; a setting names the one that is meant.

    Attributes
    ----------
    tensors : mapping of str to ndarray
        The same.
    """

    def __init__(self, kind: str, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        self._kind, self.tensors = kind, tensors
        self._settings = {name: value for name, value in settings.items() if name != "kind"}

    def whole(self, key: str, lowest: int, highest: int) -> int:
        """Return a setting that is a whole number between lowest and highest."""
        value = self._settings.pop(key, None)
        check_number(f"{self._kind} {key}", value, lowest, highest)
        return int(value)

    def wholes(self, key: str, lowest: int, highest: int) -> tuple[int, ...]:
        """Return a setting that is a list of at most eight whole numbers between lowest and highest."""
        return check_wholes(f"{self._kind} {key}", self._settings.pop(key, None), lowest, highest)

    def pair(self, key: str, lowest: int, highest: int) -> tuple[int, int]:
        """Return a setting that is two whole numbers between lowest and highest."""
        found = self.wholes(key, lowest, highest)
        if len(found) != 2:
            raise ModelFileError(f"The model's '{self._kind} {key}' must be two numbers. Got {list(found)}.")
        return found[0], found[1]

    def tensor(self, key: str, dtype: type[np.generic], n_dimensions: int) -> NDArray[Any]:
        """Return an array of a dtype, with that many dimensions and at least one value."""
        name = self._settings.pop(key, None)
        if not isinstance(name, str):
            raise ModelFileError(f"The model's '{self._kind} {key}' must name a tensor. Got {name!r:.80}.")
        array = stored_array(self.tensors, name)
        check_array(f"{self._kind} {key}", array, dtype, (None,) * n_dimensions)
        if not array.size:
            raise ModelFileError(f"The model's '{self._kind} {key}' is empty: its shape is {array.shape}.")
        return array

    def lists(self, key: str, most: int, most_entries: int) -> list[list[Any]]:
        """Return a setting that is a list of at most ``most`` lists, with ``most_entries`` entries in all at most."""
        found = self._settings.pop(key, None)
        if not isinstance(found, list) or len(found) > most or not all(isinstance(one, list) for one in found):
            raise ModelFileError(
                f"The model's '{self._kind} {key}' must be a list of at most {most} lists. Got {found!r:.80}."
            )
        if sum(map(len, found)) > most_entries:
            raise ModelFileError(f"The model's '{self._kind} {key}' may have {most_entries:,} entries in all.")
        return found

    def finish(self) -> None:
        """Check that nothing was left unread: what isn't understood must not be ignored."""
        if self._settings:
            unknown = ", ".join(repr(name) for name in self._settings)
            raise ModelFileError(
                f"The model's {self._kind} operation has settings that this narrows does not know: {unknown}."
            )


def check_wholes(name: str, values: object, lowest: int, highest: int) -> tuple[int, ...]:
    """Return a list of at most eight whole numbers between lowest and highest, as a tuple.

    Raises
    ------
    ModelFileError
        If it's anything else.
    """
    if not isinstance(values, list | tuple) or len(values) > _MOST_DIMENSIONS:
        raise ModelFileError(
            f"The model's '{name}' must be a list of at most {_MOST_DIMENSIONS} whole numbers. Got {values!r:.80}."
        )
    for value in values:
        check_number(name, value, lowest, highest)
    return tuple(values)
