"""The contract of formats: how files and folders are recognised, read and written.

A new format is a class in a file of this folder, and an import in `narrows.data.formats`. Its options become arguments
of `narrows.data.open` and options of the command line, whose help shows its `reads`; no other file has to change.

These files import NumPy, and what reads the format, where they use them: the command line looks up the options in them,
and its help has to come quickly.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from narrows.errors import DataError
from narrows.parts.options import Constraint
from narrows.parts.part import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from narrows.data.source import Source

__all__ = ["Format", "OnRecords", "options_of"]

OnRecords = Callable[[str, int, int], None]
"""Called with the activity, the number of records done, and the number of records."""


class Format(Part, ABC, axis="format"):
    """A format of files or folders. All options have the default None.

    Attributes
    ----------
    title : str
        Name in messages, in the plural.
    reads : str
        Description of the files that it reads, for messages.
    target : str or None
        Description of the paths that it is written to, for messages; None if it is not written.
    keeps_names : bool
        Whether the name of each record is written.
    """

    title: ClassVar[str]
    reads: ClassVar[str]
    target: ClassVar[str | None] = None
    keeps_names: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        """Return whether a file with these first bytes, or a folder (b""), has this format."""

    @abstractmethod
    def open(self, path: Path, name: str, *, limit: int | None = None, on_records: OnRecords | None = None) -> Source:
        """Return the records.

        Parameters
        ----------
        path : Path
            A file that is not empty, or a folder.
        name : str
            Name of the source.
        limit : int, optional
            The number of records that are used; more may be returned.
        on_records : callable, optional
            Called while many records are read.

        Raises
        ------
        CorruptFileError, DataError, DataNotFoundError
            If the records cannot be read.
        """

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        """Return whether records for this path are written in this format; ``is_folder`` if it is or means a folder."""
        return False

    @classmethod
    def check_target(cls, text: str, *, force: bool) -> None:
        """Raise the error that writing to a path would raise, before long work starts."""
        from narrows.io.files import as_path, check_output

        check_output(as_path(text), force=force)

    @classmethod
    def check_records(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Refuse records (n, *shape) that the format cannot hold, with a DataError."""

    @classmethod
    def write(
        cls,
        path: Path,
        pieces: Iterable[NDArray[Any]],
        *,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        names: Callable[[], Sequence[str] | None],
        force: bool,
    ) -> None:
        """Write records, all of them or none.

        Parameters
        ----------
        path : Path
        pieces : iterable of ndarray of shape (m, *shape[1:])
            Pieces that add up to `shape`.
        shape : tuple of int
            (n, *shape of a record).
        dtype : dtype
            Dtype of the records.
        names : callable
            Returns the relative names of the records, None to number them.
        force : bool
            Overwrite the output.

        Raises
        ------
        DataError
            If the format is only read.
        """
        raise DataError(f"narrows reads {cls.title}, but does not write them.")


def options_of(formats: Iterable[type[Format]]) -> dict[str, tuple[Constraint, str, list[type[Format]]]]:
    """Return allowed values, meaning and formats of each option that the formats declare, by name."""
    found: dict[str, tuple[Constraint, str, list[type[Format]]]] = {}
    for kind in formats:
        for field in dataclasses.fields(kind):
            allowed, meaning = field.metadata["allowed"], field.metadata["meaning"]
            found.setdefault(field.name, (allowed, meaning, []))[2].append(kind)
    return found
