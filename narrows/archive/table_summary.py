"""Result of the compression of a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from narrows.codec.kernels import kernels_used
from narrows.errors import Warned

__all__ = ["TableSummary"]


@dataclass(frozen=True)
class TableSummary:
    """The result of `compress` for a table.

    Attributes
    ----------
    path : str
        Path of the archive.
    rows, columns : int
        Their numbers.
    n_bytes : int
        Size of the file on disk.
    raw_bytes : int
        Size of the table without compression: of a CSV file, its own.
    model_bytes : int
        Size of the model: columns, dictionaries and the coder of rows. It is part of `n_bytes` if `model_embedded`.
    model_embedded : bool
        Whether the archive contains its model.
    dictionary_bytes : int
        Size of the texts of categories, which is part of `model_bytes`.
    groups, group_rows : int
        The number of groups of rows, and the number of rows of each. To read one row, its group is decoded.
    exceptions : int
        The number of cells that are kept as they are, since the rule of their column does not give their text: text in
        a column of numbers, or categories that a model has not seen.
    kinds : dict of str to str
        What each column has.
    warnings : tuple of dict
        What a person should know; see `narrows.archive.summary.Summary`.
    kernels : str
        Implementation of the inner loops: ``C``, or ``NumPy``.
    """

    path: str
    rows: int
    columns: int
    n_bytes: int
    raw_bytes: int
    model_bytes: int
    model_embedded: bool
    dictionary_bytes: int
    groups: int
    group_rows: int
    exceptions: int
    kinds: dict[str, str]
    warnings: tuple[Warned, ...] = ()
    kernels: str = field(default_factory=kernels_used)

    @property
    def bytes_per_row(self) -> float:
        """Size of the file, divided by the number of rows."""
        return self.n_bytes / max(1, self.rows)

    @property
    def ratio_to_raw(self) -> float:
        """Size of the table without compression, divided by the size of the file."""
        return self.raw_bytes / self.n_bytes

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        computed = {"bytes_per_row": self.bytes_per_row, "ratio_to_raw": self.ratio_to_raw}
        return {**asdict(self), "warnings": list(self.warnings), **computed}
