"""Tables: rows of typed columns. The items are the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from narrows.archive.layouts.contract import AnyLayout
from narrows.errors import CorruptArchiveError

__all__ = ["TableLayout"]

_MOST_COLUMNS, _MOST_BYTES = 1 << 20, 1 << 60


class TableLayout(AnyLayout):
    """Rows of a table.

    Parameters
    ----------
    n_columns : int
        The number of columns.
    form : str
        What the table was read from, and is restored as: an entry of `narrows.data.tables.form.Form.registry`.
    n_bytes : int
        The size of the table without compression.
    file : dict or None
        How the file is written, if the model learned from another; see `narrows.data.tables.form.Form.to_json`.
    order : sequence of int
        For each column of the model, that of the file; only with ``file``.
    """

    entry = "table"
    unit = "row"
    n_records = 1

    def __init__(
        self, n_columns: int, form: str, n_bytes: int, file: dict[str, Any] | None = None, order: Sequence[int] = ()
    ) -> None:
        self.n_columns, self.form, self.n_bytes, self.file, self.order = n_columns, form, n_bytes, file, order
        self.shape = (n_columns,)

    def __str__(self) -> str:
        return f"rows of {self.n_columns:,} columns"

    def to_json(self) -> dict[str, Any]:
        other = {} if self.file is None else {"file": self.file, "order": list(self.order)}
        return {"columns": self.n_columns, "form": self.form, "bytes": self.n_bytes, **other}

    @classmethod
    def from_json(cls, values: dict[str, Any], record_shape: tuple[int, ...]) -> Self:
        n_columns, form, n_bytes = (values.get(name) for name in ("columns", "form", "bytes"))
        are_right = _is_int(n_columns, 1, _MOST_COLUMNS) and _is_int(n_bytes, 0, _MOST_BYTES)
        if not (are_right and isinstance(form, str)):
            raise CorruptArchiveError(f"the 'table' in its metadata is not valid: {values!r:.120}")
        assert isinstance(n_columns, int), "the number of columns was checked"
        assert isinstance(n_bytes, int), "the size was checked"
        file, order = values.get("file"), values.get("order", [])
        places = [one for one in order if _is_int(one, 0, n_columns - 1)] if isinstance(order, list) else []
        if (file is not None and (not isinstance(file, dict) or len(places) != n_columns)) or places != order:
            raise CorruptArchiveError(f"the order of the columns of its table is not valid: {order!r:.80}")
        return cls(n_columns, form, n_bytes, file, places)


def _is_int(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high
