"""The columns of a table as the coder sees them, and what a model of them does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Numbers:
    """One column of whole numbers; decimals, dates and times come scaled to whole numbers.

    Attributes
    ----------
    values : ndarray of shape (n,), int64
        The numbers; anything where one is missing.
    missing : ndarray of shape (n,), bool, or None
        True where no number is; None: none is missing.
    """

    values: NDArray[np.int64]
    missing: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Ids:
    """One column of categories: numbers of entries in a dictionary that the data side keeps.

    Attributes
    ----------
    values : ndarray of shape (n,), int64
        0 to ``n_known - 1``, or ``n_known`` for "not in the dictionary"; anything where one is missing.
    missing : ndarray of shape (n,), bool, or None
        True where no category is; None: none is missing.
    n_known : int
        Number of entries of the dictionary.
    """

    values: NDArray[np.int64]
    missing: NDArray[np.bool_] | None
    n_known: int


@dataclass(frozen=True)
class Texts:
    """One column of identifiers or free text.

    Attributes
    ----------
    values : list of bytes
        The texts; anything where one is missing.
    missing : ndarray of shape (n,), bool, or None
        True where no text is; None: none is missing.
    """

    values: list[bytes]
    missing: NDArray[np.bool_] | None = None


Column = Numbers | Ids | Texts


class ColumnsModel(Protocol):
    """What `narrows.codec.columns.model.ColumnsModel` does."""

    @classmethod
    def of(cls, columns: Sequence[Column], *, group: int) -> Self:
        """Learn from all rows of a table, as much as pays, for groups of ``group`` rows."""
        ...

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` makes the same model of."""
        ...

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a model. CorruptArchiveError: damaged bytes."""
        ...

    def encode(self, columns: Sequence[Column]) -> bytes:
        """Code one group of rows, at least one."""
        ...

    def decode(self, data: bytes, n: int) -> list[Column]:
        """Return the ``n`` rows of one group. CorruptArchiveError: damaged bytes."""
        ...
