"""The columns of a table as the coder sees them, and what a model of them does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

from narrows.records.columns import Column, Ids, Numbers, Texts

__all__ = ["Column", "ColumnsModel", "Ids", "Numbers", "Texts"]


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
