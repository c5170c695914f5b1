"""The default layout: every item is a record."""

from __future__ import annotations

from typing import Any, Self

import numpy.typing as npt

from narrows.archive.layouts.contract import Layout

__all__ = ["Whole"]


class Whole(Layout):
    """Every item is one record.

    Parameters
    ----------
    shape : tuple of int
        Shape of a record.
    """

    n_records = 1

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __str__(self) -> str:
        return f"records of {'×'.join(map(str, self.shape))}, not in tiles"

    def cut(self, items: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return items

    def assemble(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return records

    def to_json(self) -> None:
        return None

    @classmethod
    def from_json(cls, values: dict[str, Any], record_shape: tuple[int, ...]) -> Self:
        return cls(record_shape)
