"""The contracts of layouts: how the records of an archive make its items, such as whole records or images.

`AnyLayout` is what all layouts have in common. The records of a `Layout` have one shape and are coded with a model. A
layout other than `Whole` is described by an entry of the archive's metadata, and marked by a must-understand bit in
its header (`narrows.archive.features`): a reader that does not know the layout refuses the archive by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy.typing as npt

__all__ = ["AnyLayout", "Layout"]


class AnyLayout(ABC):
    """How the records of an archive make its items.

    Attributes
    ----------
    entry : str or None
        The entry of the metadata that describes the layout; None for the default, which needs none.
    registry : dict of str to type
        All layouts with an entry, by its name.
    shape : tuple of int
        Shape of an item.
    """

    entry: ClassVar[str | None] = None
    registry: ClassVar[dict[str, type[AnyLayout]]] = {}

    shape: tuple[int, ...]

    def __init_subclass__(cls, *, entry: str | None = None) -> None:
        super().__init_subclass__()
        if entry is not None:
            cls.entry = entry
            AnyLayout.registry[entry] = cls

    @property
    @abstractmethod
    def n_records(self) -> int:
        """The number of records that make an item."""

    def n_items(self, n_records: int) -> int:
        """Return the number of items that records make."""
        return n_records // self.n_records

    @abstractmethod
    def __str__(self) -> str:
        """Return the layout in words, for messages."""

    @abstractmethod
    def to_json(self) -> dict[str, Any] | None:
        """Return the entry of the metadata."""

    @classmethod
    @abstractmethod
    def from_json(cls, values: dict[str, Any], record_shape: tuple[int, ...]) -> Self:
        """Return the layout that an entry describes, for records of a shape.

        Raises
        ------
        CorruptArchiveError
            If the entry is not valid.
        """


class Layout(AnyLayout):
    """How records of one shape make items: item i is made of records i·n to (i + 1)·n - 1."""

    @abstractmethod
    def cut(self, items: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the records (m · n_records, *record_shape) of items (m, *shape)."""

    @abstractmethod
    def assemble(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the items (m, *shape) of records (m · n_records, *record_shape)."""
