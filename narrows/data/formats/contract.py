"""The contract of formats: how files and folders are recognised, read and written.

A new format is a class in a file of this folder, and an import in `narrows.data.formats`. Its options become arguments
of `narrows.data.open` and options of the command line, whose help shows its `reads`; no other file has to change.

The modules of this folder import NumPy and the readers of the format inside functions. The command line imports these
modules to list their options, and its help must be fast.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from narrows.errors import DataError
from narrows.io.progress import Progress
from narrows.parts.options import Constraint
from narrows.parts.part import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from narrows.data.series.rows import SeriesRows
    from narrows.data.source import Source
    from narrows.data.text.rows import TextRows

__all__ = ["Format", "RecordStream", "options_of"]


@dataclass(frozen=True)
class RecordStream:
    """Records to write, piece by piece, so that they need not fit into memory.

    Attributes
    ----------
    pieces : iterable of ndarray of shape (m, *shape[1:])
        The records, in order: n in total.
    shape : tuple of int
        (n, *shape of a record).
    dtype : dtype
        Dtype of the records.
    names : callable
        Returns the relative names of the records, or None if their numbers are their names. Only formats that store
        names call it.
    series : SeriesRows or None
        Times, channels and origin, if the records are the steps of series.
    text : TextRows or None
        The number of records of each text, and the origin, if the records are pieces of texts.
    """

    pieces: Iterable[NDArray[Any]]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    names: Callable[[], Sequence[str] | None]
    series: SeriesRows | None = None
    text: TextRows | None = None


class Format(Part, ABC, axis="format"):
    """A format of files or folders. The default of every option is None.

    Attributes
    ----------
    title : str
        Name of the format in messages, as a plural.
    reads : str
        Description of the files that the format reads, for messages.
    target : str or None
        Description of the paths of the format, for messages; None if the format cannot be written.
    keeps_names : bool
        Whether the format stores a name for each record.
    """

    title: ClassVar[str]
    reads: ClassVar[str]
    target: ClassVar[str | None] = None
    keeps_names: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def recognises(cls, path: Path, head: bytes) -> bool:
        """Return whether a file with these first bytes, or a folder (``head`` is empty), has this format."""

    @abstractmethod
    def open(self, path: Path, name: str, *, limit: int | None = None, progress: Progress | None = None) -> Source:
        """Return the records.

        Parameters
        ----------
        path : Path
            A file that is not empty, or a folder.
        name : str
            Name of the source.
        limit : int, optional
            The number of records that the caller uses; more may be returned.
        progress : callable, optional
            Called repeatedly while many records are read; see `Progress`.

        Raises
        ------
        CorruptFileError, DataError, DataNotFoundError
            If the records cannot be read.
        """

    @classmethod
    def is_target(cls, path: Path, *, is_folder: bool) -> bool:
        """Return whether records for this path are written in this format; ``is_folder``: the path means a folder."""
        return False

    @classmethod
    def check_target(cls, text: str, *, force: bool) -> None:
        """Raise the error that writing to this path would raise, before long computations."""
        from narrows.io.files import as_path, check_output

        check_output(as_path(text), force=force)

    @classmethod
    def check_records(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Raise a DataError if the format does not support records of this shape (n, *shape) or dtype."""

    @classmethod
    def write(cls, path: Path, records: RecordStream, *, force: bool) -> None:
        """Write records atomically.

        Parameters
        ----------
        path : Path
            The output.
        records : RecordStream
            The records, which passed `check_records`.
        force : bool
            Replace an existing output.

        Raises
        ------
        DataError
            If the format cannot be written.
        """
        raise DataError(f"narrows can read {cls.title}, but cannot write them. Write the records to a .npy file.")


def options_of(formats: Iterable[type[Format]]) -> dict[str, tuple[Constraint, str, list[type[Format]]]]:
    """Return the options that the formats declare, by name: allowed values, meaning, and the formats that have it."""
    found: dict[str, tuple[Constraint, str, list[type[Format]]]] = {}
    for kind in formats:
        for field in dataclasses.fields(kind):
            allowed, meaning = field.metadata["allowed"], field.metadata["meaning"]
            found.setdefault(field.name, (allowed, meaning, []))[2].append(kind)
    return found
