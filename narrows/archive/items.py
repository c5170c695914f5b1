"""What a person counts, made of what the codec restores: records as they are, or images of many tiles."""

from __future__ import annotations

from typing import Any, Protocol

import numpy.typing as npt

from narrows.archive.metadata import Metadata
from narrows.archive.tiling import Tiling

__all__ = ["Items", "Records", "items_of"]


class Items(Protocol):
    """How records make items: item i of records i·n to (i + 1)·n - 1."""

    @property
    def n_records(self) -> int:
        """How many records make one item."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item."""

    def assemble(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the items (m, *shape) that records (m·n, *record_shape) make."""


class Records:
    """Every item is one record.

    Parameters
    ----------
    shape : tuple of int
        The shape of a record.
    """

    n_records = 1

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __str__(self) -> str:
        return f"records of {'×'.join(map(str, self.shape))}, not in tiles"

    def assemble(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the records."""
        return records


def items_of(metadata: Metadata) -> Items:
    """Return how an archive's items are made.

    Raises
    ------
    CorruptArchiveError
        If its tiles cannot be put together to images.
    """
    if metadata.tiling is not None:
        return Tiling.from_json(metadata.tiling, metadata.record_shape)
    return Records(metadata.record_shape)
