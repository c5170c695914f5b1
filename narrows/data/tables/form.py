"""What a table is read from and restored as: its columns with their rules, and all else that belongs to the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from narrows.data.tables.rules import Encoded, Rule, Stepped
from narrows.errors import DataWarning
from narrows.records.columns import Ids, Texts

__all__ = ["Facts", "Form", "Group", "TableSource"]


@dataclass(frozen=True, eq=False)
class Group:
    """Some rows as columns, with the cells that are exceptions."""

    columns: list[Encoded]

    def __len__(self) -> int:
        return len(self.columns[0].column.values)

    @property
    def n_exceptions(self) -> int:
        """The number of cells that are exceptions."""
        return sum(len(one.rows) for one in self.columns)

    def take(self, rows: npt.NDArray[np.int64]) -> Group:
        """Return some of the rows, given in any order."""
        return Group([_taken(one, rows, len(self)) for one in self.columns])


def _taken(one: Encoded, rows: npt.NDArray[np.int64], n: int) -> Encoded:
    column = one.column
    missing = None if column.missing is None else column.missing[rows]
    if isinstance(column, Texts):
        made: Any = Texts([column.values[row] for row in rows.tolist()], missing)
    elif isinstance(column, Ids):
        made = Ids(column.values[rows], missing, column.n_known)
    else:
        made = type(column)(column.values[rows], missing)
    at = np.full(n, -1, np.int64)
    at[one.rows] = np.arange(len(one.rows))
    kept = np.flatnonzero(at[rows] >= 0)
    return Encoded(made, kept, [one.texts[i] for i in at[rows][kept].tolist()])


@dataclass
class Facts:
    """What is known of a column.

    Attributes
    ----------
    nulls : int
        The number of missing values.
    distinct : int or None
        The number of different texts; None if there are more than 65,536.
    low, high : str or None
        The smallest and the largest value, as texts.
    """

    nulls: int = 0
    distinct: int | None = None
    low: str | None = None
    high: str | None = None

    def to_json(self) -> list[Any]:
        """Return the facts as a list."""
        return [self.nulls, self.distinct, self.low, self.high]

    @classmethod
    def from_json(cls, values: list[Any]) -> Self:
        """Return the facts of `to_json`; raises TypeError or ValueError for other values."""
        nulls, distinct, low, high = values
        if not isinstance(low, str | None) or not isinstance(high, str | None):
            raise TypeError("a range has texts")
        return cls(int(nulls), None if distinct is None else int(distinct), low, high)


class Form(ABC):
    """The columns of a table, and all else that belongs to its file.

    Attributes
    ----------
    names : tuple of str
        The names of the columns, all different.
    rules : tuple of Rule
        One for each column.
    """

    registry: ClassVar[dict[str, type[Form]]] = {}
    entry: ClassVar[str]

    names: tuple[str, ...]
    rules: tuple[Rule, ...]

    def __init_subclass__(cls, *, entry: str) -> None:
        super().__init_subclass__()
        cls.entry = entry
        Form.registry[entry] = cls

    @abstractmethod
    def checksum(self, group: Group) -> int:
        """Return the CRC-32 of rows as they are restored."""

    @abstractmethod
    def values(self, group: Group, column: int) -> list[Any]:
        """Return the values of a column of some rows, as Python's own; None for missing ones."""

    @abstractmethod
    def arrow(self, groups: Iterable[Group], columns: Sequence[int]) -> Any:
        """Return some columns of rows as a `pyarrow.Table`."""

    @abstractmethod
    def with_rules(self, rules: Sequence[Rule]) -> Self:
        """Return the form with other rules."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return everything but names and rules as JSON values."""

    @classmethod
    @abstractmethod
    def from_json(cls, values: dict[str, Any], names: tuple[str, ...], rules: tuple[Rule, ...]) -> Self:
        """Return the form of `to_json`; raises KeyError, TypeError or ValueError for other values."""


@dataclass(eq=False)
class TableSource(ABC):
    """A table to compress.

    Attributes
    ----------
    name : str
        Its name in messages.
    form : Form
    n_rows : int
    n_bytes : int
        The size of the table without compression.
    facts : list of Facts
        For each column.
    warnings : list of DataWarning
    bounds : dict of str to str
        Bounds on the errors of columns, by their names; see `narrows.data.tables.bounds`.
    skipped : tuple of str
        The names of the columns that are left out.
    """

    name: str
    form: Form
    n_rows: int
    n_bytes: int
    facts: list[Facts] = field(default_factory=list)
    warnings: list[DataWarning] = field(default_factory=list)
    bounds: dict[str, str] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.skipped:
            some = ", ".join(map(repr, self.skipped[:5])) + (", …" if len(self.skipped) > 5 else "")
            text = f"Of {self.name}, these columns are left out, and do not come back: {some}."
            self.warnings.append(DataWarning(text, kind="skipped-columns", count=len(self.skipped)))

    @property
    def kind(self) -> str:
        """The format that the table was read from."""
        return self.form.entry

    def scale(self, column: int) -> tuple[float, int]:
        """Return the units of one, or of one second, in a column of numbers, and the largest number it may have."""
        rule = self.form.rules[column]
        return (rule.units if isinstance(rule, Stepped) else 1.0), 1 << 63

    @abstractmethod
    def groups(self, size: int) -> Iterator[Group]:
        """Yield all rows as columns, a number of rows at a time."""
