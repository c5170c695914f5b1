"""Texts: items of any length, each of which is one record or, if it is longer, several."""

from __future__ import annotations

from typing import Any, Self

from narrows.archive.layout import MAX_RECORDS
from narrows.archive.layouts.contract import AnyLayout
from narrows.errors import CorruptArchiveError

__all__ = ["TextLayout"]


class TextLayout(AnyLayout):
    """Texts whose records are pieces of them, in order.

    Parameters
    ----------
    shape : tuple of int
        Shape of a record, (length,).
    n_cut : int, optional
        The number of texts, if some have more than one record, whose numbers are then a column; None: each has one.
    origin : dict, optional
        The format that the texts were read from; see `narrows.data.text.Texts`.
    """

    entry = "text"
    unit = "text"
    n_records = 1

    def __init__(self, shape: tuple[int, ...], n_cut: int | None = None, origin: dict[str, Any] | None = None) -> None:
        self.shape, self.n_cut, self.origin = shape, n_cut, origin or {}

    def n_items(self, n_records: int) -> int:
        return n_records if self.n_cut is None else self.n_cut

    def __str__(self) -> str:
        return f"texts in records of up to {self.shape[0]:,} bytes"

    def to_json(self) -> dict[str, Any]:
        cut = {} if self.n_cut is None else {"texts": self.n_cut}
        return {**cut, **({"origin": self.origin} if self.origin else {})}

    @classmethod
    def from_json(cls, values: dict[str, Any], record_shape: tuple[int, ...]) -> Self:
        n_cut = values.get("texts") if isinstance(values, dict) else None
        is_number = n_cut is None or (type(n_cut) is int and 1 <= n_cut <= MAX_RECORDS)
        if not isinstance(values, dict) or not is_number or len(record_shape) != 1:
            raise CorruptArchiveError(f"the 'text' in its metadata is not valid: {values!r:.120}")
        origin = values.get("origin")
        return cls(record_shape, n_cut, origin if isinstance(origin, dict) else None)
